"""What every result cache promises, over memory, Redis and both; and what becomes of them when Redis goes away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from camcount.errors import UsageError
from camcount.protocols import ResultCache
from camcount.serving.cache import KINDS, CacheSettings, cache_for
from tests.redis_servers import RedisServer, redis_server

if TYPE_CHECKING:  # they need the redis library, which the tests of memory do not
    from camcount.serving.cache_tiered import TieredCache


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the tests that leave it as it is."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """The same, emptied."""
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server to be killed."""
    with redis_server(tmp_path) as server:
        yield server


def patient(server: RedisServer | None, **more: float) -> CacheSettings:
    """Time-outs that a busy machine of the tests does not reach."""
    url = server.url if server else None
    return CacheSettings(url=url, **{"timeout_s": 10, "connect_timeout_s": 10, "check_s": 0.05, **more})  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "redis", "tiered"])
def cache(request: pytest.FixtureRequest) -> Iterator[ResultCache]:
    """Each cache in turn; inference is kept for a moment only."""
    server = None if request.param == "memory" else request.getfixturevalue("server")
    settings = patient(server, inference_s=0.4)
    if request.param == "redis":
        from camcount.serving.cache_redis import RedisCache

        made: ResultCache | None = RedisCache(settings)
    else:
        made = cache_for(settings)
    assert made is not None
    with closing(made):
        yield made


def eventually(true: Callable[[], bool], within_s: float = 20) -> None:
    """Waits until something is so."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def test_what_is_put_comes_back(cache: ResultCache) -> None:
    """By kind and key, byte for byte, the latest of several; and what was never put does not."""
    values = {
        (kind, key): f"{kind}/{key}".encode() + bytes(range(256)) for kind in KINDS for key in ("m:1", "m:ü", "")
    }
    for (kind, key), value in values.items():
        cache.put(kind, key, b"earlier")
        cache.put(kind, key, value)
    cache.put("results", "m:empty", b"")
    assert {place: cache.get(*place) for place in values if place[0] != "inference"} == {
        place: value for place, value in values.items() if place[0] != "inference"
    }
    assert cache.get("results", "m:empty") == b""
    assert cache.get("results", "m:2") is None


def test_each_kind_has_its_time(cache: ResultCache) -> None:
    """What is kept for 0.4 s is gone after 0.5 s, what is kept for minutes is not."""
    cache.put("inference", "m:1", b"brief")
    cache.put("results", "m:1", b"long")
    time.sleep(0.5)
    assert cache.get("inference", "m:1") is None
    assert cache.get("results", "m:1") == b"long"


def test_invalidation_hits_every_key_that_begins_so(cache: ResultCache) -> None:
    """All kinds and versions of the model, nothing of one whose name is longer; what is put afterwards is kept."""
    for kind in ("results", "metadata", "batch"):
        for key in ("cars:1:a", "cars:2:a", "cars2:1:a"):
            cache.put(kind, key, b"before")
    cache.invalidate("cars:")
    for kind in ("results", "metadata", "batch"):
        assert [cache.get(kind, key) for key in ("cars:1:a", "cars:2:a", "cars2:1:a")] == [None, None, b"before"]
        cache.put(kind, "cars:1:a", b"after")
        assert cache.get(kind, "cars:1:a") == b"after"
    cache.invalidate("cars:1:")
    cache.invalidate("")
    assert cache.get("results", "cars2:1:a") is None


def test_an_unknown_kind_is_a_mistake_of_the_caller(cache: ResultCache) -> None:
    """It is said, not kept for some time or other."""
    with pytest.raises(ValueError, match="not 'pictures'"):
        cache.put("pictures", "m:1", b"")


def test_many_threads_may_use_it(cache: ResultCache) -> None:
    """Eight threads put, get and invalidate: nobody ever sees a value of another key, and nothing raises."""
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for turn in range(60):
            key = f"model{turn % 3}:{(turn * 7 + thread) % 20}"
            assert cache.get("results", key) in (None, key.encode())
            cache.put("results", key, key.encode())
            if turn % 20 == thread:
                cache.invalidate(f"model{turn % 3}:")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_only_memory_answers_at_once(server: RedisServer) -> None:
    """``local`` says which cache may be asked from an event loop."""
    with ExitStack() as stack:
        caches = [cache_for(patient(None)), cache_for(patient(server))]
        for each in caches:
            assert each is not None
            stack.enter_context(closing(each))
        assert [each.local for each in caches if each] == [True, False]


def test_processes_share_answers_and_invalidations(server: RedisServer) -> None:
    """What one puts the other finds; what one invalidates is soon gone from the other's memory, and stays gone."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(_tiered(patient(server)))) for _ in range(2))
        for key in ("cars:1", "cars2:1"):
            one.put("results", key, b"answer")
            assert other.get("results", key) == b"answer"
        one.invalidate("cars:")
        assert one.get("results", "cars:1") is None
        eventually(lambda: other.get("results", "cars:1") is None)
        assert other.get("results", "cars2:1") == b"answer"
        other.put("results", "cars:1", b"new answer")
        eventually(lambda: one.get("results", "cars:1") == b"new answer")


