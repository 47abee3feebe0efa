"""Encoded pictures, JPEG, PNG, WebP and BMP: checked by their first bytes, decoded only when somebody looks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import simplejpeg

from camcount.errors import InvalidInput, PreprocessingFailed
from camcount.frame import Frame, Image
from camcount.video.picture_header import PictureHeader, other_format, picture_header

LARGEST = 100_000_000
"""Pixels above which a picture is not decoded: a small file can unfold to gigabytes."""

_MODES = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
"""Parts of its size at which OpenCV decodes a JPEG, the smallest first."""


def picture_frame(content: bytes, *, largest_pixels: int = LARGEST) -> Frame:
    """A frame of a picture's file; only its header is read now, in microseconds.

    Of an animation it is the first picture. Transparency is dropped, as ``cv2.imread`` does, 16 bits become the upper
    8, CMYK becomes RGB without its colour profile, and the Exif orientation is undone: the frame is the upright
    picture. Its ``render`` raises `PreprocessingFailed` where the file turns out to be damaged inside; a JPEG whose
    decoder finds a way past the damage is shown as every viewer shows it.

    Raises:
        InvalidInput: it is empty, of another format, cut off, or has more than ``largest_pixels`` pixels.
    """
    header = checked_header(content, largest_pixels)
    width, height = header.upright
    return Frame(index=0, time_s=0.0, width=width, height=height, render=EncodedPicture(content, header))


def checked_header(content: bytes, largest_pixels: int = LARGEST) -> PictureHeader:
    """The header of a picture that may be decoded.

    Raises:
        InvalidInput: as `picture_frame`.
    """
    header = picture_header(content)
    if header is None or header.width < 1 or header.height < 1:
        raise InvalidInput(f"the picture is {other_format(content)}: send a JPEG, PNG, WebP or BMP")
    pixels = header.width * header.height
    if pixels > largest_pixels:
        raise InvalidInput(
            f"the picture has {header.width}x{header.height} = {pixels / 1e6:.1f} megapixels: "
            f"at most {largest_pixels / 1e6:g} are read"
        )
    if not header.whole:
        raise InvalidInput(f"the picture is cut off after {len(content)} bytes: send the whole file")
    if header.overdone:
        raise InvalidInput("the JPEG has more scans than any camera or program writes: save it anew")
    return header


def resized(image: Image, width: int, height: int) -> Image:
    """A copy of a picture at ``width`` by ``height`` pixels.

    To half the size and below by area, so that no pixel is passed over and nothing flickers; above that the four
    nearest do, in a fifth of the time.
    """
    if image.shape[:2] == (height, width):
        return image.copy()
    across, down = image.shape[1] / width, image.shape[0] / height
    method = cv2.INTER_AREA if min(across, down) >= 1 and max(across, down) >= 2 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def in_one_thread() -> None:
    """Has pictures worked on in the thread that asks for it, for programs that keep every core busy anyway.

    Spread over cores, small pictures cost a tenth of a detection in threads that wait for each other.
    """
    cv2.setNumThreads(1)


def jpeg(image: Image, quality: int = 85) -> bytes:
    """A picture as a JPEG file; ``quality`` from 1 to 100."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class EncodedPicture:
    """The `camcount.frame.Render` of a picture's file: it is decoded anew each time, a JPEG at 1/2, 1/4 or 1/8 of its
    size where that is enough.

    Scaling in the discrete cosine transform leaves out most of the work of decoding.
    """

    __slots__ = ("_content", "_header")

    def __init__(self, content: bytes, header: PictureHeader) -> None:
        self._content = content
        self._header = header

    def __call__(self, width: int, height: int) -> Image:
        header, asked = self._header, (width, height)
        if header.orientation >= 5:
            width, height = height, width
        part = next(part for part in _MODES if part == 1 or _suffices(header, part, width, height))
        image = _upright(_decoded(self._content, header, part), header.orientation)
        return resized(image, *asked)


def _suffices(header: PictureHeader, part: int, width: int, height: int) -> bool:
    return header.jpeg and header.width >= part * width and header.height >= part * height


def _decoded(content: bytes, header: PictureHeader, part: int) -> Image:
    image: Any = None
    if header.jpeg:
        # the same pixels as OpenCV's, in 70 to 95 % of its time, of a file without a fault; of every other one OpenCV
        # says whether there is a way past it: told to overlook faults, this one shows pictures that are none
        least = (-(-header.width // part), -(-header.height // part)) if part > 1 else (0, 0)
        with suppress(ValueError):
            image = simplejpeg.decode_jpeg(content, "BGR", min_width=least[0], min_height=least[1])
    if image is None:
        with suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(content, np.uint8), _MODES[part] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise PreprocessingFailed("the picture is damaged inside and cannot be decoded: send it anew")
    return np.asarray(image, np.uint8)


def _upright(image: Image, orientation: int) -> Image:
    """Undoes an Exif orientation: 2, 4 mirror; 3 turns; 5 to 8 also swap rows and columns."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
