"""What the user asked for: `camcount.yaml`, ``CAMCOUNT_…`` variables and flags, in rising order of precedence."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from camcount.errors import GeometryError, UsageError, words_of
from camcount.geometry import Anchor, Line, Zone, parse_line, parse_zone

if TYPE_CHECKING:
    from camcount.models.loading import LoadingSettings


class _Shape(BaseModel):
    """Points as ``[x1, y1, x2, y2, …]`` or ``[[x1, y1], …]``, 0..1 of the picture or pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...] | None = None
    anchor: Anchor | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            value = {"points": value}
        if isinstance(value, dict) and (flat := value.get("points")) and not isinstance(flat[0], (list, tuple)):
            if len(flat) % 2:
                raise ValueError("an odd number of coordinates: give x1, y1, x2, y2, …")
            value = {**value, "points": list(zip(flat[::2], flat[1::2], strict=True))}
        return value


class LineSettings(_Shape):
    """A counting line; ``reverse`` puts ``in`` on the other side."""

    reverse: bool = False

    def named(self, name: str) -> Line:
        """The line itself."""
        line = Line(name, self.points, self.anchor, self.labels)
        return line.reversed if self.reverse else line


class ZoneSettings(_Shape):
    """A zone."""

    def named(self, name: str) -> Zone:
        """The zone itself."""
        return Zone(name, self.points, self.anchor, self.labels)


def _words(value: Any) -> Any:
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    """``a=b,c=d`` as a mapping; a lone number stays a number."""
    if not isinstance(value, str):
        return value
    if "=" not in value:
        return value
    return dict(part.split("=", 1) for part in value.split(",") if part.strip())


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    width, _, height = value.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ValueError(f"{value!r} is not WIDTHxHEIGHT, for example 1280x720")
    return int(width), int(height)


_Model = TypeVar("_Model", bound=BaseModel)
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Size = Annotated[tuple[int, int], BeforeValidator(_size)]
Unit = Annotated[float, Field(ge=0, le=1)]


class ModelSettings(BaseModel):
    """Which detector, and what a model file does not say of itself."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = "motion"
    decoder: str | None = None
    class_names: Words | None = None
    input_size: Size | None = None
    confidence: Annotated[Unit | dict[str, Unit] | None, BeforeValidator(_pairs)] = None
    nms_iou: Unit | None = None
    label_map: Annotated[dict[str, str] | None, BeforeValidator(_pairs)] = None
    providers: Words | None = None
    device: str | None = None
    threads: Annotated[int | None, Field(ge=1, le=256)] = None
    data_plane: bool = False
    require_signed_models: bool = False
    model_public_key: Path | None = None


class LoadingOptions(BaseModel):
    """The ``model_loading`` section: how models come into memory (see `camcount.models.loading.LoadingSettings`)."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    loading_strategy: Literal["lazy", "eager", "hybrid"] = "lazy"
    preload_models: Words = ()
    max_models_in_memory: Annotated[int, Field(ge=1)] | None = None
    memory_limit: str | int | None = None
    gpu_memory_limit: str | int | None = None
    loading_timeout: Annotated[float, Field(gt=0)] = 60.0
    retry_attempts: Annotated[int, Field(ge=0)] = 2
    retry_delay: Annotated[float, Field(ge=0)] = 1.0
    devices: Words = ("cpu",)

    def settled(self) -> LoadingSettings:
        """The same for a loader.

        Raises:
            UsageError: a size that is none.
        """
        from camcount.models.loading import LoadingSettings
        from camcount.models.memory import parse_size

        values = self.model_dump()
        for name in ("memory_limit", "gpu_memory_limit"):
            values[name] = parse_size(values[name]) if values[name] is not None else None
        return LoadingSettings(**values)


class FileAndFlags(BaseSettings):
    """Settings whose arguments carry file and flags already merged; the environment fills what is left."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The arguments, then the environment."""
        return init_settings, env_settings


