"""What the first bytes of a picture say: its size and which way is up, without decoding it.

JPEG: ITU-T T.81 annex B, with the Exif orientation (CIPA DC-008, tag 0x0112). PNG: ISO/IEC 15948. WebP: RFC 9649.
BMP: BITMAPFILEHEADER and BITMAPINFOHEADER.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """``width`` and ``height`` as stored, in pixels; ``orientation`` is Exif's, 1 to 8, 1 = as stored.

    ``whole`` is False for a file that evidently ends early.
    """

    width: int
    height: int
    jpeg: bool = False
    orientation: int = 1
    whole: bool = True


def picture_header(content: bytes) -> PictureHeader | None:
    """The header of a JPEG, PNG, WebP or BMP file's content; ``None`` if it is none of them or ends too early."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", content, 16)
            return PictureHeader(width, height, whole=content.rfind(b"IEND") > 0)
        if content.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", content, 18)
            return PictureHeader(width, abs(height))
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError):
        pass
    return None


def _webp(content: bytes) -> PictureHeader | None:
    (stated,) = struct.unpack_from("<I", content, 4)
    whole = len(content) >= stated + 8
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", content, 26))
    else:
        return None
    return PictureHeader(width, height, whole=whole)


def _jpeg(content: bytes) -> PictureHeader | None:
    width = height = 0
    orientation = 1
    at = 2
    while at + 4 <= len(content):
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at] != 0xFF:
            return None
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xE1:
            orientation = _orientation(content[at + 4 : at + 2 + length]) or orientation
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
        elif marker == 0xDA:
            # coded data holds no marker but restarts, so that the end marker, if any, is the real one
            whole = content.rfind(b"\xff\xd9", at) > 0
            return PictureHeader(width, height, jpeg=True, orientation=orientation, whole=whole)
        at += 2 + length
    return PictureHeader(width, height, jpeg=True, orientation=orientation, whole=False) if width else None


def _orientation(segment: bytes) -> int | None:
    """The Exif orientation in an APP1 segment; damaged Exif does not make the picture unreadable."""
    if not segment.startswith(b"Exif\0\0"):
        return None
    tiff = segment[6:]
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None
