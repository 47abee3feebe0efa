"""``camcount counts``: what the cameras of a running server have counted, as of now."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from camcount.commands import console, options

HERE = "http://127.0.0.1:8000"


def counts(
    server: Annotated[str, typer.Argument(metavar="[ADDRESS]", help="Of a server.")] = HERE,
    json: options.Json = False,
) -> None:
    """Show what the cameras of a running server have counted and how they are; `report` has it by hours and days.

    camcount counts http://127.0.0.1:8000
    """
    cameras = _asked(server)
    if json:
        names = ("name", "state", "reason", "totals", "occupancy", "coverage")
        console.print_json({"cameras": [{name: camera[name] for name in names} for camera in cameras]})
        return
    from camcount.commands.tables import print_counts

    print_counts(cameras)


def _asked(server: str) -> list[dict[str, Any]]:
    import urllib.error
    import urllib.request

    from camcount.errors import ServiceError, UsageError

    if not server.startswith(("http://", "https://")):
        raise UsageError(f"{server!r} is no address of a server: write {HERE}")
    url = f"{server.rstrip('/')}/api/v1/cameras"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[dict[str, Any]] = json_module.load(answer)["cameras"]
    except urllib.error.HTTPError as error:
        with error:
            raise ServiceError(f"{url} answered {error.code}: is it a server of camcount?") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)
        raise ServiceError(f"no camcount answers at {server} ({reason}): start one with camcount serve") from None
    return found