class Settings(FileAndFlags, ModelSettings):
    """One counting run. Every field can stand in `camcount.yaml` and as ``CAMCOUNT_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="CAMCOUNT_", enable_decoding=False, extra="forbid", protected_namespaces=()
    )

    source: str | None = None
    detections: Path | None = None
    detections_label: str = "person"
    size: Size | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    camera: str | None = None
    start_time: datetime | None = None
    duration: str | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    transport: Literal["tcp", "udp"] = "tcp"
    labels: Words | None = None
    anchor: Anchor = "foot"
    tracker: str = "camcount"
    appearance: Path | None = None
    lines: dict[str, LineSettings] = {}
    zones: dict[str, ZoneSettings] = {}
    every: str | None = None
    scale: Annotated[dict[str, float] | None, BeforeValidator(_pairs)] = None
    model_loading: LoadingOptions = LoadingOptions()

    def drawn_lines(self) -> list[Line]:
        """The lines, in the order they were drawn."""
        return [drawn.named(name) for name, drawn in self.lines.items()]

    def drawn_zones(self) -> list[Zone]:
        """The zones, in the order they were drawn."""
        return [drawn.named(name) for name, drawn in self.zones.items()]

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.appearance is not None and self.tracker != "camcount":
            raise ValueError(f"--appearance goes with the tracker camcount only, and {self.tracker!r} never looks")
        if self.detections is None:
            if self.source is None:
                raise ValueError(
                    "nothing to count: give a SOURCE (a video, a camera URL, demo:street) or --detections"
                )
            if self.size is not None:
                raise ValueError("--size goes with --detections only: a video knows its own size")
            return self
        if self.source is not None:
            raise ValueError("SOURCE and --detections contradict each other: give one of them")
        if self.appearance is not None:
            raise ValueError("--appearance needs a video: --detections come without pictures")
        if self.size is None or self.fps is None:
            raise ValueError("--detections needs --fps N and --size WIDTHxHEIGHT: the file does not say them")
        return self


def load(config: Path | None, flags: dict[str, Any]) -> Settings:
    """Settings from a file, the environment and flags; a flag that is None was not given.

    Raises:
        UsageError: on one line, what is wrong and where.
    """
    of_file, given = ranked(config, flags)
    for kind in ("lines", "zones"):  # what is drawn by flag joins what the file draws
        if kind in given and isinstance(of_file.get(kind), dict):
            given[kind] = of_file[kind] | given[kind]
    return checked(Settings, of_file, given, str(config))


def load_model_loading(config: Path | None, flags: dict[str, Any]) -> LoadingOptions:
    """The ``model_loading`` section of a file, with flags over it; a flag that is None was not given.

    Raises:
        UsageError: on one line, what is wrong and where.
    """
    section = read_yaml(config).get("model_loading", {}) if config else {}
    if not isinstance(section, dict):
        raise UsageError(f"{config}: model_loading must hold settings such as loading_strategy: eager")
    return checked(LoadingOptions, section, _given(flags), f"{config}: model_loading")


def ranked(config: Path | None, flags: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What counts of a file, and the flags that were given; the environment fills in what is in neither.

    Raises:
        UsageError: as `read_yaml`.
    """
    of_file = read_yaml(config) if config else {}
    given = _given(flags)
    # settings consult the environment only for what is not passed in, so it takes out what it knows better
    counts = {n: v for n, v in of_file.items() if n in given or f"CAMCOUNT_{n.upper()}" not in os.environ}
    return counts, given


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def checked(kind: type[_Model], of_file: dict[str, Any], given: dict[str, Any], where: str) -> _Model:
    """Settings of that kind from a file's values, with ``given`` over them.

    Raises:
        UsageError: on one line, what is wrong and where.
    """
    try:
        return kind(**(of_file | given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part != "function-after")
        message = first["msg"].removeprefix("Value error, ")
        origin = f"{where}: " if first["loc"] and first["loc"][0] in of_file else ""
        raise UsageError(f"{origin}{place + ': ' if place else ''}{message}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        UsageError: there is no such file, or it holds no settings.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"no configuration file {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} is not a readable YAML file: {words_of(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold settings such as 'model: file.onnx', one a line")
    return content


def shapes(lines: list[str] | None, zones: list[str] | None) -> dict[str, Any]:
    """The ``lines`` and ``zones`` settings from ``--line`` and ``--zone`` texts.

    Raises:
        GeometryError: a text is not of the right form, or a name is used twice.
    """
    drawn: dict[str, Any] = {"lines": {}, "zones": {}}
    for kind, shape in [("lines", parse_line(text)) for text in lines or ()] + [
        ("zones", parse_zone(text)) for text in zones or ()
    ]:
        if shape.name in drawn[kind]:
            raise GeometryError(f"two {kind} are named {shape.name!r}: give each a name of its own, NAME=x1,y1,…")
        drawn[kind][shape.name] = {"points": shape.points}
    return {kind: named for kind, named in drawn.items() if named}
