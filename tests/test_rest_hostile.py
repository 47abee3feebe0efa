"""Requests that are made to hurt, or end badly: bodies that are too long, bombs, clients that go away."""

from __future__ import annotations

import base64
import http.client
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from camcount.api.application import application
from tests.asgi_servers import served
from tests.picture_files import bomb, damaged_inside, encoded, noise, scene
from tests.planes import StandIn

INFERENCE = "/api/v1/models/detector/inference"
BATCH = "/api/v1/models/detector/batch-inference"
PICTURE = encoded(noise(640, 480), "JPEG")
JUNK = bytes(50 * 2**20)
_PLANE = StandIn(slots=1)


@pytest.fixture
def plane() -> StandIn:
    _PLANE.reset()
    return _PLANE


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(application(_PLANE)) as number:
        yield number


def post(port: int, content: bytes, path: str = INFERENCE, kind: str = "image/jpeg") -> tuple[int, str]:
    """Status and code of one POST."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, content, {"Content-Type": kind})
    answer = connection.getresponse()
    body = orjson.loads(answer.read())
    connection.close()
    return answer.status, body.get("error", {}).get("code", "")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (PICTURE[: len(PICTURE) // 2], 400, "INF_001"),
        (PICTURE[:300], 400, "INF_001"),
        (b"this is text", 400, "INF_001"),
        (b"", 400, "INF_001"),
        (JUNK, 413, "INF_001"),
        (bomb(), 400, "INF_001"),
        (damaged_inside(PICTURE), 422, "INF_002"),
        (encoded(scene(), "GIF"), 400, "INF_001"),
    ],
    ids=["truncated", "300 bytes", "text", "empty", "50 MB", "bomb", "damaged", "GIF"],
)
def test_bad_input_is_a_4xx_with_a_code(port: int, plane: StandIn, content: bytes, status: int, code: str) -> None:
    """Every kind of bad input is told apart, and a good picture is answered right after it."""
    assert post(port, content) == (status, code)
    assert post(port, PICTURE) == (200, "")


def _kilobytes(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.alone
def test_four_bombs_at_once_are_refused_at_once(port: int, plane: StandIn) -> None:
    """Four pictures of 400 megapixels each cost under 50 ms together and no memory; best of three."""
    content = bomb()
    times = []
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = _kilobytes("VmRSS")
    for _ in range(3):
        answers: list[tuple[int, str]] = []
        threads = [threading.Thread(target=lambda: answers.append(post(port, content))) for _ in range(4)]  # noqa: B023 # joined below
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times.append(time.perf_counter() - started)
        assert answers == [(400, "INF_001")] * 4
    assert min(times) < 0.05
    assert _kilobytes("VmHWM") - before < 250_000
    assert not plane.asked


def by_http_client(port: int) -> tuple[int, bytes]:
    """Says beforehand how long it is."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", INFERENCE, JUNK, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def by_http_client_in_chunks(port: int) -> tuple[int, bytes]:
    """Does not say how long it will be."""
    parts = (JUNK[at : at + 2**20] for at in range(0, len(JUNK), 2**20))
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", INFERENCE, parts, {"Content-Type": "image/jpeg"}, encode_chunked=True)
        answer = connection.getresponse()
        return answer.status, answer.read()


