"""Log lines, ours and the libraries', in one form: JSON or plain, each with its request id."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import Processor

from camcount.errors import UsageError
from camcount.stats import RequestStats

LogFormat = Literal["json", "console"]
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")

_log = structlog.stdlib.get_logger("camcount.requests")
_requests = logging.getLogger("camcount.requests")


def configure_logging(form: str = "console", level: str = "INFO") -> None:
    """Sends every log line of this process to standard error in one form; calling it again changes the form.

    Args:
        form: ``json``, one object a line, or ``console``.
        level: the least level that is written.

    Raises:
        UsageError: there is no such form or level.
    """
    if form not in get_args(LogFormat):
        raise UsageError(f"log format {form!r} is not known: json or console")
    if level.upper() not in _LEVELS:
        raise UsageError(f"log level {level!r} is not known: {', '.join(_LEVELS)}")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # so that it can be configured again
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level.upper())
    for name in _UVICORN:  # it brings handlers of its own; started with log_config=None, it leaves these alone
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _rendering(form: str) -> list[Processor]:
    if form == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(default=str),
        ]
    colours = sys.stderr.isatty()
    # structlog's own way of showing an exception tells what every variable held, and takes seconds
    exceptions = structlog.dev.plain_traceback
    return [
        _on_one_line,
        structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="time", exception_formatter=exceptions),
    ]


def _on_one_line(logger: object, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What a client sent must not look like a line of its own, nor colour a terminal."""
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            line[key] = ascii(value)[1:-1]
    return line


@contextmanager
def logged_as(request_id: str) -> Iterator[None]:
    """Every line that is logged within carries this request id, in this thread or asyncio task."""
    with bound_contextvars(request_id=request_id):
        yield


class LogRecorder:
    """One line per request: at DEBUG where it was answered or its client went away, at WARNING where it failed."""

    def record(self, stats: RequestStats) -> None:
        """Writes the line, if that level is written at all."""
        level = logging.DEBUG if stats.outcome in ("ok", "cancelled") else logging.WARNING
        if not _requests.isEnabledFor(level):
            return
        fields: dict[str, object] = {
            "request_id": stats.request_id,
            "trace_id": stats.trace[3:35] if len(stats.trace) == 55 else "",
            "model": stats.model,
            "version": stats.version,
            "door": stats.door,
            "outcome": stats.outcome,
            "reason": stats.reason,
            "replica": stats.replica,
            "fallback": stats.fallback,
            "cached": stats.cached,
            "attempts": stats.attempts,
            "batch": stats.batch,
            "detections": len(stats.confidences),
            "queue_s": round(stats.queue_s, 6),
            "preprocess_s": round(stats.stages.preprocess_s, 6),
            "inference_s": round(stats.stages.inference_s, 6),
            "postprocess_s": round(stats.stages.postprocess_s, 6),
            "total_s": round(stats.total_s, 6),
        }
        _log.log(level, "request", **{name: value for name, value in fields.items() if value != ""})

    def close(self) -> None:
        """Nothing is held back."""
