"""The comparison of servers measures what it says: the job, the load, the verdicts, the faults."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.serving_bad_inputs import rows
from bench.serving_faulty import Faulty
from bench.serving_frames import frames
from bench.serving_job import Job, agree, write_job
from bench.serving_load import Load, OpenLoop, queued
from bench.serving_report import draw
from bench.serving_results import LEVELS, OWN, STOCK, Block, Floor, Open, Results, Turns
from bench.serving_scenes import Watch
from bench.serving_servers import Contender, Running, free_port

from camcount.detection.load import detector_for
from camcount.video.encoded import picture_frame


@pytest.fixture(scope="module")
def pictures(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Some of the pictures that are posted."""
    return [path.read_bytes() for path in frames(data, tmp_path_factory.mktemp("frames"))[:4]]


@pytest.mark.parametrize("scaled", [False, True])
def test_the_job_of_the_peers_finds_what_camcount_finds(
    data: Path, tmp_path: Path, pictures: list[bytes], scaled: bool
) -> None:
    """What is compared is the same work: all sure boxes are there, whole and scaled decoding alike."""
    model = data / "weights" / "yolox_nano_416x416.onnx"
    job = Job(write_job(tmp_path, {(416, 416): model}, classes=80, scaled=scaled))
    detector = detector_for(str(model), confidence=0.25)
    sure = same = 0
    for picture in pictures:
        found = detector.detect([picture_frame(picture)])[0]
        boxes = [
            {"label": found.labels[k], "box": [x, y, right - x, bottom - y]}
            for k, (x, y, right, bottom) in zip(found.class_id, found.xyxy.tolist(), strict=True)
        ]
        of, both = agree(job.detect(picture), boxes)
        sure, same = sure + of, same + both
    assert sure >= 10
    assert same >= 0.95 * sure


def test_no_picture_is_a_value_error(data: Path, tmp_path: Path) -> None:
    """The peers' few lines answer 400 to that."""
    model = data / "weights" / "yolox_nano_416x416.onnx"
    job = Job(write_job(tmp_path, {(416, 416): model}, classes=80, scaled=False))
    for bad in (b"", b"no picture"):
        with pytest.raises(ValueError, match="no picture"):
            job.run(bad)


def _load(rate: float, p95: float, errors: int = 0) -> Load:
    return Load(rate=rate, p50=p95 / 2, p95=p95, p99=p95, refused=errors, broken=0, cpu_ms=10)


def _results(ours: float, p95: float) -> Results:
    results = Results()
    floors = {job: [Floor(100, 9.5), Floor(100, 9.5)] for job in ("F1", "F1 scaled")}
    results.blocks[STOCK] = [Block({8: _load(ours, p95), 100: _load(ours, p95)}, floors)]
    results.blocks["Other"] = [Block({8: _load(90, 100), 100: _load(80, 1000)}, floors)]
    results.blocks[OWN] = [Block({32: _load(150, 200)}, {"F2": [Floor(160, 6), Floor(140, 6)]})]
    turns = {job: Floor(100, 9.5) for job in ("F1", "F1 scaled")}
    results.turns[STOCK] = [Turns(8, rate, 10, 0, turns) for rate in (ours, ours + 9, ours - 9)]
    results.turns[OWN] = [Turns(32, 93, 10, 0, {"F2": Floor(100, 9.5)})]
    return results


def test_verdicts_follow_from_the_figures() -> None:
    """A ratio is that of the turns, the median of the rounds, and the best peer is the best at any load."""
    found = {verdict.demand: verdict for verdict in _results(98, 900).verdicts()}
    assert len(found) == 5
    assert all(verdict.met for verdict in found.values())
    assert "1.667" in [verdict.measured for verdict in found.values()]
    missed = [verdict.demand for verdict in _results(96, 1100).verdicts() if not verdict.met]
    assert len(missed) == 3
    assert missed[-1] == "F1, c=100: p95 no worse than the best peer's"


