"""What `camcount serve` was asked for: `camcount.yaml`, ``CAMCOUNT_…`` variables and flags, in rising order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, SettingsConfigDict

from camcount.cameras.settings import CAMERA_NAME, CameraSettings, Gating, Pace, with_secrets
from camcount.delivery.options import SinkSettings
from camcount.errors import UsageError
from camcount.geometry import Anchor, Line, Zone
from camcount.serving.cache import CacheSettings
from camcount.serving.options import ServedModel, ServingOptions
from camcount.settings import FileAndFlags, LineSettings, LoadingOptions, Words, ZoneSettings, checked, ranked

Port = Annotated[int, Field(ge=0, le=65535)]


def _models(value: Any) -> Any:
    """``{street: yolox.onnx}``, ``{street: {model: …}}``, or a list of references that are named after themselves."""
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if isinstance(value, Sequence):
        value = {name_of(str(reference)): str(reference) for reference in value}
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"model": entry} if isinstance(entry, str) else {"model": name} | (entry or {})
        for name, entry in value.items()
    }


class ShapesEntry(BaseModel):
    """Lines and zones by name; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    lines: dict[str, LineSettings] | None = None
    zones: dict[str, ZoneSettings] | None = None

    def drawn(self) -> tuple[tuple[Line, ...] | None, tuple[Zone, ...] | None]:
        """The lines and the zones, where they are given."""
        lines = None if self.lines is None else tuple(line.named(name) for name, line in self.lines.items())
        zones = None if self.zones is None else tuple(zone.named(name) for name, zone in self.zones.items())
        return lines, zones


class CameraEntry(ShapesEntry):
    """One camera, as `camcount.yaml` and the interface define it; see `camcount.cameras.settings.CameraSettings`.

    Attributes:
        source: ``${NAME}`` in it stands for what the environment, or the secrets file, has under that name.
        model: a served model; the first one, or ``motion`` where there is none, unless given.
        time_zone: in which its intervals close.
    """

    source: str
    model: str = ""
    labels: Words | None = None
    anchor: Anchor = "foot"
    tracker: str = "camcount"
    fps: float | None = None
    priority: float = 1.0
    time_zone: str = "UTC"
    loop: bool = False
    pace: Pace = "auto"
    transport: Literal["tcp", "udp"] = "tcp"
    timeout_s: float = 10.0
    max_lag_s: float = 1.0
    motion_gate: Gating = "auto"
    least_fps: float = 5.0

    def settings(self, model: str) -> CameraSettings:
        """What it comes to, with ``model`` where it names none.

        Raises:
            UsageError, GeometryError: something in it cannot be.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in _NOT_TAKEN_OVER}
        lines, zones = self.drawn()
        return CameraSettings(
            **values, model=self.model or model, zone=self.time_zone, lines=lines or (), zones=zones or ()
        )

    def with_shapes(self, change: ShapesEntry) -> CameraEntry:
        """The same with other lines or zones."""
        given = {
            name: value for name, value in (("lines", change.lines), ("zones", change.zones)) if value is not None
        }
        return self.model_copy(update=given)

    def as_json(self, shown: str | None = None) -> dict[str, Any]:
        """Plain values; with ``shown`` in place of the source."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return values if shown is None else values | {"source": shown}


_NOT_TAKEN_OVER = ("model", "time_zone", "lines", "zones")


