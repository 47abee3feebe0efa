"""An engine by its name, imported only when it is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from camcount.errors import UsageError
from camcount.protocols import Engine

_GROUP = "camcount.engines"


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One entry of `ENGINES`.

    Attributes:
        home: module and class.
        runs: what it runs.
        extra: what of camcount has to be installed for it; empty: nothing beyond camcount itself.
        frameworks: the modules that the extra brings.
    """

    name: str
    home: str
    runs: str
    extra: str = ""
    frameworks: tuple[str, ...] = ()


_KINDS = (
    EngineKind("onnx", "onnx:OnnxEngine", "ONNX files, with ONNX Runtime"),
    EngineKind(
        "openvino", "openvino:OpenVinoEngine", "ONNX and OpenVINO IR files, with OpenVINO", "openvino", ("openvino",)
    ),
    EngineKind(
        "torch", "torch:TorchEngine", "TorchScript files and exported programs, with PyTorch", "torch", ("torch",)
    ),
    EngineKind(
        "tensorflow",
        "tensorflow:TensorFlowEngine",
        "SavedModel folders, with TensorFlow (and .tflite files, with LiteRT)",
        "tensorflow",
        ("tensorflow",),
    ),
    EngineKind("litert", "litert:LiteRtEngine", ".tflite files, with LiteRT", "litert", ("ai_edge_litert",)),
    EngineKind("python", "python:PythonEngine", "a class of one's own: file.py:Class"),
    EngineKind(
        "remote",
        "remote:RemoteEngine",
        "a model on another server: Open Inference Protocol, TensorFlow Serving, plain HTTP",
        "remote",
        ("urllib3", "grpc", "tritonclient"),
    ),
    EngineKind("motion", "motion:MotionEngine", "no file: finds whatever moves"),
)

ENGINES: dict[str, EngineKind] = {kind.name: kind for kind in _KINDS}
"""Every engine of camcount's own; packages add theirs under the entry point group ``camcount.engines``."""


def engine_for(
    name: str,
    artifact: str | Path | bytes | None = None,
    *,
    threads: int = 1,
    providers: Sequence[str] | None = None,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """The engine of that name with the artifact loaded.

    Args:
        name: a name in `ENGINES`, or of an entry point.
        artifact: a file or folder; an address for ``remote``; ``file.py:Class`` for ``python``; a file's bytes, for
            ``onnx``; none for ``motion``.
        threads: threads inside one `run`, where the engine has them.
        providers: ONNX Runtime's execution providers.
        device: where to run, in the engine's own words.
        options: the engine's own, such as ``precision`` for OpenVINO: the keywords of its class.

    Raises:
        UsageError: no such engine, it is not installed, or it has no such option.
        ModelError: the artifact is not there or cannot be loaded.
    """
    given = dict(options or {})
    given |= {key: value for key, value in {"providers": providers, "device": device}.items() if value is not None}
    if name == "tensorflow" and str(artifact).endswith(".tflite"):
        name = "litert"
    kind = ENGINES.get(name)
    if kind is None:
        return _offered(name, artifact, given)
    if name == "motion":
        return _motion(given)
    if artifact is None:
        raise UsageError(f"engine {name} runs {kind.runs}: name one")
    made = _class(kind)
    if name != "python":
        known = {key for key, value in inspect.signature(made).parameters.items() if value.kind is value.KEYWORD_ONLY}
        if strange := [key for key in given if key not in known]:
            raise UsageError(f"engine {name} has no option {strange[0]!r}: it has {', '.join(sorted(known))}")
        given |= {"threads": threads} if "threads" in known else {}
    return _make(kind, made, artifact, given)


def _class(kind: EngineKind) -> Any:
    module, _, name = kind.home.partition(":")
    try:
        return getattr(importlib.import_module(f"camcount.engines.{module}"), name)
    except ModuleNotFoundError as error:
        raise _not_installed(kind, error) from error


def _make(kind: EngineKind, made: Any, artifact: str | Path | bytes, options: Mapping[str, Any]) -> Engine:
    try:
        engine: Engine = made(artifact, **options)
    except ModuleNotFoundError as error:
        raise _not_installed(kind, error) from error
    return engine


def _not_installed(kind: EngineKind, error: ModuleNotFoundError) -> Exception:
    if (error.name or "").partition(".")[0] not in kind.frameworks:
        return error
    return UsageError(f'engine {kind.name} is not installed here: pip install "camcount[{kind.extra}]" brings it')


def _motion(options: Mapping[str, Any]) -> Engine:
    from camcount.engines.motion import MotionEngine, MotionSettings

    try:
        return MotionEngine(MotionSettings(**options))
    except TypeError as error:
        known = ", ".join(inspect.signature(MotionSettings).parameters)
        raise UsageError(f"engine motion does not take {', '.join(options)}: it takes {known}") from error


def _offered(name: str, artifact: Any, options: Mapping[str, Any]) -> Engine:
    offered = [entry.name for entry in entry_points(group=_GROUP)]
    if name not in offered:
        raise UsageError(f"unknown engine {name!r}: choose from {', '.join([*ENGINES, *offered])}")
    from camcount.engines.python import PythonEngine

    return PythonEngine(name, artifact, **options)
