"""From an address to a source."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from camcount.errors import SourceNotFound, UsageError
from camcount.protocols import Source
from camcount.video.address import host_and_path, kind_of, redacted
from camcount.video.buffering import AtRate


def source_for(
    uri: str,
    *,
    camera_id: str | None = None,
    fps: float | None = None,
    timeout_s: float = 10.0,
    transport: str = "tcp",
    start_time: datetime | None = None,
) -> Source:
    """The source that ``uri`` names, not yet open.

    ``uri`` is the path of a video, a picture or a folder of pictures; an ``rtsp(s)://`` or ``http(s)://``
    address; ``usb:0`` or a bare number; or ``demo:street``, with ``?seed=1&seconds=60&fps=15`` if wanted.
    ``fps`` lets at most so many frames per second through; for pictures, which have no time, it is the rate
    they were taken at (1 unless told). ``camera_id`` is the file's stem or the camera's host and path unless
    told. ``timeout_s`` bounds each wait for a network; ``transport`` is ``tcp`` or ``udp``, for RTSP;
    ``start_time`` (timezone-aware) is when a recording began.

    Raises:
        SourceNotFound: no such demo scene; whether a file is there shows when the source is opened.
        UsageError: an option that cannot be.
    """
    if transport not in ("tcp", "udp"):
        raise UsageError(f"{transport!r} is no RTSP transport: choose tcp or udp")
    if timeout_s <= 0:
        raise UsageError(f"a time-out of {timeout_s:g} s never waits: give seconds above 0")
    if fps is not None and not 0 < fps < inf:
        raise UsageError(f"{fps:g} frames per second is no rate: give a number above 0")
    if start_time is not None and start_time.tzinfo is None:
        raise UsageError("a start time needs its time zone, as in 2024-05-01T08:00:00+02:00")
    kind = kind_of(uri)
    if kind == "file":
        path = Path(uri.removeprefix("file://"))
        name = camera_id if camera_id is not None else path.stem
        if _is_pictures(path):
            from camcount.video.pictures import PictureFolder

            return PictureFolder(path, fps=1.0 if fps is None else fps, camera_id=name, start_time=start_time)
        source = _file(path, name, start_time)
    elif kind == "demo":
        source = _demo(uri, camera_id)
    elif kind == "usb":
        source = _usb(uri.rpartition(":")[2], camera_id, timeout_s)
    else:
        source = _network(uri, camera_id, timeout_s, transport, start_time)
    return source if fps is None else AtRate(source, fps)


def _is_pictures(path: Path) -> bool:
    from camcount.video.pictures import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        return path.is_dir()
    except OSError:  # whatever it is, it may not be looked at: opening it says why
        return False


def _file(path: Path, camera_id: str, start_time: datetime | None) -> Source:
    from camcount.video.faults import file_fault
    from camcount.video.stream import Opening, StreamSource

    # without the scheme, FFmpeg takes what stands before a colon in the name for one
    opening = Opening(location=f"file:{path}", shown=str(path), explain=partial(file_fault, path))
    return StreamSource(opening, camera_id=camera_id, start_time=start_time)


def _network(
    uri: str, camera_id: str | None, timeout_s: float, transport: str, start_time: datetime | None
) -> Source:
    from camcount.video.faults import network_fault
    from camcount.video.stream import Opening, StreamSource

    rtsp = kind_of(uri) == "rtsp"
    shown = redacted(uri)
    opening = Opening(
        location=uri,
        shown=shown,
        explain=partial(network_fault, shown, timeout_s),
        live=True if rtsp else None,
        options={"rtsp_transport": transport} if rtsp else {},
        timeout_s=timeout_s,
    )
    name = camera_id if camera_id is not None else host_and_path(uri)
    return StreamSource(opening, camera_id=name, start_time=start_time)


def _usb(number: str, camera_id: str | None, timeout_s: float) -> Source:
    from camcount.video.faults import device_fault
    from camcount.video.stream import Opening, StreamSource

    if not number.isdecimal():
        raise UsageError(f"usb:{number} names no camera: give a number, as in usb:0")
    device = f"/dev/video{number}"
    opening = Opening(
        location=device,
        shown=f"usb:{number}",
        explain=partial(device_fault, device),
        live=True,
        format="v4l2",
        timeout_s=timeout_s,
    )
    return StreamSource(opening, camera_id=camera_id if camera_id is not None else f"usb-{number}")


def _demo(uri: str, camera_id: str | None) -> Source:
    from camcount.video.synthetic import StreetScene

    parts = urlsplit(uri)
    if parts.path != "street":
        raise SourceNotFound(f"there is no demo scene {parts.path!r}: there is demo:street")
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    readers = {"seed": int, "seconds": float, "fps": float, "width": int, "height": int}
    if unknown := given.keys() - readers.keys():
        raise UsageError(f"demo:street has no setting {sorted(unknown)[0]!r}: it has {', '.join(readers)}")
    try:
        settings = {name: readers[name](value) for name, value in given.items()}
    except ValueError:
        raise UsageError(f"{uri} needs numbers, as in demo:street?seed=1&seconds=60&fps=15") from None
    scene: Source = StreetScene(camera_id="demo-street" if camera_id is None else camera_id, **settings)
    return scene
