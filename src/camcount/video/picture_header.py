"""What the first bytes of a picture say: its format, its size and which way is up, without decoding it.

JPEG: ITU-T T.81 annex B, with the Exif orientation (CIPA DC-008, tag 0x0112). PNG: ISO/IEC 15948. WebP: RFC 9649.
BMP: BITMAPCOREHEADER and BITMAPINFOHEADER.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_MOST_PARTS = 2000
"""Segments or chunks that are walked: a megabyte of empty ones must not cost a second. Real files have some dozen."""
_MOST_TAGS = 500
_MOST_SCANS = 200
"""Scans of a progressive JPEG, each of which goes over the whole picture again. Real files have about ten."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a length."""

_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed"),
)


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """``width`` and ``height`` as stored, in pixels; ``orientation`` is Exif's, 1 to 8, 1 = as stored.

    ``whole`` is False for a file that evidently ends early; ``overdone`` is True for a JPEG of more scans than any
    honest one.
    """

    width: int
    height: int
    jpeg: bool = False
    orientation: int = 1
    whole: bool = True
    overdone: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as they should be shown."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def picture_header(content: bytes) -> PictureHeader | None:
    """The header of a JPEG, PNG, WebP or BMP file's content; ``None`` if it is none of them or ends too early."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(content)
        if content.startswith(b"BM"):
            return _bmp(content)
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError):
        pass
    return None


def other_format(content: bytes) -> str:
    """What a file that is no readable picture seems to be: ``a GIF``, ``text``, ``a file of an unknown kind``."""
    if not content:
        return "empty"
    for start, name in _OTHERS:
        if content.startswith(start):
            return name
    if content[4:8] == b"ftyp":
        return "a HEIC or AVIF picture" if content[8:11] in (b"hei", b"avi", b"mif", b"msf") else "an MP4 video"
    if content.startswith((b"\xff\xd8", b"\x89PNG", b"BM")) or content[8:12] == b"WEBP":
        return "cut off or damaged at its beginning"
    return "text" if content[:64].isascii() and b"\0" not in content[:64] else "a file of an unknown kind"


def _png(content: bytes) -> PictureHeader | None:
    if content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", content, 16)
    orientation = 1
    at = 8
    for _ in range(_MOST_PARTS):
        length, kind = struct.unpack_from(">I4s", content, at)
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            orientation = _orientation(content[at + 8 : at + 8 + length]) or 1
        at += 12 + length
    return PictureHeader(width, height, orientation=orientation, whole=content.rfind(b"IEND") > 0)


def _bmp(content: bytes) -> PictureHeader:
    start, kind = struct.unpack_from("<II", content, 10)
    if kind == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        packing = 0
    else:
        width, height, _, bits, packing = struct.unpack_from("<iiHHI", content, 18)
    row = (max(width, 0) * bits + 31) // 32 * 4
    # run-length coded ones say nothing of their length
    whole = packing not in (0, 3) or len(content) >= start + row * abs(height)
    return PictureHeader(width, abs(height), whole=whole)


def _webp(content: bytes) -> PictureHeader | None:
    (stated,) = struct.unpack_from("<I", content, 4)
    whole = len(content) >= stated + 8
    kind = content[12:16]
    orientation = 1
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        if content[20] & 8:
            orientation = _webp_orientation(content)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", content, 26))
    else:
        return None
    return PictureHeader(width, height, orientation=orientation, whole=whole)


def _webp_orientation(content: bytes) -> int:
    at = 12
    for _ in range(_MOST_PARTS):
        if at + 8 > len(content):
            break
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == b"EXIF":
            return _orientation(content[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")) or 1
        at += 8 + length + (length & 1)
    return 1


def _jpeg(content: bytes) -> PictureHeader | None:
    width = height = start = 0
    orientation: int | None = None
    at = 2
    for _ in range(_MOST_PARTS):
        if at + 4 > len(content):
            break
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at] != 0xFF or marker == 0:
            return None
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xE1 and orientation is None and content.startswith(b"Exif\0\0", at + 4):
            orientation = _orientation(content[at + 10 : at + 2 + length]) or 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            start = marker
        elif marker == 0xDA:
            # coded data holds no marker but restarts, so that the end marker, if any, is the real one
            whole = content.rfind(b"\xff\xd9", at) > 0
            overdone = start in (0xC2, 0xCA) and content.count(b"\xff\xda", at) > _MOST_SCANS
            return PictureHeader(width, height, True, orientation or 1, whole, overdone)
        at += 2 + length
    return PictureHeader(width, height, True, orientation or 1, whole=False) if width else None


def _orientation(tiff: bytes) -> int | None:
    """The orientation in Exif data; damaged Exif does not make the picture unreadable."""
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(min(entries, _MOST_TAGS)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None