def test_a_chart_needs_the_floor_of_the_stock_job(tmp_path: Path) -> None:
    """A run of one server only ends without one; with it there is a picture."""
    results = Results()
    loads = {level: _load(100.0 / level, 90) for level in LEVELS}
    results.blocks[OWN] = [Block(loads, {"F2": [Floor(160, 6)]})]
    draw(tmp_path / "chart.png", results)
    assert not list(tmp_path.iterdir())
    results.blocks["Other"] = [Block(loads, {"F1": [Floor(100, 9)]})]
    draw(tmp_path / "chart.png", results)
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_errors_of_our_own_are_counted_and_those_of_others_not() -> None:
    """They alone decide how the benchmark ends."""
    results = _results(98, 900)
    results.blocks["Other"][0].loads[8] = _load(90, 100, errors=7)
    assert results.errors() == 0
    results.open.append(Open(rate=100, load=replace(_load(100, 50), broken=2), floor=125, bare_p95=30))
    assert [verdict.met for verdict in results.verdicts() if "0.80 of the floor" in verdict.demand] == [False]
    assert results.errors() == 2


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses some requests, and closes the connection after the second."""
    with suppress(asyncio.IncompleteReadError):
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(next(line[15:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")))
            body = await reader.readexactly(size)
            status = b"503 Busy" if body == b"refuse" else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()
    await writer.wait_closed()


def test_the_open_loop_counts_every_request_and_survives_closed_connections() -> None:
    """A connection that the server closed while it was idle is no error of the server's."""

    async def measure() -> tuple[OpenLoop, Load]:
        port = free_port()
        async with await asyncio.start_server(_serve, "127.0.0.1", port):
            loop = OpenLoop(port, "/x", {"Content-Type": "image/jpeg"}, [b"one", b"two", b"refuse"])
            load = await loop.run(rate=60, seconds=1.0)
            await asyncio.sleep(0.1)  # until the server has seen that its client is gone
            return loop, load

    loop, load = asyncio.run(measure())
    assert 30 < len(loop.statuses) == len(loop.latencies) < 100
    assert load.broken == 0
    assert load.refused == len(loop.statuses) // 3
    assert load.p50 < 500


def test_two_workers_and_a_queue() -> None:
    """The third waits for the first to end, the fourth for the second; who comes to an idle one waits for nobody."""
    assert queued([0.0, 0.1, 0.2, 0.3, 5.0], 1.0, workers=2) == pytest.approx([1.0, 1.0, 1.8, 1.8, 1.0])


def test_the_open_loop_in_parts_counts_all_of_them() -> None:
    """The load of the last part is that of all."""
    loop = OpenLoop(free_port(), "/x", {}, [b"one"])
    for rate in (50, 100):
        load = asyncio.run(loop.run(rate, seconds=0.3))
        assert loop.due == sorted(loop.due)
        assert 0 < loop.due[0] < loop.due[-1] <= 0.3
    assert load.broken == len(loop.latencies) > len(loop.due)


def test_the_open_loop_counts_what_never_answers() -> None:
    """Nobody listens: every request is broken."""
    loop = OpenLoop(free_port(), "/x", {}, [b"one"])
    load = asyncio.run(loop.run(rate=50, seconds=0.3))
    assert load.broken == len(loop.statuses) > 0


def test_the_faulty_detector_obeys_orders(tmp_path: Path) -> None:
    """Only the instance that is meant fails, and only as long as it is told to; what ends its thread does so once."""
    first, second = Faulty(None, str(tmp_path)), Faulty(None, str(tmp_path))
    assert (first.number, second.number) == (1, 2)
    feeds = {"images": np.zeros((1, 3, 64, 64), np.float32)}
    (tmp_path / "raise-1").touch()
    (tmp_path / "exit-2").touch()
    with pytest.raises(RuntimeError):
        first.run(feeds)
    with pytest.raises(SystemExit):
        second.run(feeds)
    (tmp_path / "raise-1").unlink()
    assert first.run(feeds)[0].shape == second.run(feeds)[0].shape == (1, 1, 6)


def test_a_breaker_has_closed_when_it_was_seen_open_before() -> None:
    """One that never opened has not closed, and one that is open at the end has not either."""
    contender = Contender("none", lambda folder, port: [], "/", "/")
    watch = Watch(Running(contender, 0, None, Path()))  # type: ignore[arg-type] # nothing runs here
    watch.seen = [(0.2, {"a": "closed", "b": "closed"})]
    assert (watch.opened(), watch.closed()) == (None, None)
    watch.seen.append((1.0, {"a": "open", "b": "closed"}))
    assert (watch.opened(), watch.closed()) == (1.0, None)
    watch.seen += [(4.0, {"a": "half-open", "b": "closed"}), (4.2, {"a": "closed", "b": "closed"})]
    assert (watch.opened(), watch.closed()) == (1.0, 4.2)


def test_bad_pictures_are_as_bad_as_their_names(pictures: list[bytes]) -> None:
    """A row is refused for what its name says, and for nothing else."""
    given = rows(pictures[0], b"")
    assert len(given["half a JPEG"][0]) == len(pictures[0]) // 2
    assert len(given["50 MB of zeros"][0]) > 20 * 1024 * 1024
    assert given["a model that is not there"][0] == pictures[0]
