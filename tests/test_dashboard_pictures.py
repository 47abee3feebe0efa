"""Moving pictures: made once for all who look, by whom they may be seen, and what they may cost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CameraSettings
from camcount.dashboard.pictures import Key, Pictures
from camcount.dashboard.pictures_socket import PATH
from camcount.errors import UsageError
from camcount.geometry import Line
from camcount.protocols import Step
from tests.browsers import demo_server
from tests.live import Blobs, moving_blobs, open_store, until
from tests.serving import Served

GATE, DOOR = ("gate", 640), ("door", 640)


class _Watched(Cameras):
    """Real cameras that count how often they were asked for a frame."""

    asked = 0

    def last(self, name: str) -> Step | None:
        """As always."""
        self.asked += 1
        return super().last(name)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Watched]:
    """Two cameras that have pictures all the time."""
    folder = tmp_path_factory.mktemp("pictures")
    video = moving_blobs(folder / "blobs.mp4", 4)
    with open_store(f"sqlite:///{folder / 'counts.db'}") as store:
        cameras = _Watched(store, lambda _: Blobs())
        for name in ("gate", "door"):
            line = Line("line", ((0.5, 0.0), (0.5, 1.0)))
            cameras.add(
                name, CameraSettings(source=str(video), model="motion", lines=(line,), loop=True, pace="real")
            )
        until(lambda: all(cameras.last(name) is not None for name in ("gate", "door")), 60)
        yield cameras
        cameras.close()


def _size(picture: bytes) -> tuple[int, int]:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape[0], image.shape[1]


async def _take(pictures: Pictures, keys: list[Key], count: int) -> list[tuple[Key, bytes]]:
    seen = dict.fromkeys(keys, 0)
    taken: list[tuple[Key, bytes]] = []
    with pictures.watching(keys):
        while len(taken) < count:
            taken += await pictures.news(seen)
    return taken


def test_a_picture_is_made_once_for_all_who_look(cameras: _Watched) -> None:
    """Ten who look at two cameras get the same bytes, and cameras are asked no more often than for one."""

    async def looked() -> tuple[list[list[tuple[Key, bytes]]], int]:
        pictures = Pictures(cameras)
        before = cameras.asked
        taken = await asyncio.gather(*(_take(pictures, [GATE, DOOR], 6) for _ in range(10)))
        await pictures.close()
        return taken, cameras.asked - before

    taken, asked = asyncio.run(looked())
    made = {picture for one in taken for _, picture in one}
    assert asked <= 20
    assert len(made) <= asked
    for key in (GATE, DOOR):
        mine = [picture for shown, picture in taken[0] if shown == key]
        assert _size(mine[0]) == (120, 160)
        assert len(set(mine)) == len(mine), "no picture is sent twice"


def test_nothing_is_drawn_while_nobody_looks(cameras: _Watched) -> None:
    """Neither before the first looks nor after the last has gone."""

    async def looked() -> list[int]:
        pictures = Pictures(cameras)
        begun = cameras.asked
        await asyncio.sleep(0.5)
        before = cameras.asked - begun
        await _take(pictures, [GATE], 2)
        await asyncio.sleep(0.1)
        left = cameras.asked
        await asyncio.sleep(1.0)
        await pictures.close()
        return [before, cameras.asked - left]

    assert asyncio.run(looked()) == [0, 0]


def test_who_comes_later_sees_the_newest_picture_at_once(cameras: _Watched) -> None:
    """It is that of those who look already, not a new one."""

    async def looked() -> tuple[bytes, bytes]:
        pictures = Pictures(cameras, share=1e-6)  # so little that there is one picture only
        with pictures.watching([GATE]):
            first = await pictures.news({GATE: 0})
            second = await asyncio.wait_for(_take(pictures, [GATE], 1), 1)
        await pictures.close()
        return first[0][1], second[0][1]

    first, second = asyncio.run(looked())
    assert first == second


@pytest.mark.alone
def test_drawing_stays_within_its_share(cameras: _Watched) -> None:
    """With next to no share there is one picture in five seconds; it is pictures that slow down, never counts."""

    async def made(share: float) -> int:
        pictures, seen, count = Pictures(cameras, share=share), {GATE: 0, DOOR: 0}, 0
        with pictures.watching(seen):
            try:
                async with asyncio.timeout(2.0):
                    while True:
                        count += len(await pictures.news(seen))
            except TimeoutError:
                pass
        await pictures.close()
        return count

    assert asyncio.run(made(0.5)) >= 6
    assert asyncio.run(made(1e-6)) == 2


def test_a_camera_that_is_gone_stops_nobody_else(cameras: _Watched) -> None:
    """Its picture does not come; those of others do."""
    with pytest.raises(UsageError):
        cameras.last("nobody")
    taken = asyncio.run(_looked_and_closed(cameras, [("nobody", 640), GATE]))
    assert {key for key, _ in taken} == {GATE}


async def _looked_and_closed(cameras: Cameras, keys: list[Key]) -> list[tuple[Key, bytes]]:
    pictures = Pictures(cameras)
    try:
        return await _take(pictures, keys, 3)
    finally:
        await pictures.close()


# ------------------------------------------------------------------------------------------------ over the network


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two cameras."""
    with demo_server(tmp_path_factory.mktemp("socket"), ["gate", "door"]) as served:
        yield served


@contextmanager
def _socket(server: Served, origin: str | None = None) -> Iterator[ClientConnection]:
    from_there = Origin(origin) if origin else None
    with connect(server.url.replace("http", "ws") + PATH, max_size=2**22, origin=from_there) as socket:
        yield socket


def test_pictures_come_over_one_connection(server: Served) -> None:
    """Those that were wished for last; a wish for less ends the rest."""
    with _socket(server) as socket:
        socket.send(json.dumps([["gate", 600], ["door", 600], ["nobody", 600]]))
        names: set[bytes] = set()
        while names != {b"gate", b"door"}:
            message = socket.recv(60)
            assert isinstance(message, bytes)
            name, picture = message[1 : 1 + message[0]], message[1 + message[0] :]
            assert _size(picture)[1] == 640
            names.add(name)
        socket.send("[]")
        assert _is_silent(socket)


def _is_silent(socket: ClientConnection) -> bool:
    """Whether, after what was under way, nothing comes for two seconds."""
    for _ in range(20):
        try:
            socket.recv(2)
        except TimeoutError:
            return True
    return False


def test_pages_of_others_see_no_camera(server: Served) -> None:
    """A page from elsewhere, open in the browser of somebody who may see them, is refused."""
    with pytest.raises(InvalidStatus), _socket(server, origin="https://elsewhere.example"):
        pass
    with _socket(server, origin=server.url) as socket:
        socket.send('[["gate", 640]]')
        assert socket.recv(60)


@pytest.mark.parametrize("nonsense", ["{", '"gate"', "[1]", '[["gate"]]', '[["gate", "wide"]]', "null"])
def test_what_is_no_wish_ends_the_connection(server: Served, nonsense: str) -> None:
    """With the code for it, and nothing in the server's log but that."""
    with _socket(server) as socket:
        socket.send(nonsense)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007


def _read_all(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        for _ in socket:
            pass


def test_the_server_stops_while_pictures_flow(tmp_path: Path) -> None:
    """At once: who looks does not hold it up."""
    with demo_server(tmp_path, ["gate"]) as server, _socket(server) as socket:
        socket.send('[["gate", 640]]')
        assert socket.recv(60)
        reading = threading.Thread(target=_read_all, args=(socket,))
        reading.start()
        assert server.stop(9) == 0
        reading.join(10)
        assert "Traceback" not in server.log.read_text()