class ServerSettings(FileAndFlags, BaseSettings):
    """One server. Every field can stand in `camcount.yaml` and, where it is a plain value, as ``CAMCOUNT_<NAME>``.

    Attributes:
        models: by the name that clients use; each is a file, a package, a registered model or an address.
        registry: whether clients may ask for registered models too; unless given, if no models are named here.
        port, grpc_port: 0 takes a free one; without ``grpc_port`` there is no gRPC.
        body_limit: bytes of one request.
        largest_pixels: of one picture, told from its header before it is decoded.
        private_webhooks: jobs may tell addresses of the server's own network when they are done.
        database_url: where the time series of the measurements go; SQLite in CAMCOUNT_HOME unless given.
        archive_after_days: events stored on earlier days go to Parquet files, once a day; all stay unless given.
        archive_folder: where those files go, and must stay; ``archive`` in CAMCOUNT_HOME unless given.
        triton_metrics: the metrics under Triton's names too.
        traces: OpenTelemetry spans, sent to OTEL_EXPORTER_OTLP_ENDPOINT.
        cameras: by name. sinks: where events go.
        secrets: a file of ``NAME=value`` lines, for ``${NAME}`` in sources and sinks; the environment goes before it.
        dashboard: the web pages at ``/``.
        upload_limit: bytes of a video that is dropped into them.
        drain: seconds that a stopping server goes on answering what it has taken.
    """

    model_config = SettingsConfigDict(
        env_prefix="CAMCOUNT_", enable_decoding=False, extra="forbid", protected_namespaces=()
    )

    models: Annotated[dict[str, ServedModel], BeforeValidator(_models)] = {}
    registry: bool | None = None
    host: str = "127.0.0.1"
    port: Port = 8000
    grpc_port: Port | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    body_limit: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    largest_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    private_webhooks: bool = False
    database_url: str | None = None
    archive_after_days: Annotated[int, Field(ge=1)] | None = None
    archive_folder: Path | None = None
    triton_metrics: bool = False
    traces: bool = False
    dashboard: bool = True
    upload_limit: Annotated[int, Field(ge=1024)] = 8 * 2**30
    drain: Annotated[float, Field(ge=0)] = 10.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    require_signed_models: bool = False
    model_public_key: Path | None = None
    cameras: dict[Annotated[str, Field(pattern=CAMERA_NAME)], CameraEntry] = {}
    sinks: SinkSettings = SinkSettings()
    secrets: Path | None = None
    serving: ServingOptions = ServingOptions()
    model_loading: LoadingOptions = LoadingOptions(loading_strategy="eager")
    cache: Annotated[CacheSettings, Field(default_factory=CacheSettings)]

    @property
    def asks_registry(self) -> bool:
        """Whether names that are not configured are looked up in the registry."""
        return self.registry if self.registry is not None else not self.models


def name_of(reference: str) -> str:
    """What a model is called that was given no name: ``name`` of ``name:1.0.0``, the stem of a file.

    >>> name_of("models/yolox_nano.onnx"), name_of("yolox-nano@champion"), name_of("http://box:8000/v2/models/street")
    ('yolox_nano', 'yolox-nano', 'street')
    """
    if (
        "://" in reference
        or "/" in reference
        or Path(reference).suffix in (".onnx", ".xml", ".tflite", ".pt", ".pt2")
    ):
        stem = Path(reference.rstrip("/")).name
        return re.sub(r"[^A-Za-z0-9._-]", "-", stem.split(".")[0]) or "model"
    return re.split("[:@]", reference)[0]


def load_server_settings(config: Path | None, flags: dict[str, Any]) -> ServerSettings:
    """Settings from a file, the environment and flags; a flag that is None was not given.

    Raises:
        UsageError: on one line, what is wrong and where.
    """
    of_file, given = ranked(config, flags)
    if "sinks" in of_file:
        file = of_file.get("secrets")
        of_file["sinks"] = _revealed(of_file["sinks"], secrets_of(Path(file) if file else None))
    settings = checked(ServerSettings, of_file, given, str(config))
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together: give both, or neither")
    return settings


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a server's `camcount.yaml`."""
    schema = ServerSettings.model_json_schema() | {"title": "camcount.yaml of a server"}
    del schema["properties"]["serving"]["default"]["replicas"]  # that of the machine which writes this
    return schema


def secrets_of(path: Path | None) -> dict[str, str]:
    """``NAME=value`` lines of a file, and the environment, which goes before it.

    Raises:
        UsageError: the file cannot be read, or a line is of another form; no value is shown.
    """
    found: dict[str, str] = {}
    if path is not None:
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the file of secrets {path} cannot be read: {type(error).__name__}") from None
        for number, line in enumerate(lines, 1):
            name, equals, value = line.partition("=")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if not equals or not name.strip().isidentifier():
                raise UsageError(f"line {number} of the secrets in {path} is not NAME=value")
            found[name.strip()] = value.strip()
    return found | dict(os.environ)


def _revealed(value: Any, secrets: Mapping[str, str]) -> Any:
    """Every ``${NAME}`` in the texts of a section replaced."""
    if isinstance(value, str):
        return with_secrets(value, secrets)
    if isinstance(value, Mapping):
        return {name: _revealed(entry, secrets) for name, entry in value.items()}
    return [_revealed(entry, secrets) for entry in value] if isinstance(value, list) else value
