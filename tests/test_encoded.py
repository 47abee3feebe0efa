"""Encoded pictures: what is refused unread, and that the rest comes out as another decoder sees it."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from camcount.errors import InvalidInput, PreprocessingFailed
from camcount.video.encoded import picture_frame
from camcount.video.picture_header import picture_header
from tests.picture_files import bomb, damaged_inside, encoded, noise, scene


def _by_pillow(content: bytes) -> NDArray[np.int64]:
    """What Pillow sees, upright, blue-green-red."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1].astype(np.int64)


def _ycck() -> bytes:
    """A CMYK JPEG whose Adobe segment says that it is YCCK."""
    content = bytearray(encoded(scene().convert("CMYK"), "JPEG", quality=95))
    content[content.index(b"Adobe") + 11] = 2
    return bytes(content)


def _with_alpha() -> Image.Image:
    image = scene()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


FILES: dict[str, bytes] = {
    "JPEG": encoded(scene(), "JPEG"),
    "progressive JPEG": encoded(scene(), "JPEG", progressive=True),
    "grey JPEG": encoded(scene().convert("L"), "JPEG"),
    "CMYK JPEG": encoded(scene().convert("CMYK"), "JPEG", quality=95),
    "YCCK JPEG": _ycck(),
    "JPEG with restarts": encoded(scene(), "JPEG", restart_marker_rows=1),
    "JPEG with a long comment": encoded(scene(), "JPEG", comment=b"\xff\xd9\xff\xda" * 1000),
    "PNG": encoded(scene(), "PNG"),
    "interlaced PNG": cv2.imencode(".png", np.asarray(scene()))[1].tobytes(),
    "grey PNG": encoded(scene().convert("L"), "PNG"),
    "two-colour PNG": encoded(scene().convert("1"), "PNG"),
    "palette PNG": encoded(scene().convert("P"), "PNG", transparency=3),
    "PNG with alpha": encoded(_with_alpha(), "PNG"),
    "grey PNG with alpha": encoded(_with_alpha().convert("LA"), "PNG"),
    "16-bit PNG": cv2.imencode(".png", np.asarray(noise(), np.uint16) * 256 + 99)[1].tobytes(),
    "animated PNG": encoded(scene(), "PNG", save_all=True, append_images=[noise()]),
    "lossy WebP": encoded(scene(), "WEBP", quality=60),
    "lossless WebP": encoded(scene(), "WEBP", lossless=True),
    "WebP with alpha": encoded(_with_alpha(), "WEBP", lossless=True),
    "animated WebP": encoded(scene(), "WEBP", save_all=True, append_images=[noise()], lossless=True),
    "BMP": encoded(scene(), "BMP"),
    "palette BMP": encoded(scene().convert("P"), "BMP"),
    "two-colour BMP": encoded(scene().convert("1"), "BMP"),
    **{f"JPEG turned {turn}": encoded(scene(), "JPEG", exif=_turned(turn)) for turn in range(1, 9)},
    "PNG turned": encoded(scene(), "PNG", exif=_turned(6)),
    "WebP turned": encoded(scene(), "WEBP", lossless=True, exif=_turned(8)),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_picture_comes_out_as_another_decoder_sees_it(name: str) -> None:
    """Size and pixels agree with Pillow's, the first picture of an animation, alpha dropped; CMYK within rounding."""
    expected = _by_pillow(FILES[name])
    frame = picture_frame(FILES[name])
    assert (frame.height, frame.width) == expected.shape[:2]
    difference = np.abs(frame.image().astype(np.int64) - expected)
    assert difference.max() <= (2 if "C" in name and "K JPEG" in name else 0)


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_picture_can_be_had_small(name: str) -> None:
    """Decoded at a fraction of its size it looks like the full one scaled down."""
    frame = picture_frame(FILES[name])
    full = cv2.resize(frame.image(), (40, 30), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(frame.image(40, 30) - full).mean() < 4.0


def test_sixteen_bits_of_grey_become_the_upper_eight() -> None:
    """Grey of 16 bits keeps its shape: nothing is clipped to white."""
    grey = np.linspace(0, 65535, 320 * 200).reshape(200, 320).astype(np.uint16)
    content = encoded(Image.fromarray(grey), "PNG")
    np.testing.assert_array_equal(picture_frame(content).image()[:, :, 1], grey >> 8)


REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"no picture at all", "is text"),
    "json": (b'{"image": "..."}', "is text"),
    "gif": (encoded(scene(), "GIF"), "is a GIF"),
    "tiff": (encoded(scene(), "TIFF"), "is a TIFF"),
    "pdf": (encoded(scene(), "PDF"), "is a PDF"),
    "avif": (encoded(scene(), "AVIF"), "is a HEIC or AVIF picture"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "is a HEIC or AVIF picture"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100), "is an MP4 video"),
    "junk": (bytes(range(128, 256)), "is a file of an unknown kind"),
    "start of a JPEG": (FILES["JPEG"][:20], "is cut off or damaged at its beginning"),
    "300 bytes of a JPEG": (FILES["JPEG"][:300], "is cut off after 300 bytes: send the whole file"),
    **{
        f"half a {kind}": (FILES[kind][: len(FILES[kind]) // 2], r"is cut off after \d+ bytes")
        for kind in ("JPEG", "progressive JPEG", "PNG", "lossy WebP", "lossless WebP", "BMP")
    },
    "bomb": (bomb(20_000, 20_000), r"has 20000x20000 = 400\.0 megapixels: at most 100 are read"),
    "no width": (bomb(0, 10), "is cut off or damaged at its beginning"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_unread(name: str) -> None:
    """Everything else is refused on its first bytes, with what it is and what would be right."""
    content, message = REFUSED[name]
    with pytest.raises(InvalidInput, match=f"the picture {message}"):
        picture_frame(content)


def test_the_limit_of_pixels_can_be_set() -> None:
    """A picture of exactly the limit passes, one pixel less refuses it."""
    assert picture_frame(FILES["PNG"], largest_pixels=320 * 200).width == 320
    with pytest.raises(InvalidInput, match="320x200"):
        picture_frame(FILES["PNG"], largest_pixels=320 * 200 - 1)


@pytest.mark.parametrize(
    "content",
    [
        damaged_inside(FILES["JPEG"]),
        FILES["PNG"][:100] + bytes(80) + FILES["PNG"][180:],
        FILES["lossless WebP"][:60] + bytes(80) + FILES["lossless WebP"][140:],
    ],
    ids=["JPEG", "PNG", "WebP"],
)
def test_damage_inside_is_an_error_of_preprocessing(content: bytes) -> None:
    """A header that promises more than the rest keeps is found out in decoding: INF_002, no black picture."""
    frame = picture_frame(content)
    with pytest.raises(PreprocessingFailed, match="damaged inside"):
        frame.image(16, 10)


def test_what_opencv_finds_damaged_is_not_shown_by_another_decoder() -> None:
    """One byte after the other of a progressive JPEG is changed: the same pixels as OpenCV's, or the error."""
    whole = FILES["progressive JPEG"]
    refused = 0
    for place in range(600, len(whole) - 2):
        content = whole[:place] + b"\x3f" + whole[place + 1 :]
        try:
            by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            by_opencv = None
        try:
            found = picture_frame(content).image()
        except InvalidInput:  # before decoding
            continue
        except PreprocessingFailed:
            refused += 1
            assert by_opencv is None
        else:
            np.testing.assert_array_equal(found, by_opencv)
    assert refused


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def test_a_size_cannot_be_hidden_behind_markers_without_length() -> None:
    """What the decoder skips in two bytes is not taken for a segment that swallows the true size."""
    small, start = (
        _segment(0xC0, b"\x08\0\x10\0\x10\x01\x01\x11\0"),
        _segment(0xC0, b"\x08\x4e\x20\x4e\x20\x01\x01\x11\0"),
    )
    hidden = b"\xff\xd8\xff\xd0" + start + small + b"\xff\xda\0\x02\xff\xd9"
    header = picture_header(hidden)
    assert header is not None
    assert (header.width, header.height) == (16, 16)  # both are walked over; the decoder refuses the second
    with pytest.raises(PreprocessingFailed):
        picture_frame(hidden).image()


HOSTILE = {
    "empty segments": b"\xff\xd8" + b"\xff\xee\0\x02" * 4_000_000,
    "fill bytes": b"\xff\xd8" + b"\xff" * 16_000_000,
    "Exif after Exif": b"\xff\xd8" + _segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(65_000)) * 240,
    "chunks": bomb(10, 10)[:33] + struct.pack(">I4sI", 0, b"teXt", zlib.crc32(b"teXt")) * 1_000_000,
    "scans": FILES["progressive JPEG"][:-2] + _segment(0xDA, bytes(8)) * 1_000_000 + b"\xff\xd9",
    "WebP chunks": b"RIFF\xf0\xff\xff\0WEBPVP8X\x0a\0\0\0\x08\0\0\0" + bytes(6) + b"ABCD\0\0\0\0" * 2_000_000,
}


@pytest.mark.alone
@pytest.mark.parametrize("name", HOSTILE)
def test_no_header_takes_long(name: str) -> None:
    """Sixteen megabytes made to be walked over cost milliseconds of the event loop, not seconds."""
    started = time.process_time()
    with pytest.raises(InvalidInput):
        picture_frame(HOSTILE[name])
    assert time.process_time() - started < 0.1


@pytest.mark.alone
def test_a_header_is_read_in_microseconds() -> None:
    """A request is not held up by looking at its picture; processor time, best of five."""

    def spent(content: Any) -> float:
        started = time.process_time()
        for _ in range(200):
            picture_frame(content)
        return (time.process_time() - started) / 200

    assert min(spent(FILES["JPEG"]) for _ in range(5)) < 50e-6
