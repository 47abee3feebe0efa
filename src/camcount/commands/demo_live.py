"""``camcount demo --live``: the built-in street as a camera of a server, what was true beside what it counted."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from camcount.errors import UsageError

CAMERA = "street"
_SETTLE_S = 3.0
"""A crossing is dated back, by no more than this."""


class LiveDemo:
    """A server with one camera: the street of ``seed``, over and over.

    Args:
        seconds: after which the street begins again.
        database: the SQLite file, made if it is not there.
    """

    def __init__(self, seed: int, seconds: float, database: Path) -> None:
        from camcount.video.synthetic import StreetScene

        self._street = StreetScene(seed=seed, seconds=seconds)
        self._database, self._broker = database, ""
        self._ended = threading.Event()
        self._true: Counter[str] = Counter()
        self._crossings: list[tuple[float, str]] = []
        self._after = 0

    def run(self, port: int, mqtt: str | None, model: str | None) -> None:
        """Serves until it is told to stop.

        Raises:
            CamcountError: as `camcount.server.Server`.
        """
        from camcount.server import serve
        from camcount.server_settings import load_server_settings

        street = self._street
        camera = {
            "source": f"demo:street?seed={street.seed}&seconds={street.seconds:g}",
            "loop": True,
            "lines": {line.name: [value for point in line.points for value in point] for line in street.lines},
        }
        flags: dict[str, Any] = {
            "port": port,
            "database_url": f"sqlite:///{self._database}",
            "cameras": {CAMERA: camera},
            "log_level": "warning",
        }
        if model is not None:
            flags["models"] = {"detector": model}
        if mqtt is not None:
            host, self._broker = broker_of(mqtt)
            flags["sinks"] = {"mqtt": host}
        try:
            serve(load_server_settings(None, flags), self._started)
        finally:
            self._ended.set()
        sys.stdout.write(f"stopped; what was counted is in {self._database}\n")

    def _started(self, http: str, grpc: str) -> None:
        threading.Thread(target=self._watch, args=(http,), name="demo", daemon=True).start()

    def _watch(self, http: str) -> None:
        """Says what can be asked, and after each turn of the street what was counted of it and what was true."""
        while not self._ended.is_set():
            with suppress(OSError):
                camera = _asked(f"{http}/api/v1/cameras/{CAMERA}")
                if camera["state"] == "running":
                    break
            self._ended.wait(0.1)
        else:
            return
        sys.stdout.write(self._told(http))
        sys.stdout.flush()
        self._true = Counter(crossing.line for crossing in self._street.truth())
        begin_s, turn = datetime.fromisoformat(camera["since"]).timestamp(), 1
        while not self._ended.wait(max(0.0, begin_s + self._street.seconds + _SETTLE_S - time.time())):
            with suppress(OSError):
                self._compare(http, begin_s, turn)
            begin_s, turn = begin_s + self._street.seconds, turn + 1

    def _told(self, http: str) -> str:
        look = f"  look     {http}/\n" if _is_there(f"{http}/") else ""
        listen = (
            f"  MQTT     mosquitto_sub {self._broker} -t 'camcount/{CAMERA}/lines/#' -v\n" if self._broker else ""
        )
        return (
            f"camcount serves at {http} and counts the demo street live, until Ctrl-C\n{look}"
            f"  picture  {http}/api/v1/cameras/{CAMERA}/snapshot\n"
            f"  counts   camcount counts {http}\n"
            f"  HTTP     curl {http}/api/v1/cameras/{CAMERA}\n{listen}"
            f"  kept in  {self._database}\n"
        )

    def _compare(self, http: str, begin_s: float, turn: int) -> None:
        self._read(http)
        end_s = begin_s + self._street.seconds
        counted = Counter(line for at_s, line in self._crossings if begin_s <= at_s < end_s)
        self._crossings = [crossing for crossing in self._crossings if crossing[0] >= end_s]
        true = self._true
        told = ", ".join(f"{line.name} {counted[line.name]} (true {true[line.name]})" for line in self._street.lines)
        sys.stdout.write(f"turn {turn}: counted {counted.total()} of {true.total()} true crossings: {told}\n")
        sys.stdout.flush()

    def _read(self, http: str) -> None:
        """The crossings that were committed since the last time."""
        more = True
        while more:
            page = _asked(f"{http}/api/v1/events?camera={CAMERA}&type=crossing&after={self._after}&limit=1000")
            for event in page["events"]:
                self._crossings.append((datetime.fromisoformat(event["time"]).timestamp(), event["subject"]))
            self._after, more = page["next"], page["more"]


def broker_of(text: str) -> tuple[dict[str, Any], str]:
    """The settings of a broker, and what ``mosquitto_sub`` is told of it.

    >>> broker_of("localhost"), broker_of("10.0.0.2:1884")
    (({'host': 'localhost'}, '-h localhost'), ({'host': '10.0.0.2', 'port': 1884}, '-h 10.0.0.2 -p 1884'))

    Raises:
        UsageError: the port is no number.
    """
    host, colon, port = text.partition(":")
    if not colon:
        return {"host": host}, f"-h {host}"
    if not (port.isascii() and port.isdigit()):
        raise UsageError(f"--mqtt {text!r} is no broker: write HOST or HOST:PORT, as in localhost:1883")
    return {"host": host, "port": int(port)}, f"-h {host} -p {port}"


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _is_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False
