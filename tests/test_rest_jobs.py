"""Asynchronous jobs and the addresses that are told of their end."""

from __future__ import annotations

import asyncio
import base64
import http.server
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
import stamina

from camcount.api.application import application
from camcount.api.errors import Refused
from camcount.api.jobs import Jobs
from camcount.api.webhooks import tell, webhook_of
from camcount.errors import InvalidInput, Overloaded, ServiceError
from camcount.serving.cache import CacheSettings, MemoryCache
from tests.asgi_servers import served
from tests.picture_files import encoded, scene
from tests.planes import StandIn

PICTURE = encoded(scene(), "JPEG")
INFERENCE = "/api/v1/models/detector/inference?mode=async"
BATCH = "/api/v1/models/detector/batch-inference?mode=async"
JPEG = {"Content-Type": "image/jpeg"}
_PLANE = StandIn(slots=1)


class Listener(http.server.BaseHTTPRequestHandler):
    """Notes what is posted; answers with the statuses it is given, then with 200."""

    heard: list[tuple[str, dict[str, Any]]]
    statuses: list[int]

    def do_POST(self) -> None:
        """Takes one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, orjson.loads(body)))
        self.send_response(self.statuses.pop(0) if self.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Is silent."""


@pytest.fixture
def listener() -> Iterator[tuple[type[Listener], str]]:
    kind = type("OneListener", (Listener,), {"heard": [], "statuses": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}/told?job=1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def plane() -> StandIn:
    _PLANE.reset()
    return _PLANE


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        served(application(_PLANE, private_webhooks=True)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        yield http


def ended(client: httpx.Client, address: str) -> dict[str, Any]:
    """The job once it has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(address).json()
        if job["status"] in ("done", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError("it goes on")


def test_a_job_is_accepted_at_once_and_asked_for_later(client: httpx.Client, plane: StandIn) -> None:
    """202 with its address; its result is what the answer would have been."""
    plane.delay_s = 0.5
    accepted = client.post(INFERENCE, content=PICTURE, headers=JPEG)
    assert accepted.status_code == 202
    assert accepted.headers["location"] == accepted.json()["statusUrl"]
    assert client.get(accepted.json()["statusUrl"]).json()["status"] in ("queued", "running")
    job = ended(client, accepted.json()["statusUrl"])
    assert (job["status"], job["jobId"]) == ("done", accepted.json()["jobId"])
    assert job["result"]["results"]["detections"][0]["class"] == "person"


def test_a_batch_can_be_a_job(client: httpx.Client, plane: StandIn) -> None:
    """The same for several pictures."""
    images = [base64.b64encode(PICTURE).decode()] * 3
    accepted = client.post(BATCH, json={"images": images})
    job = ended(client, accepted.json()["statusUrl"])
    assert [row["imageIndex"] for row in job["result"]["results"]] == [0, 1, 2]


def test_a_job_that_fails_has_its_error(client: httpx.Client, plane: StandIn) -> None:
    """The error of a job is the one that the answer would have been, under the id of its request."""
    plane.failure = ServiceError("the queue is full")
    accepted = client.post(INFERENCE, content=PICTURE, headers={**JPEG, "X-Request-Id": "mine"})
    job = ended(client, accepted.json()["statusUrl"])
    assert job["status"] == "failed"
    assert job["error"] == {
        "code": "SYS_001",
        "message": "the queue is full",
        "details": None,
        "requestId": "mine",
    }


@pytest.mark.parametrize("batch", [False, True], ids=["one picture", "batch"])
def test_a_job_waits_where_too_much_is_asked(client: httpx.Client, plane: StandIn, batch: bool) -> None:
    """A full queue refuses an interactive request at once; a job comes again until there is room."""
    plane.failure = Overloaded("the queue is full", 0.02)
    if batch:
        accepted = client.post(BATCH, json={"images": [base64.b64encode(PICTURE).decode()]})
    else:
        accepted = client.post(INFERENCE, content=PICTURE, headers=JPEG)
    deadline = time.monotonic() + 10
    while plane.computed < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    plane.failure = None
    result = ended(client, accepted.json()["statusUrl"])["result"]
    assert "error" not in str(result)
    assert plane.computed >= 3


def test_what_cannot_be_used_is_no_job(client: httpx.Client, plane: StandIn) -> None:
    """A picture that cannot be read is refused at once, not later."""
    assert client.post(INFERENCE, content=b"text", headers=JPEG).status_code == 400


def test_a_cancelled_job_is_not_computed_and_forgotten(client: httpx.Client, plane: StandIn) -> None:
    """DELETE ends it before it is computed; after that there is no such job."""
    plane.delay_s = 1.0
    first, second = (client.post(INFERENCE, content=PICTURE, headers=JPEG).json()["statusUrl"] for _ in range(2))
    assert client.delete(second).status_code == 204
    assert client.get(second).status_code == 404
    assert client.delete(second).json()["error"]["code"] == "INF_001"
    assert ended(client, first)["status"] == "done"
    assert plane.computed == 1


@pytest.mark.parametrize("place", ["query", "body"])
def test_a_webhook_is_told_of_the_end(
    client: httpx.Client, plane: StandIn, listener: tuple[type[Listener], str], place: str
) -> None:
    """The whole job is posted to the address, again if it was not taken."""
    kind, address = listener
    kind.statuses.append(503)
    with stamina.set_testing(True, attempts=3):
        if place == "query":
            accepted = client.post(
                INFERENCE, params={"webhook": address, "mode": "async"}, content=PICTURE, headers=JPEG
            )
        else:
            accepted = client.post(INFERENCE, json={"image": base64.b64encode(PICTURE).decode(), "webhook": address})
        deadline = time.monotonic() + 10
        while len(kind.heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    (_, first), (path, second) = kind.heard
    assert (path, first) == ("/told?job=1", second)
    assert (second["jobId"], second["status"]) == (accepted.json()["jobId"], "done")
    assert second["result"]["results"]["detections"]


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.com/",
        "https:///path",
        "//example.com",
        "https://user:word@example.com/",
        "http://example.com:99999/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://127.0.0.1/",
        "http://localhost:8000/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://192.168.1.4/",
        "http://224.0.0.1/",
    ],
)
def test_webhooks_of_the_servers_own_network_are_refused(address: str) -> None:
    """Only http and https, no passwords, and by default no address that outsiders could not reach themselves."""
    with pytest.raises(InvalidInput, match="webhook"):
        webhook_of(address, private=False)


def test_a_name_that_stands_for_a_private_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch, listener: tuple[type[Listener], str], caplog: pytest.LogCaptureFixture
) -> None:
    """What a name stands for is judged when it is told, and the connection goes to the address that was judged."""
    kind, address = listener
    port = address.split(":")[2].split("/")[0]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", int(port)))])
    webhook = webhook_of(f"http://innocent.example:{port}/", private=False)
    assert webhook is not None
    with stamina.set_testing(True, attempts=1):
        asyncio.run(tell(webhook, b"{}"))
    assert not kind.heard
    assert "was not told: innocent.example is in the server's own network" in caplog.text


def test_a_webhook_that_refuses_is_not_asked_again(listener: tuple[type[Listener], str]) -> None:
    """A redirect is not followed, and 4xx is final."""
    kind, address = listener
    kind.statuses.extend([302, 400])
    webhook = webhook_of(address, private=True)
    assert webhook is not None
    asyncio.run(tell(webhook, b"{}"))
    asyncio.run(tell(webhook, b"{}"))
    assert len(kind.heard) == 2


def _waiting(event: asyncio.Event) -> Callable[[], Awaitable[bytes]]:
    async def work() -> bytes:
        await event.wait()
        return b"{}"

    return work


def test_jobs_are_bounded_in_number_size_and_age() -> None:
    """No more are unfinished than there is room for; ended ones give way, and go when they are old."""

    async def story() -> None:
        jobs, go = Jobs(most=2, waiting_bytes=100, kept_s=1.0, at_once=1), asyncio.Event()
        first = jobs.start(_waiting(go), size=60, request_id="a")
        with pytest.raises(Overloaded, match="MiB of pictures"):
            jobs.start(_waiting(go), size=60, request_id="b")
        second = jobs.start(_waiting(go), size=30, request_id="b")
        with pytest.raises(Overloaded, match="2 jobs are unfinished"):
            jobs.start(_waiting(go), size=1, request_id="c")
        await asyncio.sleep(0)
        assert (first.status, second.status) == ("running", "queued")
        go.set()
        await asyncio.sleep(0.05)
        assert (first.status, second.status) == ("done", "done")
        third = jobs.start(_waiting(go), size=60, request_id="c")
        with pytest.raises(Refused, match="there is no job"):
            jobs.job(first.id)
        assert jobs.job(second.id) is second
        await asyncio.sleep(1.1)
        with pytest.raises(Refused):
            jobs.job(third.id)
        await jobs.close()

    asyncio.run(story())


def test_closing_ends_what_goes_on() -> None:
    """No task outlives its jobs."""

    async def story() -> None:
        jobs = Jobs()
        job = jobs.start(_waiting(asyncio.Event()), size=1, request_id="a")
        task = job.task
        assert task is not None
        await asyncio.sleep(0)
        await jobs.close()
        assert task.cancelled()

    asyncio.run(story())


def test_a_result_is_kept_where_other_servers_find_it() -> None:
    """Another server with the same cache gives a job's answer, until it is deleted."""

    async def story() -> None:
        cache, go = MemoryCache(CacheSettings()), asyncio.Event()
        here, there = Jobs(cache), Jobs(cache)
        job = here.start(_waiting(go), size=1, request_id="a")
        with pytest.raises(Refused):
            await there.answer(job.id)
        go.set()
        while job.task is not None:
            await asyncio.sleep(0.005)
        assert await there.answer(job.id) == job.answer()
        await here.cancel(job.id)
        with pytest.raises(Refused):
            await there.answer(job.id)

    asyncio.run(story())
