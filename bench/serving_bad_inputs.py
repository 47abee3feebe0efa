"""Pictures that are none, and pictures that are too much: each refused with a code, in milliseconds."""

from __future__ import annotations

import http.client
import json
import re
import statistics
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.serving_results import Verdict
from bench.serving_servers import Running, camcount, running

_JPEG = {"Content-Type": "image/jpeg"}
_JSON = {"Content-Type": "application/json"}
_SIDE = 20_000


def bomb(folder: Path) -> bytes:
    """A PNG of 20000x20000 black pixels in 1.2 MB, which unfolds to 1.2 GB."""
    path = folder / "bomb.png"
    if not path.exists():
        packing, row = zlib.compressobj(6), bytes(1 + 3 * _SIDE)
        packed = b"".join(packing.compress(row * 100) for _ in range(_SIDE // 100)) + packing.flush()
        header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path.read_bytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@dataclass(frozen=True)
class Reply:
    """An answer, and after how many milliseconds it was there."""

    status: int
    code: str
    ms: float


def ask(server: Running, body: bytes, headers: Mapping[str, str], path: str = "") -> Reply:
    """Posts as an ordinary client does, which hears nothing before it has sent everything."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", path or server.contender.path, body, dict(headers))
        answer = connection.getresponse()
        content, status = answer.read(), answer.status
    except OSError as error:  # broken off before there was anything to read
        content, status = json.dumps({"error": {"code": type(error).__name__}}).encode(), 0
    finally:
        connection.close()
    took = 1000 * (time.perf_counter() - begun)
    found = json.loads(content).get("error") or {}
    return Reply(status, found.get("code", ""), took)


def rows(picture: bytes, unfolding: bytes) -> dict[str, tuple[bytes, Mapping[str, str], str]]:
    """Body, headers and path of every request that is to be refused."""
    return {
        "half a JPEG": (picture[: len(picture) // 2], _JPEG, ""),
        "300 bytes of a JPEG": (picture[:300], _JPEG, ""),
        "text": (b"this is no picture", _JPEG, ""),
        "nothing": (b"", _JPEG, ""),
        "50 MB of zeros": (bytes(50_000_000), _JPEG, ""),
        "a PNG of 20000x20000": (unfolding, {"Content-Type": "image/png"}, ""),
        "a PDF by its type": (picture, {"Content-Type": "application/pdf"}, ""),
        "JSON cut off": (b'{"image": "', _JSON, ""),
        "JSON without an image": (b"{}", _JSON, ""),
        "base64 that is none": (b'{"image": "%%%"}', _JSON, ""),
        "a threshold of 7": (picture, _JPEG, "/api/v1/models/detector/inference?confidenceThreshold=7"),
        "a model that is not there": (picture, _JPEG, "/api/v1/models/nothing/inference"),
        "a path as a model": (picture, _JPEG, "/api/v1/models/..%2f..%2fetc%2fpasswd/inference"),
    }


def bad_inputs(picture: bytes, package: Path, folder: Path) -> list[Verdict]:
    """All rows, then four bombs at once while a good picture is asked for."""
    settings = {"models": {"detector": {"model": str(package.absolute()), "replicas": 2}}}
    unfolding, found = bomb(folder), []
    with running(camcount("bad inputs", settings), folder / "bad-inputs") as server:
        server.post(picture)
        for what, (body, headers, path) in rows(picture, unfolding).items():
            reply = ask(server, body, headers, path)
            good, _ = server.post(picture)
            met = 400 <= reply.status < 500 and bool(re.fullmatch(r"[A-Z]+_\d{3}", reply.code)) and good == 200
            told = f"{reply.status} {reply.code} in {reply.ms:.0f} ms, a good one then {good}"
            found.append(Verdict(f"{what}: 4xx with a code", told, met))
        found += _bombs(server, picture, unfolding)
    return found


def _bombs(server: Running, picture: bytes, unfolding: bytes) -> list[Verdict]:
    rounds = [_at_once(server, picture, unfolding) for _ in range(5)]
    slowest = [max(reply.ms for reply in replies[:4]) for replies in rounds]
    statuses = {reply.status for replies in rounds for reply in replies[:4]}
    good = [replies[4] for replies in rounds]
    peak = _peak_mb(server.process.pid)
    told = f"{statuses}, slowest {statistics.median(slowest):.0f} ms (median of 5, worst {max(slowest):.0f})"
    meanwhile = f"{statistics.median(reply.ms for reply in good):.0f} ms, { ({reply.status for reply in good}) }"
    return [
        Verdict(
            "4 bombs at once: refused in under 50 ms", told, statuses == {400} and statistics.median(slowest) < 50
        ),
        Verdict("4 bombs at once: a good picture meanwhile", meanwhile, all(reply.status == 200 for reply in good)),
        Verdict("all of this with under 250 MB", f"{peak:.0f} MB resident at the most", peak < 250),
    ]


def _at_once(server: Running, picture: bytes, unfolding: bytes) -> list[Reply]:
    """Four bombs and, last in the list, a good picture."""
    replies: dict[int, Reply] = {}
    bodies = [(unfolding, {"Content-Type": "image/png"})] * 4 + [(picture, _JPEG)]
    together = threading.Barrier(len(bodies))

    def post(number: int) -> None:
        together.wait()
        replies[number] = ask(server, *bodies[number])

    threads = [threading.Thread(target=post, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [replies[number] for number in range(len(bodies))]


def _peak_mb(pid: int) -> float:
    """The most that the process ever held in memory (VmHWM)."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
