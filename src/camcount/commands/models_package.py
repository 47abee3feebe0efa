"""``camcount models init, prepare, check, undo``: from a model file to a package that runs fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.detections import Detections
    from camcount.models.manifest import Step
    from camcount.models.package import Package

VideoOption = Annotated[
    list[str] | None,
    typer.Option("--video", metavar="SOURCE", help="Judge by this video or folder of pictures. Repeatable. [street]"),
]
FramesOption = Annotated[int, typer.Option(min=1, max=1000, help="Pictures taken from each video.")]


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model file, such as model.onnx.")],
    picture: Annotated[str | None, typer.Option(help="A picture with something in it to find. [a street]")] = None,
    name: Annotated[str | None, typer.Option(help="The package's name. [from the file's]")] = None,
    version: Annotated[str, typer.Option(help="MAJOR.MINOR.PATCH.")] = "1.0.0",
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The package's folder. [its name]")] = None,
    decoder: options.Decoder = None,
    class_names: options.ClassNames = None,
    input_size: options.InputSize = None,
    engine: Annotated[str | None, typer.Option(help="What runs it. [from the file's ending]")] = None,
    licence: Annotated[str, typer.Option(help="Its licence, such as Apache-2.0.")] = "",
    notes: Annotated[str, typer.Option(help="What is new in this version.")] = "",
    dataset: Annotated[str, typer.Option(help="What it was trained on.")] = "",
    parent: Annotated[str, typer.Option(help="The model it was made from, NAME:VERSION.")] = "",
    git_tag: Annotated[str, typer.Option(help="The tag of the code it was trained with.")] = "",
    json: options.Json = False,
) -> None:
    """Make a package of a model file: look at the file, run it on one picture, and show what it finds."""
    from camcount.detection.drawing import draw_boxes, write_picture
    from camcount.models.describe import Description, describe, look, slug

    frame = _picture(picture)
    lineage = {"source": file.name, "dataset": dataset, "parent": parent, "git_tag": git_tag}
    given = Description(
        name=name,
        version=version,
        engine=engine,
        decoder=decoder,
        class_names=_class_names(class_names),
        input_size=_size(input_size),
        fields={"licence": licence, "notes": notes, "lineage": lineage},
    )
    folder = out or Path(name or slug(file.stem))
    package, found = look(describe(file, folder, given), frame)
    sure = [row for row in range(len(found)) if found.confidence[row] >= 0.3]
    shown = folder.with_name(f"{folder.name}-boxes.png")
    write_picture(shown, draw_boxes(frame.image(), found, sure))
    if json:
        console.print_json(
            {"package": str(folder), "picture": str(shown), **package_summary(package), "found": _rows(found)}
        )
        return
    _print_package(package)
    _print_found(found, sure)
    typer.echo(f"wrote {folder} and {shown}: look at the picture, then correct {folder}/model.yaml where it is wrong")


def prepare(
    package: options.PackageFolder,
    labels: Annotated[
        str | None, typer.Option(help="Keep only these labels: cuts the rest out of the model.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="WxH", help="Further input size. [from the videos]")
    ] = None,
    video: VideoOption = None,
    frames: FramesOption = 32,
    least: Annotated[float, typer.Option(min=0, max=1, help="Recall and precision that a step must reach.")] = 0.99,
    json: options.Json = False,
) -> None:
    """Make a package faster for its cameras, keeping only the steps that leave its boxes as they are."""
    prepared = prepared_in_place(package, labels, size, video, frames, least)
    if json:
        console.print_json(
            {**package_summary(prepared), "steps": [step.model_dump() for step in prepared.manifest.preparation]}
        )
        return
    print_steps(prepared.manifest.preparation)


def prepared_in_place(
    folder: Path | str,
    labels: str | None,
    sizes: list[str] | None = None,
    videos: list[str] | None = None,
    frames: int = 32,
    least: float = 0.99,
) -> Package:
    """Prepares the package in ``folder``, judged by so many frames of each video.

    Raises:
        UsageError: it is signed: the signature would no longer hold.
    """
    from camcount.errors import UsageError
    from camcount.models.package import open_package
    from camcount.models.prepare import Wishes, prepare
    from camcount.models.samples import samples

    opened = open_package(folder)
    if opened.signature is not None:
        raise UsageError(
            f"{opened.manifest.reference} is signed, and preparing would alter it: prepare first, then sign"
        )
    wanted = tuple(_size(text) for text in sizes) if sizes else None
    wishes = Wishes(labels=_labels(opened, labels), sizes=wanted, least=least)  # type: ignore[arg-type]
    return prepare(opened, samples(videos or (), frames), wishes)


def check(
    package: options.Package, video: VideoOption = None, frames: FramesOption = 32, json: options.Json = False
) -> None:
    """Check a package's files, and a prepared model against the plain one in its package."""
    from camcount.errors import ModelLoadFailed
    from camcount.models import prepare
    from camcount.models.package import open_package
    from camcount.models.packaged import detector_of
    from camcount.models.samples import samples

    with open_package(package) as opened:
        detector_of(opened).close()
        result: dict[str, Any] = package_summary(opened)
        if opened.manifest.plain is not None:
            found, speed = prepare.check(opened, samples(video or (), frames))
            result |= {"recall": found.recall, "precision": found.precision, "times_as_fast": round(speed, 2)}
            if min(found.recall, found.precision) < prepare.LEAST:
                raise ModelLoadFailed(
                    f"{opened.manifest.reference} no longer agrees with its plain model on these pictures ({found}): "
                    f"prepare it again with --video, or undo the preparation"
                )
            result["agreement"] = str(found)
    if json:
        console.print_json(result)
        return
    typer.echo(f"{result['model']}: all files are as listed, the outputs fit the labels")
    if "agreement" in result:
        typer.echo(f"against the plain model: {result['agreement']}; {result['times_as_fast']}x as fast")


