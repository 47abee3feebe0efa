"""``camcount serve``: pictures in over the network, detections out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL…]", help="Files, packages, registered models, addresses; NAME=MODEL names one."
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen; 0.0.0.0 for everyone. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="For HTTP and WebSocket; 0 takes a free one. [8000]")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="For gRPC; without it there is none.")] = None,
    replicas: Annotated[int | None, typer.Option(help="Of each model. [one per core and one more]")] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM certificate chain; HTTP and gRPC are encrypted then.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its PEM private key.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. [info]")] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json. [console]")] = None,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with any of the server's settings.")] = None,
) -> None:
    """Serve detections over REST, the Open Inference Protocol (HTTP, gRPC) and WebSocket.

    camcount serve yolox_nano.onnx

    curl --data-binary @street.jpg -H "Content-Type: image/jpeg" localhost:8000/api/v1/models/yolox_nano/inference
    """
    from camcount.server_settings import load_server_settings

    flags: dict[str, Any] = {
        "models": _named(models) if models else None,
        "host": host,
        "port": port,
        "grpc_port": grpc_port,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "log_level": log_level,
        "log_format": log_format,
    }
    settings = load_server_settings(config, flags)
    if replicas is not None:
        serving = settings.serving.with_replicas(replicas, settings.serving.max_replicas)
        settings = settings.model_copy(update={"serving": serving})
    from camcount.server import serve as run  # after what may be wrong, for it takes seconds

    run(settings, _tell)


def _named(models: list[str]) -> dict[str, str]:
    from camcount.server_settings import name_of

    named: dict[str, str] = {}
    for text in models:
        name, equals, reference = text.partition("=")
        if not equals:
            name, reference = name_of(text), text
        named[name] = reference
    return named


def _tell(http: str, grpc: str) -> None:
    sys.stdout.write(f"camcount serves at {http}" + (f", gRPC at {grpc}" if grpc else "") + f" ({http}/docs)\n")
    sys.stdout.flush()
