"""The arguments and flags that several commands take, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="A video file, rtsp:// or http:// address, usb:0, a folder of pictures, or demo:street.",
    ),
]
Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A package's folder, or an archive of it.")]
PackageFolder = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A package's folder.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A model file or package, a registered model (NAME, NAME:1.2.0, NAME@champion), a server's address, or "
        "'motion': whatever moves, no weights. [motion]",
    ),
]
Decoder = Annotated[str | None, typer.Option(help="How to read the model's outputs; see 'camcount models'.")]
ClassNames = Annotated[
    str | None, typer.Option(help="The model's class names in order, comma separated, or a file with one a line.")
]
InputSize = Annotated[str | None, typer.Option(metavar="WxH", help="The model's input size, if it is free.")]
Confidence = Annotated[
    str | None, typer.Option(help="Least confidence, for all labels or by label: 0.3 or person=0.4,car=0.3.")
]
NmsIou = Annotated[float | None, typer.Option("--nms-iou", help="Overlap above which boxes are one object.")]
LabelMap = Annotated[
    list[str] | None, typer.Option("--label-map", metavar="FROM=TO", help="Count one label as another. Repeatable.")
]
Labels = Annotated[
    str | None, typer.Option(help="Only these labels, comma separated; 'vehicle' is car, truck, bus, …")
]
Providers = Annotated[str | None, typer.Option(help="ONNX Runtime execution providers, comma separated.")]
Device = Annotated[str | None, typer.Option(help="Where the model runs: cpu, cuda, cuda:1. [cpu]")]
Threads = Annotated[int | None, typer.Option(help="Frames detected at the same time. [one per core]")]
Line = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        "-l",
        metavar="NAME=X1,Y1,X2,Y2",
        help="A counting line, 0..1 of the picture or pixels; 'in' is to the right of someone walking from the "
        "first point to the second; ':reverse' at the end flips it. Repeatable.",
    ),
]
Zone = Annotated[
    list[str] | None,
    typer.Option("--zone", "-z", metavar="NAME=X1,Y1,X2,Y2,X3,Y3…", help="A polygon to watch. Repeatable."),
]
Anchor = Annotated[str | None, typer.Option(help="The point of the box that counts: foot or centre. [foot]")]
Tracker = Annotated[str | None, typer.Option(help="Which tracker. [camcount]")]
Appearance = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL.ONNX", help="A re-identification model, asked who is who where motion leaves it open."
    ),
]
Detections = Annotated[
    str | None, typer.Option(metavar="DET.TXT", help="Given boxes (MOTChallenge format) in place of a video.")
]
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Picture size that --detections belong to.")]
Fps = Annotated[
    float | None, typer.Option(help="At most so many frames a second; with --detections, the file's rate.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for a camera. [10]")]
Transport = Annotated[str | None, typer.Option(help="RTSP over tcp or udp. [tcp]")]
Every = Annotated[str | None, typer.Option(help="Count by intervals too, for example 15m or 1h.")]
Scale = Annotated[
    str | None, typer.Option(metavar="NAME=METRES", help="Real length of a line; speeds are then in km/h.")
]
Annotate = Annotated[Path | None, typer.Option(help="Write the video with everything drawn on it.")]
Config = Annotated[Path | None, typer.Option(help="A camcount.yaml with any of these settings.")]
Since = Annotated[str | None, typer.Option(help="From this time on: 2026-03-01 or 2026-03-01T12:00.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