def test_the_next_read_sees_what_another_process_invalidated(server: RedisServer) -> None:
    """Not a moment later, and not only with the next look for it; what it did not concern is believed again soon."""
    from camcount.serving.cache_redis import RedisCache

    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(RedisCache(patient(server, check_s=1000)))) for _ in range(2))
        one.put("results", "cars:1", b"value")
        one.put("results", "cars2:1", b"value")
        other.invalidate("cars:")
        assert one.get("results", "cars:1") is None
        eventually(lambda: one.get("results", "cars2:1") == b"value")


def test_memory_does_not_keep_what_was_invalidated_while_it_was_read(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is on its way from Redis when its model is invalidated is given once and not kept."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(_tiered(patient(server)))) for _ in range(2))
        other.put("results", "cars:1", b"value")
        look = one._far.look

        def interrupted(kind: str, key: str) -> tuple[bytes, float] | None:
            found = look(kind, key)
            one.invalidate("cars:")
            return found

        monkeypatch.setattr(one._far, "look", interrupted)
        assert one.get("results", "cars:1") == b"value"
        monkeypatch.undo()
        assert one.get("results", "cars:1") is None


def test_memory_does_not_prolong_what_redis_keeps(server: RedisServer) -> None:
    """A value that came from Redis ends in memory when it ends there."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(_tiered(patient(server, results_s=1)))) for _ in range(2))
        one.put("results", "cars:1", b"answer")
        ends = time.monotonic() + 1
        time.sleep(0.6)
        other.get("results", "cars:1")
        time.sleep(max(0.0, ends - time.monotonic()) + 0.05)
        assert other.get("results", "cars:1") is None


def test_an_answer_from_before_the_invalidation_is_not_believed(server: RedisServer) -> None:
    """Also when it is written after it, as a slow computation or a write behind does."""
    from camcount.serving.cache_redis import RedisCache

    with ExitStack() as stack:
        one, other = (stack.enter_context(closing(RedisCache(patient(server)))) for _ in range(2))
        before = one.number
        other.invalidate("cars:")
        one.write("results", "cars:1", b"old", before)
        one.write("results", "cars2:1", b"old", before)
        eventually(lambda: one.number == other.number)
        assert [each.get("results", "cars:1") for each in (one, other)] == [None, None]
        assert [each.get("results", "cars2:1") for each in (one, other)] == [b"old", b"old"]


@pytest.mark.alone
def test_critical_values_are_written_through_the_others_behind(own_server: RedisServer) -> None:
    """With Redis stuck, ``put`` of an answer returns at once and too many of them are dropped; both are in memory."""
    with closing(_tiered(patient(own_server, timeout_s=1, waiting_writes=3))) as cache:
        cache.put("results", "m:through", b"value")
        with own_server.client() as client:
            assert client.exists("camcount:results:m:through")
        own_server.freeze()
        start = time.monotonic()
        for number in range(20):
            cache.put("inference", f"m:{number}", b"value")
        assert time.monotonic() - start < 0.9
        assert cache.dropped >= 10
        assert all(cache.get("inference", f"m:{number}") for number in range(20))
        own_server.thaw()


@pytest.mark.alone
def test_redis_may_be_killed_and_come_back(own_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on, cost nothing while it is away, one line says it is away and one that it is back; then hits."""
    from camcount.serving.cache_redis import RedisCache

    with closing(RedisCache(patient(own_server))) as cache, caplog.at_level(logging.WARNING):
        cache.put("results", "m:1", b"value")
        assert cache.get("results", "m:1") == b"value"
        for outage in (1, 2):
            own_server.kill()
            start = time.monotonic()
            assert cache.get("results", "m:1") is None
            assert time.monotonic() - start < 0.5  # refused, and not tried a second time
            start = time.thread_time()
            for _ in range(1000):
                cache.put("results", "m:1", b"value")
                assert cache.get("results", "m:1") is None
            assert time.thread_time() - start < 0.2  # 2000 calls; one attempt to connect alone takes 0.2 ms
            eventually(_said(caplog, "SYS_003", outage))
            own_server.start()
            eventually(_said(caplog, "is back", outage))
            cache.put("results", "m:1", b"value")
            assert cache.get("results", "m:1") == b"value"
        assert (_lines(caplog, "SYS_003"), _lines(caplog, "is back")) == (2, 2)


def test_answers_go_on_from_memory_while_redis_is_away(own_server: RedisServer) -> None:
    """The memory in front keeps giving and keeping."""
    with closing(_tiered(patient(own_server))) as cache:
        cache.put("results", "m:1", b"value")
        own_server.kill()
        cache.put("results", "m:2", b"value")
        cache.put("inference", "m:3", b"value")
        found = [cache.get(*place) for place in (("results", "m:1"), ("results", "m:2"), ("inference", "m:3"))]
        assert found == [b"value"] * 3
        cache.invalidate("m:")
        assert cache.get("results", "m:1") is None


@pytest.mark.alone
def test_a_redis_that_hangs_holds_nobody_up(own_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """One call waits for the time-out, the others do not; what is invalidated meanwhile is made up for."""
    with ExitStack() as stack:
        stack.enter_context(caplog.at_level(logging.WARNING))
        one, other = (stack.enter_context(closing(_redis(own_server))) for _ in range(2))
        eventually(lambda: _kept(one, "cars:1") and _kept(one, "cars2:1") and _kept(other, "cars:1"))
        own_server.freeze()
        start = time.monotonic()
        one.get("results", "cars:1")
        assert time.monotonic() - start < 1.1  # one time-out and no second attempt
        one.invalidate("cars:")
        for _ in range(1000):
            assert one.get("results", "cars2:1") is None
        assert time.monotonic() - start < 3  # 1000 time-outs would be 400 s
        eventually(lambda: _lines(caplog, "SYS_003") >= 1)
        own_server.thaw()
        eventually(lambda: one.get("results", "cars2:1") == b"value")
        assert one.get("results", "cars:1") is None
        eventually(lambda: other.get("results", "cars2:1") == b"value")
        assert other.get("results", "cars:1") is None


def test_a_redis_that_lost_its_table_is_told_again(server: RedisServer) -> None:
    """An old snapshot that comes back with values from before the invalidation does not bring them back."""
    from camcount.serving.cache_redis import RedisCache

    told: list[str] = []
    with closing(RedisCache(patient(server), told.append)) as cache, server.client() as client:
        cache.put("results", "cars:1", b"old")
        old = client.get("camcount:results:cars:1")
        assert isinstance(old, bytes)
        cache.invalidate("cars:")
        assert told == ["cars:"]
        client.flushall()
        client.set("camcount:results:cars:1", old)
        eventually(lambda: bool(client.hexists("camcount:invalidated", "pcars:")))
        eventually(lambda: told == ["cars:", ""])
        assert cache.get("results", "cars:1") is None


def test_a_full_redis_counts_as_out_of_order(own_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, however many writes it would refuse, and it is used again when it has room."""
    from camcount.serving.cache_redis import RedisCache

    with closing(RedisCache(patient(own_server))) as cache, own_server.client() as client:
        client.config_set("maxmemory", "1")
        for _ in range(50):
            cache.put("results", "m:1", b"value")
            time.sleep(0.01)
        assert _lines(caplog, "SYS_003") == 1
        client.config_set("maxmemory", "0")
        eventually(_said(caplog, "is back", 1))
        cache.put("results", "m:1", b"value")
        assert cache.get("results", "m:1") == b"value"


def test_a_password_is_used_and_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right one lets in; the wrong one is an outage, and neither is in the log."""
    from camcount.serving.cache_redis import RedisCache

    with redis_server(tmp_path, "--requirepass", "open-sesame") as server:
        for password, expected in (("open-sesame", b"value"), ("not-sesame", None)):
            url = f"redis://:{password}@127.0.0.1:{server.port}/0"
            with closing(RedisCache(CacheSettings(url=url, timeout_s=10, connect_timeout_s=10))) as cache:
                cache.put("results", "m:1", b"value")
                assert cache.get("results", "m:1") == expected
    assert _lines(caplog, "SYS_003") == 1
    assert f"redis://127.0.0.1:{server.port}/0" in caplog.text
    assert "sesame" not in caplog.text


def test_redis_over_tls(tmp_path: Path) -> None:
    """``rediss://`` with the server's certificate in the address; another certificate's server is not talked to."""
    from camcount.serving.cache_redis import RedisCache

    pem, key = _certificate(tmp_path, "one")
    other, _ = _certificate(tmp_path, "other")
    files = ("--tls-cert-file", str(pem), "--tls-key-file", str(key), "--tls-auth-clients", "no")
    with redis_server(tmp_path, "--port", "0", "--tls-port", "PORT", *files) as server:
        for trusted, expected in ((pem, b"value"), (other, None)):
            url = f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={trusted}"
            with closing(RedisCache(CacheSettings(url=url, timeout_s=10, connect_timeout_s=10))) as cache:
                cache.put("results", "m:1", b"value")
                assert cache.get("results", "m:1") == expected


def test_a_cache_that_is_not_there_at_the_start_is_used_when_it_comes(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A server starts without its cache, says so, and has it later."""
    own_server.kill()
    with closing(_redis(own_server)) as cache:
        assert _lines(caplog, "SYS_003") == 1
        own_server.start()
        eventually(lambda: _kept(cache, "m:1"))


def test_an_address_that_cannot_be_read_is_refused() -> None:
    """At the start, in one line, without its password."""
    pytest.importorskip("redis")
    with pytest.raises(UsageError, match=r"redis://cache:port/0 cannot be read") as refused:
        cache_for(CacheSettings(url="redis://:hidden@cache:port/0"))
    assert "hidden" not in str(refused.value)


def _tiered(settings: CacheSettings) -> TieredCache:
    from camcount.serving.cache_tiered import TieredCache

    return TieredCache(settings)


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    dated = builder.not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    certificate = dated.add_extension(address, False).sign(key, hashes.SHA256())
    places = folder / f"{name}.pem", folder / f"{name}.key"
    places[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    places[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return places


def _redis(server: RedisServer) -> ResultCache:
    from camcount.serving.cache_redis import RedisCache

    return RedisCache(CacheSettings(url=server.url, timeout_s=0.4, connect_timeout_s=0.4, check_s=0.05))


def _kept(cache: ResultCache, key: str) -> bool:
    cache.put("results", key, b"value")
    return cache.get("results", key) == b"value"


def _lines(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


def _said(caplog: pytest.LogCaptureFixture, text: str, times: int) -> Callable[[], bool]:
    return lambda: _lines(caplog, text) == times