def undo(package: options.PackageFolder) -> None:
    """Take a package back to what it was before it was prepared."""
    from camcount.models.package import open_package
    from camcount.models.prepare import undo

    done = undo(open_package(package))
    typer.echo(f"{done.manifest.reference} is as it was made")


COMMANDS = {
    "init": init,
    "prepare": prepare,
    "check": check,
    "undo": undo,
}
"""What to register under ``camcount models``, by name."""


def _picture(uri: str | None) -> Any:
    from camcount.models.samples import STREET, samples

    return samples([uri or STREET[0]], 1 if uri else 3)[-1]


def _class_names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    path = Path(text)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else text.split(",")
    return [line.strip() for line in lines if line.strip()]


def _size(text: str | None) -> tuple[int, int] | None:
    from camcount.errors import UsageError

    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"{text!r} is not WIDTHxHEIGHT, for example 416x256")
    return int(width), int(height)


def _labels(package: Package, text: str | None) -> tuple[str, ...] | None:
    from camcount.detection.labels import vocabulary

    if text is None:
        return None
    wanted = [label.strip() for label in text.split(",") if label.strip()]
    return vocabulary(tuple(package.manifest.labels.values()), labels=wanted).labels


def package_summary(package: Package) -> dict[str, Any]:
    """What a package is, ready for JSON."""
    manifest = package.manifest
    return {
        "model": manifest.reference,
        "engine": manifest.engine,
        "decoder": manifest.output.decoder,
        "sizes": [f"{width}x{height}" for width, height in manifest.sizes],
        "labels": len(manifest.labels),
        "digest": package.digest,
        "signed": package.signature is not None,
    }


def _rows(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "label": found.label(row),
            "confidence": round(float(found.confidence[row]), 3),
            "xyxy": [round(float(value), 1) for value in found.xyxy[row]],
        }
        for row in range(len(found))
    ]


def _print_package(package: Package) -> None:
    from camcount.commands.tables import print_figures

    manifest = package.manifest
    labels = list(manifest.labels.values())
    figures = {
        "runs on": manifest.engine,
        "decoder": manifest.output.decoder,
        "input": f"{manifest.input.size[0]}x{manifest.input.size[1]} {manifest.input.colour} {manifest.input.fit}",
        "labels": f"{len(labels)}: {', '.join(labels[:6])}{', …' if len(labels) > 6 else ''}",
        "one picture takes": f"{manifest.card.latency_ms} ms on {manifest.card.machine}",
    }
    print_figures(manifest.reference, figures)


def _print_found(found: Detections, rows: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "label", "confidence", "left, top, right, bottom", title="Found in the picture", title_justify="left"
    )
    for row in rows:
        table.add_row(
            found.label(row), f"{found.confidence[row]:.2f}", ", ".join(f"{value:.0f}" for value in found.xyxy[row])
        )
    Console(highlight=False).print(table)


def print_steps(steps: Sequence[Step]) -> None:
    """What preparation did, step by step, and how the boxes agreed."""
    from rich.console import Console
    from rich.table import Table

    table = Table("step", "kept", "recall", "precision", "speed", "", title="Preparation", title_justify="left")
    for step in steps:
        figures = ["–" if value is None else f"{value:.4f}" for value in (step.recall, step.precision)]
        speed = "–" if step.speed is None else f"{step.speed:.2f}x"
        table.add_row(step.name, "yes" if step.kept else "no", *figures, speed, step.detail)
    Console(highlight=False).print(table)
