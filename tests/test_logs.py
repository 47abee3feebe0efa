"""Log lines: one form for all of them, each with its request id."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog
from uvicorn.config import LOGGING_CONFIG

from camcount.errors import UsageError
from camcount.monitoring.logs import LogRecorder, configure_logging, logged_as
from tests.requests_made import ended


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Puts back what the tests change for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capture: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written, as a machine reads it."""
    return [json.loads(line) for line in capture.readouterr().err.splitlines()]


def test_every_request_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """At DEBUG, with its id, what answered, how it came about and how long each stage took."""
    configure_logging("json", "DEBUG")
    LogRecorder().record(ended(trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    [line] = lines(capsys)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "debug",
        "logger": "camcount.requests",
        "message": "request",
        "request_id": "req-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "model": "people",
        "version": "1.0.0",
        "door": "rest",
        "outcome": "ok",
        "replica": "r0",
        "cached": False,
        "attempts": 1,
        "batch": 1,
        "detections": 2,
        "queue_s": 0.01,
        "preprocess_s": 0.005,
        "inference_s": 0.04,
        "postprocess_s": 0.001,
        "total_s": 0.06,
    }


def test_only_failures_are_written_at_the_usual_level(capsys: pytest.CaptureFixture[str]) -> None:
    """A failed request is a warning; an answered one, or one whose client left, is not worth a line."""
    configure_logging("json", "INFO")
    recorder = LogRecorder()
    for outcome in ("ok", "cancelled", "MODEL_003"):
        recorder.record(ended(outcome=outcome))
    assert [(line["level"], line["outcome"]) for line in lines(capsys)] == [("warning", "MODEL_003")]


@pytest.mark.parametrize("form", ["json", "console"])
def test_libraries_write_in_the_same_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Uvicorn's own set-up is undone; its lines have time, level and logger like ours, once each."""
    for name, settings in LOGGING_CONFIG["loggers"].items():
        # not by dictConfig, which closes every handler of the process: absl's closes pytest's stderr with it
        logger = logging.getLogger(name)
        logger.setLevel(settings["level"])
        logger.propagate = settings.get("propagate", True)
        for _ in settings.get("handlers", ()):
            logger.addHandler(logging.StreamHandler(sys.stderr))
    configure_logging(form, "INFO")
    access = '%s - "%s %s HTTP/%s" %d'
    logging.getLogger("uvicorn.access").info(access, "127.0.0.1:9", "GET", "/metrics", "1.1", 200)
    logging.getLogger("camcount.storage").error("SYS_002: away")
    structlog.stdlib.get_logger("camcount.serving").info("replica started", replica="r0")
    written = capsys.readouterr().err.splitlines()
    assert len(written) == 3
    if form == "json":
        found = [json.loads(line) for line in written]
        assert [line["logger"] for line in found] == ["uvicorn.access", "camcount.storage", "camcount.serving"]
        assert [line["message"] for line in found] == [
            '127.0.0.1:9 - "GET /metrics HTTP/1.1" 200',
            "SYS_002: away",
            "replica started",
        ]
        assert {frozenset(line) - {"replica"} for line in found} == {
            frozenset(("time", "level", "logger", "message"))
        }
    else:
        assert all(
            word in line for word, line in zip(("GET /metrics", "SYS_002", "replica=r0"), written, strict=True)
        )
        assert not [line for line in written if "\x1b" in line]  # this is no terminal


def test_the_request_id_is_on_every_line_within(capsys: pytest.CaptureFixture[str]) -> None:
    """Also on a library's, also with many requests at once on one event loop, and not on what comes after."""
    configure_logging("json", "INFO")

    async def one(number: int) -> None:
        with logged_as(f"req-{number}"):
            await asyncio.sleep(0.001 * (5 - number))
            logging.getLogger("library").info("step %d", number)

    async def all_at_once() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    asyncio.run(all_at_once())
    logging.getLogger("library").info("after")
    *within, after = lines(capsys)
    assert sorted((line["message"], line["request_id"]) for line in within) == [
        (f"step {number}", f"req-{number}") for number in range(5)
    ]
    assert "request_id" not in after


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_clients_send_cannot_forge_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks and a terminal's commands are written as escapes."""
    configure_logging(form, "INFO")
    LogRecorder().record(ended(outcome="MODEL_001", model="x\n2026-03-01 admin logged in\x1b[31m", request_id="a\rb"))
    logging.getLogger("library").warning("no such file: %s", "y\nforged")
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert not {"\x1b", "\r"} & set(written)


def test_exceptions_are_part_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The traceback is for the log, on the one line of its JSON object."""
    configure_logging("json", "INFO")
    try:
        raise ValueError("odd shape")
    except ValueError:
        logging.getLogger("camcount").exception("it failed")
    [line] = lines(capsys)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: odd shape")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_tells_no_values(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the variables held when it failed, a password among it, is nobody's business."""
    configure_logging(form, "INFO")

    def connect(password: str) -> None:
        raise ConnectionError(f"refused after {len(password)} letters")

    try:
        connect("hun" + "ter2")
    except ConnectionError:
        logging.getLogger("camcount").exception("it failed")
    written = capsys.readouterr().err
    assert "refused after 7 letters" in written
    assert "hunter2" not in written


def test_odd_values_do_not_stop_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that JSON does not know is written as text."""
    configure_logging("json", "INFO")
    structlog.stdlib.get_logger("camcount").info("shape", of=object, moment=datetime(2026, 3, 1))
    [line] = lines(capsys)
    assert line["moment"] == "2026-03-01 00:00:00"


def test_configuring_again_changes_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    """And doubles no line."""
    configure_logging("json", "INFO")
    configure_logging("console", "WARNING")
    logging.getLogger("camcount").info("quiet")
    logging.getLogger("camcount").warning("loud")
    [line] = capsys.readouterr().err.splitlines()
    assert "loud" in line
    assert not line.startswith("{")


@pytest.mark.parametrize(("form", "level"), [("xml", "INFO"), ("json", "LOUD")])
def test_unknown_forms_and_levels_are_refused(form: str, level: str) -> None:
    """With those that there are."""
    with pytest.raises(UsageError, match=r"json or console|DEBUG, INFO"):
        configure_logging(form, level)
