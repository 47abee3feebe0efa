// Moving pictures in every <canvas data-camera=NAME data-pixels=WIDTH>: one WebSocket for all that are in sight; nothing is asked for while the page is hidden.
(() => {
  const inSight = new Set();
  let socket = null;
  let wished = "";

  const wish = () => {
    const wanted = document.hidden ? [] : [...inSight].filter((canvas) => canvas.isConnected);
    const text = JSON.stringify(wanted.map((canvas) => [canvas.dataset.camera, Number(canvas.dataset.pixels)]).sort());
    if (text === wished || socket?.readyState !== WebSocket.OPEN) return;
    wished = text;
    socket.send(text);
  };

  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? inSight.add(target) : inSight.delete(target);
    wish();
  });

  const show = async (message) => {
    const bytes = new Uint8Array(message.data);
    const name = new TextDecoder().decode(bytes.subarray(1, 1 + bytes[0]));
    const picture = await createImageBitmap(new Blob([bytes.subarray(1 + bytes[0])], { type: "image/jpeg" }));
    for (const canvas of inSight) {
      if (canvas.dataset.camera !== name) continue;
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      canvas.getContext("2d").drawImage(picture, 0, 0);
      canvas.dataset.shown = Number(canvas.dataset.shown ?? 0) + 1;
    }
    picture.close();
  };

  const connect = () => {
    socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/_dashboard/pictures`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => ((wished = ""), wish());
    socket.onmessage = show;
    socket.onclose = () => setTimeout(connect, 2000);
  };

  const find = () => document.querySelectorAll("canvas[data-camera]:not([data-watched])").forEach((canvas) => {
    canvas.dataset.watched = "";
    watch.observe(canvas);
    if (socket === null) connect();
  });

  document.addEventListener("visibilitychange", wish);
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(find).observe(document.body, { childList: true, subtree: true });
    find();
  });
})();
