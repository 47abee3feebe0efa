"""How bodies reach an application behind the server's HTTP protocol."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from camcount.api.errors import ClientGone
from camcount.api.reading import LEAVERS, body_of, while_connected
from camcount.errors import ServiceError, UsageError
from camcount.http_server import WholeBodies, http_config, listen, named
from tests.asgi_servers import served

MIB = 2**20


class Pieces:
    """Answers with the lengths of the pieces in which the body came."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.gone = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        self.lengths = []
        more = scope["type"] == "http"
        while more:
            message = await receive()
            self.gone = message["type"] == "http.disconnect"
            self.lengths.append(len(message.get("body", b"")))
            more = message.get("more_body", False)
        if scope["type"] == "http":
            body = repr(self.lengths).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _posted(port: int, body: bytes, *, piece: int = 10_000) -> None:
    """Sends it in many pieces, so that it cannot come at once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    for begin in range(0, len(body), piece):
        connection.send(body[begin : begin + piece])
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("size", [0, 1, 70_000, 400_000])
def test_a_picture_comes_in_one_piece(size: int) -> None:
    """However it was sent."""
    app = Pieces()
    with served(app, http=WholeBodies) as port:
        _posted(port, b"x" * size)
    assert app.lengths == [size]


def test_a_long_body_comes_in_pieces_and_is_not_hoarded() -> None:
    """The application sees early how long it gets; memory holds little more than a mebibyte of it."""
    app = Pieces()
    with served(app, http=WholeBodies) as port:
        _posted(port, b"x" * (8 * MIB))
    assert sum(app.lengths) == 8 * MIB
    assert len(app.lengths) > 4
    assert max(app.lengths) <= 2 * MIB


def test_several_requests_on_one_connection() -> None:
    """A body ends where it ends."""
    app = Pieces()
    with served(app, http=WholeBodies) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        found = []
        for size in (300_000, 5, 3 * MIB, 0):
            connection.request("POST", "/", body=b"y" * size)
            connection.getresponse().read()
            found.append(sum(app.lengths))
        connection.close()
    assert found == [300_000, 5, 3 * MIB, 0]


def test_a_client_that_goes_in_the_middle_of_a_short_body_is_noticed() -> None:
    """Nothing was given to the application yet, and it does not wait for ever."""
    app = Pieces()
    with served(app, http=WholeBodies) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"x" * 10)
    assert app.gone


@pytest.mark.parametrize("protocol", [WholeBodies, "httptools", "h11"])
@pytest.mark.parametrize("late", [False, True])
def test_a_client_that_does_not_wait_for_its_answer_ends_the_work(protocol: Any, late: bool) -> None:
    """Behind any server, and also where it went before anybody began to watch."""
    begun, ended = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        await body_of(receive)
        begun.set()
        if late:
            await asyncio.sleep(0.3)
        try:
            await while_connected(scope, receive, asyncio.sleep(20))
        except ClientGone:
            ended.set()

    with served(app, http=protocol, lifespan="off") as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            assert begun.wait(5)
            time.sleep(0 if late else 0.1)
        assert ended.wait(5)


def test_who_has_an_answer_is_not_told_of_the_end() -> None:
    """One connection, many requests: nothing is left in what they share."""
    left: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        await while_connected(scope, receive, asyncio.sleep(0))
        left.append(len(scope["extensions"][LEAVERS]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with served(app, http=WholeBodies, lifespan="off") as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(3):
            connection.request("POST", "/", body=b"abc")
            connection.getresponse().read()
        connection.close()
    assert left == [0, 0, 0]


def test_an_upgrade_is_left_to_uvicorn() -> None:
    """A request that asks for another protocol than is known is answered as any other."""
    app = Pieces()
    with served(app, http=WholeBodies) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/", body=b"abc", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
        assert connection.getresponse().status == 200
        connection.close()


def test_a_certificate_that_is_not_there_is_named() -> None:
    """Before anything listens."""
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        http_config(Pieces(), drain_s=1, body_limit=1, tls_cert=Path("nowhere.pem"), tls_key=Path("nowhere.pem"))


def test_a_port_that_is_taken_is_said() -> None:
    """With what to do."""
    with listen("127.0.0.1", 0) as taken:
        assert named(taken) == f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServiceError, match="give another --port"):
            listen("127.0.0.1", taken.getsockname()[1])


def test_the_server_uses_it() -> None:
    """Or all this would help nobody."""
    config = http_config(Pieces(), drain_s=1, body_limit=1)
    assert isinstance(config, uvicorn.Config)
    assert config.http_protocol_class is WholeBodies