def by_urllib(port: int) -> tuple[int, bytes]:
    """Closes the connection after each request."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{INFERENCE}", JUNK, {"Content-Type": "image/jpeg"})
    try:
        urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    raise AssertionError("it was taken")


def _curl(port: int, *arguments: str) -> tuple[int, bytes]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    address = f"http://127.0.0.1:{port}{INFERENCE}"
    arguments = ("--header", "Content-Type: image/jpeg", "--write-out", "%{http_code}", *arguments)
    command = ["curl", "--silent", "--show-error", "--data-binary", "@-", *arguments]
    done = subprocess.run([*command, address], input=JUNK, capture_output=True, timeout=60, check=True)
    return int(done.stdout[-3:]), done.stdout[:-3]


def by_curl(port: int) -> tuple[int, bytes]:
    """Asks first whether it may send so much."""
    return _curl(port)


def by_curl_without_asking(port: int) -> tuple[int, bytes]:
    """Sends at once."""
    return _curl(port, "--header", "Expect:")


def by_curl_in_chunks(port: int) -> tuple[int, bytes]:
    """Sends at once and does not say how much."""
    return _curl(port, "--header", "Expect:", "--header", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    "way",
    [by_http_client, by_http_client_in_chunks, by_urllib, by_curl, by_curl_without_asking, by_curl_in_chunks],
)
def test_a_body_that_is_too_long_gets_an_answer_that_can_be_read(
    port: int, plane: StandIn, way: Callable[[int], tuple[int, bytes]]
) -> None:
    """413 with the limit, however the client sends; not a connection that breaks."""
    status, body = way(port)
    error = orjson.loads(body)["error"]
    assert (status, error["code"]) == (413, "INF_001")
    assert "20 MiB" in error["message"]


def test_a_refusal_before_the_body_was_read_keeps_the_connection(port: int, plane: StandIn) -> None:
    """415 is told while the body still comes, and the same connection then serves a good picture."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", INFERENCE, bytes(8 * 2**20), {"Content-Type": "text/plain"})
        refused = connection.getresponse()
        assert (refused.status, orjson.loads(refused.read())["error"]["code"]) == (415, "INF_001")
        connection.request("POST", INFERENCE, PICTURE, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) > 100) == (200, True)


def _begun(port: int, content: bytes, path: str = INFERENCE, kind: str = "image/jpeg") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert what()


def test_what_nobody_waits_for_is_not_computed(port: int, plane: StandIn) -> None:
    """Ten requests wait behind one; their clients go away, and only the one is computed."""
    plane.delay_s = 2.0
    first = _begun(port, PICTURE)
    _until(lambda: plane.computed == 1)
    waiting = [_begun(port, PICTURE) for _ in range(10)]
    _until(lambda: len(plane.asked) == 11)
    for connection in waiting:
        connection.close()
    assert b"200 OK" in first.recv(1000)
    first.close()
    time.sleep(0.1)
    assert plane.computed == 1
    plane.delay_s = 0.0
    assert post(port, PICTURE) == (200, "")


def test_a_batch_that_nobody_waits_for_is_not_computed(port: int, plane: StandIn) -> None:
    """The rest of a batch is dropped when its client goes away."""
    plane.delay_s = 0.5
    body = orjson.dumps({"images": [base64.b64encode(PICTURE).decode()] * 20, "batchSize": 4})
    connection = _begun(port, body, BATCH, "application/json")
    _until(lambda: plane.computed >= 1)
    connection.close()
    time.sleep(1.5)
    assert plane.computed <= 2


def test_a_client_that_goes_in_the_middle_of_its_body_leaves_nothing(port: int, plane: StandIn) -> None:
    """Half a body is no request."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    head = f"POST {INFERENCE} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
    connection.sendall(head.encode() + PICTURE[:5000])
    connection.close()
    assert post(port, PICTURE) == (200, "")
    assert len(plane.asked) == 1


def test_a_body_that_does_not_come_is_given_up(port: int, plane: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes silent in the middle does not hold its place for ever."""
    monkeypatch.setattr("camcount.api.reading._BODY_S", 0.1)
    monkeypatch.setattr("camcount.api.entrance._DRAINED_S", 0.1)
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as connection:
        head = f"POST {INFERENCE} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"half")
        answer = b""
        while part := connection.recv(10_000):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not come within 0.1 s" in answer


@pytest.mark.parametrize(
    "content",
    [
        b'{"image": "' + b"A" * 1_000_001 + b'"}',
        b"[" * 100_000,
        b'{"image": "\xff\xfe"}',
        b'{"image": "\\ud800"}',
        b'{"image": null}',
        b'{"image": "", "options": null}',
        b'{"image": "data:,"}',
        b'{"image": "' + "é".encode() + b'"}',
        b"\x00" * 1000,
        b"",
    ],
    ids=[
        "long",
        "nested",
        "not UTF-8",
        "surrogate",
        "null",
        "null options",
        "no data",
        "not ASCII",
        "zeros",
        "empty",
    ],
)
def test_json_made_to_hurt_is_refused(port: int, plane: StandIn, content: bytes) -> None:
    """Whatever stands in a JSON body, the answer is 400 with INF_001."""
    assert post(port, content, kind="application/json") == (400, "INF_001")
    assert post(port, content, BATCH, "application/json") == (400, "INF_001")
