"""What a source address means, and how it is shown without its secrets."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Kind = Literal["file", "rtsp", "http", "usb", "demo"]

_SECRET = re.compile(r"([?&;][^=&;]*(?:pass|pwd|token|secret|key|auth|sig|credential)[^=&;]*=)[^&;#]*", re.IGNORECASE)


def kind_of(uri: str) -> Kind:
    """The kind of source that an address names; whatever is no address is a path.

    >>> [kind_of(uri) for uri in ("0", "usb:1", "rtsps://gate/1", "HTTP://gate/video", "demo:street", "a:b.mp4")]
    ['usb', 'usb', 'rtsp', 'http', 'demo', 'file']
    """
    if uri.isdecimal():
        return "usb"
    scheme = uri.partition(":")[0].lower()
    if scheme in ("rtsp", "rtsps"):
        return "rtsp"
    if scheme in ("http", "https"):
        return "http"
    if scheme == "usb":
        return "usb"
    return "demo" if scheme == "demo" else "file"


def redacted(uri: str) -> str:
    """The address with its password and any key in its query replaced by ``***``.

    >>> redacted("rtsp://guard:s3cret@gate:554/1?channel=2&token=abc")
    'rtsp://guard:***@gate:554/1?channel=2&token=***'
    """
    if kind_of(uri) not in ("rtsp", "http"):
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri.partition(":")[0] + "://***"
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}{':***' if colon else ''}{at}{host}"
    return _SECRET.sub(r"\1***", urlunsplit(parts._replace(netloc=shown)))


def host_and_path(uri: str) -> str:
    """What a network camera is called unless the user says: its host and path, without user, port and query."""
    parts = urlsplit(uri)
    return f"{parts.hostname or ''}{parts.path}".rstrip("/")
