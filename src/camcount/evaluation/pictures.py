"""Pictures with the objects that are truly in them: YOLO label folders and COCO files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from camcount.errors import SourceError, SourceNotFound
from camcount.frame import Frame

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """One picture file.

    Attributes:
        boxes: ``float64 (N, 4)``, left, top, right, bottom in pixels.
        crowd: which boxes hold a crowd: whatever is found in them is neither right nor wrong.
    """

    path: Path
    width: int
    height: int
    labels: tuple[str, ...]
    boxes: NDArray[np.float64]
    crowd: tuple[bool, ...]

    def frame(self) -> Frame:
        """The picture, read anew."""
        return _frame(self.path)


def labelled_pictures(images: Path, truth: Path, known: Sequence[str] = ()) -> Iterator[LabelledPicture]:
    """The pictures of a folder with their objects, in order of name.

    A YOLO folder has one ``.txt`` for each picture, rows ``class x y width height`` in 0..1 of the picture (centre
    and size); a picture without one has no objects. Class numbers are named by ``names:`` in a YAML file or by a
    ``classes.txt`` in the folder or one of the two above it, else they are indices into ``known``. Of a COCO file
    the pictures are taken that it lists and that are there.

    Raises:
        SourceNotFound: the folder or the truth is not there.
        SourceError: no picture is there, or a label cannot be read.
    """
    for path in (images, truth):
        if not path.exists():
            raise SourceNotFound(f"{path} is not there: check the spelling, or give the full path")
    if truth.is_file():
        yield from _coco(images, truth)
        return
    names = _names(truth) or dict(enumerate(known))
    files = sorted(file for file in images.iterdir() if file.suffix.lower() in _SUFFIXES) if images.is_dir() else []
    if not files:
        raise SourceError(f"{images} holds no pictures: it needs {', '.join(sorted(_SUFFIXES))} files")
    for file in files:
        yield _yolo(file, truth / f"{file.stem}.txt", names)


def _frame(path: Path) -> Frame:
    from camcount.video.pictures import PictureFolder

    source = PictureFolder(path)
    source.open()
    frame = source.read()
    source.close()
    if frame is None:
        raise SourceError(f"{path} is no picture that can be read")
    return frame


def _yolo(image: Path, file: Path, names: Mapping[int, str]) -> LabelledPicture:
    frame = _frame(image)
    rows = [_yolo_row(file, n, line) for n, line in enumerate(_lines(file), 1) if line.strip()]
    unknown = sorted({int(row[0]) for row in rows} - set(names))
    if unknown:
        raise SourceError(f"{file} has class {unknown[0]}, which has no name: put names: in a YAML file beside it")
    table = np.array(rows, np.float64).reshape(-1, 5)
    centre, half = table[:, 1:3], table[:, 3:] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1) * np.tile((frame.width, frame.height), 2)
    labels = tuple(names[int(row[0])] for row in rows)
    return LabelledPicture(image, frame.width, frame.height, labels, boxes, (False,) * len(rows))


def _yolo_row(file: Path, number: int, line: str) -> list[float]:
    try:
        values = [float(cell) for cell in line.split()]
    except ValueError:
        values = []
    if len(values) != 5 or not np.isfinite(values).all() or values[0] % 1:
        raise SourceError(f"{file}, row {number} is not 'class x y width height' in 0..1 of the picture")
    return values


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read: {error}") from None


def _names(folder: Path) -> dict[int, str]:
    for place in (folder, *folder.absolute().parents[:2]):
        for file in sorted((*place.glob("*.yaml"), *place.glob("*.yml"))):
            try:
                content = yaml.safe_load(file.read_text())
            except (yaml.YAMLError, OSError, UnicodeDecodeError):
                continue
            names = content.get("names") if isinstance(content, dict) else None
            if isinstance(names, dict | list):
                pairs = names.items() if isinstance(names, dict) else enumerate(names)
                return {int(number): str(name) for number, name in pairs}
        if (place / "classes.txt").is_file():
            return dict(enumerate(line.strip() for line in _lines(place / "classes.txt")))
    return {}


def _coco(images: Path, file: Path) -> Iterator[LabelledPicture]:
    try:
        content = json.loads(file.read_text())
        names = {int(c["id"]): str(c["name"]) for c in content["categories"]}
        objects: dict[int, list[Any]] = defaultdict(list)
        for annotation in content["annotations"]:
            objects[annotation["image_id"]].append(annotation)
        listed = [(images / Path(image["file_name"]).name, objects[image["id"]]) for image in content["images"]]
        pictures = [(path, *_coco_objects(of_image, names)) for path, of_image in listed]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise SourceError(f"{file} is no COCO file with images, annotations and categories: {error!r}") from None
    there = [picture for picture in pictures if picture[0].is_file()]
    if not there:
        raise SourceError(f"{images} holds none of the {len(pictures)} pictures that {file} lists")
    for path, labels, boxes, crowd in there:
        frame = _frame(path)
        yield LabelledPicture(path, frame.width, frame.height, labels, boxes, crowd)


def _coco_objects(
    annotations: Sequence[Mapping[str, Any]], names: Mapping[int, str]
) -> tuple[tuple[str, ...], NDArray[np.float64], tuple[bool, ...]]:
    boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    labels = tuple(names[a["category_id"]] for a in annotations)
    return labels, boxes, tuple(bool(a.get("iscrowd")) for a in annotations)
