"""Errors as the doors tell them."""

from __future__ import annotations

import logging

import grpc
import orjson
import pytest

from camcount import errors
from camcount.api.errors import STATUS, InvalidFields, Refused, failure
from camcount.errors import CamcountError, InvalidInput, Overloaded, ServiceError


def _codes(kind: type[CamcountError]) -> set[str]:
    return {kind.code}.union(*(_codes(sub) for sub in kind.__subclasses__()))


def test_every_code_has_a_status() -> None:
    """No error of the tree is without its HTTP and gRPC status; the tree's own text names no code that has none."""
    named = {word for word in (errors.__doc__ or "").replace("·", " ").split() if word[-3:].isdigit()}
    assert _codes(CamcountError) <= set(STATUS)
    assert named == set(STATUS)
    assert all(hasattr(grpc.StatusCode, status.grpc) and 400 <= status.http < 600 for status in STATUS.values())


def test_the_body_has_code_message_details_and_request_id() -> None:
    """The body is exactly what clients are told to expect."""
    told = failure(InvalidInput("the picture is empty"), "r-1")
    assert told.status.http == 400
    assert orjson.loads(told.body("r-1")) == {
        "error": {"code": "INF_001", "message": "the picture is empty", "details": None, "requestId": "r-1"}
    }


def test_what_was_not_expected_says_nothing_but_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    """No word of an unexpected exception reaches the client; the log has it under the request's id."""
    with caplog.at_level(logging.ERROR):
        told = failure(RuntimeError("/secret/path"), "r-2")
    assert (told.code, told.status.http) == ("SYS_001", 500)
    assert "secret" not in told.body("r-2").decode()
    assert "r-2" in told.message
    assert "/secret/path" in caplog.text
    assert "r-2" in caplog.text


def test_trying_later_is_said_in_whole_seconds() -> None:
    """Retry-After is at least one second, and rounded up from what the error says."""
    assert failure(ServiceError("not loaded yet")).headers == {"Retry-After": "1"}
    assert failure(Overloaded("the queue is full", 2.1)).headers == {"Retry-After": "3"}
    assert failure(InvalidInput("no")).headers == {}


def test_too_little_memory_is_a_resource_error() -> None:
    """Python's own MemoryError is RES_001, not a mystery."""
    assert (failure(MemoryError()).code, failure(MemoryError()).status.http) == ("RES_001", 503)


def test_a_refusal_has_its_own_status_and_headers() -> None:
    """What HTTP says of a request keeps HTTP's status under the code INF_001; fields are named one by one."""
    told = failure(Refused(405, "no PUT here", headers={"Allow": "GET"}))
    assert (told.code, told.status.http, told.headers) == ("INF_001", 405, {"Allow": "GET"})
    fields = [{"field": "options.maxDetections", "problem": "should be an integer"}]
    assert failure(InvalidFields("one field", fields)).details == fields
