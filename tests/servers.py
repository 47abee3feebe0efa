"""Real servers for the tests: an RTSP camera (GStreamer's server) and web servers with videos and motion JPEG."""

from __future__ import annotations

import functools
import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad"
)

# runs in Debian's Python, which has GStreamer's bindings; arguments: the video, the port, and if wanted a
# user with a password
_CAMERA = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer as Rtsp
Gst.init(None)
server = Rtsp.RTSPServer(); server.set_address("127.0.0.1"); server.set_service(sys.argv[2])
factory = Rtsp.RTSPMediaFactory()
factory.set_launch(
    f"( filesrc location={sys.argv[1]} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
if sys.argv[3:]:
    token = Rtsp.RTSPToken(); token.set_string("media.factory.role", "guard")
    auth = Rtsp.RTSPAuth(); auth.add_basic(Rtsp.RTSPAuth.make_basic(*sys.argv[3:]), token)
    server.set_auth(auth)
    factory.add_role_from_structure(Gst.Structure.new_from_string(
        "guard, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"))
server.get_mount_points().add_factory("/street", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@dataclass
class Camera:
    """A running RTSP server with one stream, ``/street``."""

    process: subprocess.Popen[str]
    port: int

    def uri(self, path: str = "street", user: str = "") -> str:
        """The address of a stream."""
        return f"rtsp://{user}{'@' if user else ''}127.0.0.1:{self.port}/{path}"


@contextmanager
def rtsp_camera(video: Path, *guard: str, port: int = 0) -> Iterator[Camera]:
    """A camera that plays an H.264 MP4 in real time to everyone who connects; skips where there is no GStreamer.

    ``guard``: a user name and a password, if it is to ask for them. ``port``: a free one unless given.
    """
    python = Path("/usr/bin/python3")
    if not python.exists():
        pytest.skip(f"no Debian Python for an RTSP server: apt-get install {_PACKAGES}")
    process = subprocess.Popen(
        [python, "-c", _CAMERA, str(video), str(port or free_port()), *guard],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip(f"no RTSP server: apt-get install {_PACKAGES} ({process.stderr.read().strip()[-200:]})")
        yield Camera(process, int(line))
    finally:
        process.kill()
        process.communicate()


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """A plain web server over a folder, without byte ranges; gives its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with _serving(handler) as uri:
        yield uri


@contextmanager
def motion_jpeg(
    pictures: list[bytes], fps: float, *, endless: bool = True, sent: list[float] | None = None
) -> Iterator[str]:
    """A camera that pushes JPEG pictures as multipart/x-mixed-replace, the way IP cameras do; gives its address.

    `sent` gets the monotonic time just before each picture: a busy machine paces them worse than `fps` asks.
    """
    moments: list[float] = [] if sent is None else sent

    class Pushing(_Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    for picture in pictures:
                        head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                        moments.append(time.monotonic())
                        self.wfile.write(head.encode() + picture + b"\r\n")
                        time.sleep(1 / fps)
                    if not endless:
                        return

    with _serving(Pushing) as uri:
        yield f"{uri}/video"


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A test's output is its own."""


@contextmanager
def _serving(handler: object) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type] # a factory will do
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign] # readers leave early
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
