"""Pictures as a source: folders, single files and arrays."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

from camcount.errors import SourceError
from camcount.frame import Frame
from camcount.protocols import SourceInfo
from camcount.video.encoded import EncodedPicture, resized
from camcount.video.open import source_for
from camcount.video.picture_header import picture_header
from camcount.video.pictures import frame_of
from tests.picture_files import damaged_inside


def read(path: Path, fps: float | None = None) -> tuple[SourceInfo, list[Frame], list[str]]:
    """What a folder or a picture gives."""
    source = source_for(str(path), fps=fps)
    info = source.open()
    frames = list(iter(source.read, None))
    source.close()
    return info, frames, source.warnings


@pytest.fixture
def scene() -> NDArray[np.uint8]:
    """A smooth picture, 320 by 200, with another colour in each corner."""
    x, y = np.meshgrid(np.linspace(0, 255, 320), np.linspace(0, 255, 200))
    return np.dstack([x, y, 255 - x]).astype(np.uint8)


def grey(path: Path, value: int = 100, width: int = 8, height: int = 6) -> None:
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))


def test_pictures_come_in_natural_order_one_per_second(tmp_path: Path) -> None:
    """``2`` comes before ``10``; one picture is one second; other files and hidden ones are left alone."""
    for name in ("shot10.png", "shot2.jpg", "shot1.bmp", "Shot3.webp", "notes.txt", ".hidden.jpg"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("x")
        else:
            grey(tmp_path / name, 10 * int("".join(filter(str.isdigit, name)) or 0))
    info, frames, warnings = read(tmp_path)
    assert [round(frame.image().mean() / 10) for frame in frames] == [1, 2, 3, 10]
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    assert (info.frames, info.duration_s, info.fps, info.live) == (4, 4.0, 1.0, False)
    assert warnings == []


def test_a_rate_dates_the_pictures(tmp_path: Path) -> None:
    """``fps`` is the rate that the pictures were taken at."""
    for number in range(4):
        grey(tmp_path / f"{number}.png")
    info, frames, _ = read(tmp_path, fps=8)
    assert [frame.time_s for frame in frames] == [0, 0.125, 0.25, 0.375]
    assert info.duration_s == 0.5


def test_each_picture_has_its_own_size(tmp_path: Path) -> None:
    """Pictures of differing size are frames of differing size; the first gives the announced one."""
    grey(tmp_path / "0.png", width=8, height=6)
    grey(tmp_path / "1.jpg", width=30, height=20)
    info, frames, _ = read(tmp_path)
    assert (info.width, info.height) == (8, 6)
    assert [frame.image().shape for frame in frames] == [(6, 8, 3), (20, 30, 3)]


def test_real_photographs_agree_with_opencv(data: Path) -> None:
    """Sizes and pixels of real photographs are those that OpenCV gives."""
    _, frames, warnings = read(data / "images/photos")
    files = sorted((data / "images/photos").iterdir())
    assert len(frames) == len(files) == 5
    for frame, file in zip(frames, files, strict=True):
        np.testing.assert_array_equal(frame.image(), cv2.imread(str(file)))
    assert warnings == []


@pytest.mark.parametrize("width", [640, 416, 300, 150, 75])
def test_jpeg_is_decoded_small(data: Path, width: int) -> None:
    """A photograph decoded at a fraction of its size looks like one decoded in full and scaled down."""
    frame = read(data / "images/photos/people1.jpeg")[1][0]
    height = round(frame.height * width / frame.width)
    full = resized(cv2.imread(str(data / "images/photos/people1.jpeg")), width, height)  # type: ignore[arg-type] # uint8
    difference = frame.image(width, height).astype(int) - full
    assert np.abs(difference).mean() < 3.0
    assert abs(difference.mean()) < 0.5


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((320, 200), (320, 200)),
        ((161, 100), (320, 200)),
        ((160, 100), (160, 100)),
        ((80, 50), (80, 50)),
        ((40, 26), (80, 50)),
        ((40, 25), (40, 25)),
        ((1, 1), (40, 25)),
    ],
)
def test_jpeg_decodes_no_more_than_is_needed(
    scene: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], decoded: tuple[int, int]
) -> None:
    """The decoder is asked for the smallest fraction that still covers the size wanted."""
    content = cv2.imencode(".jpg", scene)[1].tobytes()
    header = picture_header(content)
    assert header is not None
    shapes = []
    decode = simplejpeg.decode_jpeg

    def noted(*given: Any, **named: Any) -> Any:
        image = decode(*given, **named)
        shapes.append(image.shape)
        return image

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    assert EncodedPicture(content, header)(*size).shape == (size[1], size[0], 3)
    assert shapes == [(decoded[1], decoded[0], 3)]


@pytest.mark.parametrize("mode", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["colour", "grey", "progressive", "changed inside"])
def test_jpeg_is_decoded_as_opencv_does(scene: NDArray[np.uint8], kind: str, mode: int) -> None:
    """To the pixel, whole and in fractions, at a size that is no multiple of anything, and past damage."""
    picture = scene[:197, :317] if kind != "grey" else scene[:197, :317, 0]
    content = bytearray(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(kind == "progressive")])[1])
    if kind == "changed inside":
        content[len(content) // 2] ^= 0x55
    reduced = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    header = picture_header(bytes(content))
    assert header is not None
    by_opencv = cv2.imdecode(np.frombuffer(content, np.uint8), reduced[mode])
    found = EncodedPicture(bytes(content), header)(picture.shape[1] // mode, picture.shape[0] // mode)
    np.testing.assert_array_equal(found, resized(by_opencv, found.shape[1], found.shape[0]))  # type: ignore[arg-type]


def _with_orientation(jpeg: bytes, orientation: int, order: str) -> bytes:
    tiff = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(
        f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0
    )
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture(
    tmp_path: Path, scene: NDArray[np.uint8], orientation: int, order: str
) -> None:
    """All eight orientations come upright, in full and in small, as OpenCV shows them."""
    path = tmp_path / "turned.jpg"
    path.write_bytes(_with_orientation(cv2.imencode(".jpg", scene)[1].tobytes(), orientation, order))
    expected = cv2.imread(str(path))
    assert expected is not None
    frame = read(path)[1][0]
    assert (frame.width, frame.height) == expected.shape[1::-1]
    np.testing.assert_array_equal(frame.image(), expected)
    small = cv2.resize(expected, (60, 50), interpolation=cv2.INTER_AREA)
    assert np.abs(frame.image(60, 50).astype(int) - small).mean() < 3.0


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp", ".bmp"])
def test_the_header_tells_the_size(kind: str) -> None:
    """Width and height are known from the first bytes of each format."""
    content = cv2.imencode(kind, np.zeros((37, 91, 3), np.uint8))[1].tobytes()
    header = picture_header(content)
    assert header is not None
    assert (header.width, header.height, header.whole) == (91, 37, True)


def test_lossy_webp_tells_its_size() -> None:
    """The second of WebP's codings has its size in another place."""
    content = cv2.imencode(".webp", np.zeros((37, 91, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 50])[1].tobytes()
    header = picture_header(content)
    assert header is not None
    assert (header.width, header.height) == (91, 37)


@pytest.mark.parametrize("kind", [".jpg", ".png", ".webp", ".bmp"])
def test_a_damaged_picture_is_passed_over(tmp_path: Path, kind: str) -> None:
    """A picture that was cut off is left out with a warning; the next ones keep their place in time."""
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    content = cv2.imencode(kind, noise)[1].tobytes()
    for number, part in enumerate((content, content[: len(content) // 2], content, content[:20], content)):
        (tmp_path / f"{number}{kind}").write_bytes(part)
    info, frames, warnings = read(tmp_path)
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0), (2, 2.0), (4, 4.0)]
    assert info.frames == 5
    assert [warning.split(" was passed over: ")[0] for warning in warnings] == [f"1{kind}", f"3{kind}"]


def test_a_jpeg_damaged_inside_does_not_stop_the_rest(tmp_path: Path, scene: NDArray[np.uint8]) -> None:
    """A JPEG whose damage shows only in decoding becomes a black picture with a warning."""
    content = cv2.imencode(".jpg", scene)[1].tobytes()
    (tmp_path / "bad.jpg").write_bytes(damaged_inside(content))
    _, frames, warnings = read(tmp_path)
    image = frames[0].image(16, 10)
    assert image.shape == (10, 16, 3)
    assert not image.any()
    assert warnings == ["bad.jpg is damaged inside: it counts as a black picture"]


def test_a_gigantic_picture_is_refused_unread(tmp_path: Path) -> None:
    """Four hundred megapixels in a few bytes are passed over on the strength of the header alone."""
    grey(tmp_path / "1.png")
    content = bytearray((tmp_path / "1.png").read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    (tmp_path / "0.png").write_bytes(content)
    _, frames, warnings = read(tmp_path)
    assert [frame.index for frame in frames] == [1]
    assert warnings == ["0.png was passed over: the picture has 20000x20000 = 400.0 megapixels: at most 100 are read"]


def test_a_folder_of_nothing_but_damage_is_no_source(tmp_path: Path) -> None:
    """If not one picture can be read, opening fails and says why the first could not."""
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(
        SourceError, match=r"holds no picture that can be read: a.jpg was passed over: the picture is text"
    ):
        read(tmp_path)


def test_damaged_exif_leaves_the_picture_readable(scene: NDArray[np.uint8]) -> None:
    """Exif that points beyond its end is ignored."""
    jpeg = cv2.imencode(".jpg", scene)[1].tobytes()
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 9999)
    content = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    header = picture_header(content)
    assert header is not None
    assert (header.width, header.height, header.orientation) == (320, 200, 1)


def test_an_array_is_a_frame(scene: NDArray[np.uint8]) -> None:
    """A picture in memory becomes a frame that scales by area and hands out copies."""
    frame = frame_of(scene, index=3, time_s=1.5, camera_id="gate")
    assert (frame.index, frame.time_s, frame.width, frame.height, frame.camera_id) == (3, 1.5, 320, 200, "gate")
    frame.image()[:] = 0
    np.testing.assert_array_equal(frame.image(), scene)
    np.testing.assert_array_equal(frame.image(32, 20), cv2.resize(scene, (32, 20), interpolation=cv2.INTER_AREA))
    assert frame.image(640, 400).shape == (400, 640, 3)
