"""The OpenAPI document, and a tool that takes it by its word."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from camcount.api.application import application
from camcount.api.errors import STATUS
from camcount.api.event_stream import PARAMETERS, event_router
from camcount.delivery.feed import Feed
from tests.asgi_servers import served
from tests.event_logs import MemoryLog, crossing
from tests.planes import StandIn


class Points:
    """A database with one point."""

    def series(self, model: str, since: datetime, until: datetime, names: Sequence[str]) -> list[dict[str, Any]]:
        """One point."""
        return [{"time": "2026-01-01T00:00:00Z", **dict.fromkeys(names, 1.5)}]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """With two events in the log, and the feed closed: streams tell what there is and end, as a tool needs it."""
    log = MemoryLog()
    log.append(crossing(1), crossing(2))
    feed = Feed(log)
    feed.close()
    events = event_router(log, feed)
    with served(application(StandIn(), routers=[events], series=Points(), render=lambda: b"up 1\n")) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def document(address: str) -> dict[str, Any]:
    made: dict[str, Any] = httpx.get(f"{address}/openapi.json").json()
    return made


def test_every_call_is_described(document: dict[str, Any]) -> None:
    """All addresses, each with a summary, and nothing that answers in another form of error."""
    assert sorted(document["paths"]) == [
        "/api/v1/events",
        "/api/v1/jobs/{jobId}",
        "/api/v1/models",
        "/api/v1/models/{modelId}",
        "/api/v1/models/{modelId}/batch-inference",
        "/api/v1/models/{modelId}/inference",
        "/api/v1/models/{modelId}/load",
        "/api/v1/models/{modelId}/metrics",
        "/api/v1/models/{modelId}/reload",
        "/api/v1/models/{modelId}/status",
        "/api/v1/models/{modelId}/unload",
        "/health/live",
        "/health/ready",
        "/metrics",
    ]
    assert all(call["summary"] for calls in document["paths"].values() for call in calls.values())
    assert "HTTPValidationError" not in str(document)


def test_both_kinds_of_body_and_every_code_have_an_example(document: dict[str, Any]) -> None:
    """The picture call shows the file and the JSON, and each code that it can answer with."""
    call = document["paths"]["/api/v1/models/{modelId}/inference"]["post"]
    content = call["requestBody"]["content"]
    assert {"image/jpeg", "image/png", "image/webp", "image/bmp", "application/json"} <= set(content)
    assert "image" in content["application/json"]["example"]
    shown: dict[str, int] = {}
    for status, told in call["responses"].items():
        for example in told.get("content", {}).get("application/json", {}).get("examples", {}).values():
            shown.setdefault(example["value"]["error"]["code"], int(status))
    assert set(shown) == {code for code in STATUS if not code.startswith(("SRC", "GEO"))}
    assert all(STATUS[code].http == status for code, status in shown.items() if code not in ("SYS_001", "INF_001"))


def test_events_are_described_as_a_page_and_as_a_stream(document: dict[str, Any], address: str) -> None:
    """Both media types with all that may be asked for, and the stream is what the example says."""
    call = document["paths"]["/api/v1/events"]["get"]
    asked = [parameter["name"] for parameter in call["parameters"] if parameter["in"] == "query"]
    assert sorted(asked) == sorted(PARAMETERS)
    content = call["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    assert "INF_001" in call["responses"]["400"]["description"]
    told = httpx.get(f"{address}/api/v1/events?after=0", headers={"Accept": "text/event-stream"})
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "id: 1\ndata: {" in told.text
    assert content["text/event-stream"]["example"].startswith("id: 481\ndata: {")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No schema is named that is not there."""
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])


def test_the_page_of_calls_needs_nothing_from_elsewhere(address: str) -> None:
    """Every call with a command; no script, no font, no address of another host."""
    page = httpx.get(f"{address}/docs").text
    assert "curl -H &#x27;Content-Type: image/jpeg&#x27; --data-binary @frame.jpg" in page
    assert "/api/v1/models/yolox-nano/batch-inference" in page
    assert "<script" not in page
    assert set(re.findall(r"https?://[\w.:-]+", page)) == {address}


def test_a_tool_that_takes_the_document_by_its_word_finds_no_5xx(address: str, tmp_path: Path) -> None:
    """schemathesis: no 5xx, and no status, media type or body that the document does not tell of."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{address}/openapi.json", "--no-color"]
    limits = [
        "--max-examples",
        "6",
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "1",
        "--checks",
        checks,
        "--suppress-health-check",
        "all",
    ]
    done = subprocess.run([*command, *limits], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "Tested: 15" in done.stdout
