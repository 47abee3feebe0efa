"""Downloads that break off, go on, and are checked; and the catalogue they are for."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from camcount.errors import DiskFull, ModelLoadFailed, ModelNotFound, ServiceError, UsageError
from camcount.models.catalogue import Entry, catalogue, entry_named, fetch, packaged
from camcount.models.download import download

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Mirror:
    """What a web server has, how it behaves, and what it was asked for."""

    content: bytes = CONTENT
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@contextmanager
def serving(mirror: Mirror) -> Iterator[Mirror]:
    """A web server on a free port that does what the mirror says."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            mirror.asked.append(wanted)
            if mirror.statuses and (status := mirror.statuses.pop(0)) != 200:
                self.send_error(status)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and mirror.ranges else 0
            if start and start >= len(mirror.content):
                self.send_error(416)
                return
            body = mirror.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: mirror.cut_after.pop(0)] if mirror.cut_after else body)

        def log_message(self, format: str, *args: object) -> None:
            """A test's output is its own."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        mirror.address = f"http://127.0.0.1:{server.server_port}"
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(url: str, target: Path, **options: object) -> Path:
    """The test's content from an address, tried again at once."""
    given = {"sha256": DIGEST, "size": len(CONTENT), "delay_s": 0.01, "timeout_s": 5, **options}
    return download(url, target, **given)  # type: ignore[arg-type]


def test_a_download_comes_whole_and_tells_how_far_it_is(tmp_path: Path) -> None:
    """The file is there with the right content, and progress runs from nothing to everything."""
    told: list[tuple[int, int]] = []
    with serving(Mirror()) as mirror:
        got = get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx", progress=lambda *state: told.append(state))
        assert got.read_bytes() == CONTENT
        assert get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx") == got
        assert mirror.asked == [None]
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    """Two breaks cost no byte twice: each attempt asks for the rest."""
    with serving(Mirror(cut_after=[300_000, 200_000])) as mirror:
        get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx")
        assert mirror.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_what_came_is_kept_for_the_next_call(tmp_path: Path) -> None:
    """When all attempts are used up it is SYS_001, and a later call asks for the rest only."""
    with serving(Mirror(cut_after=[400_000])) as mirror:
        with pytest.raises(ServiceError, match="what has come is kept"):
            get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx", attempts=1)
        assert not (tmp_path / "m.onnx").exists()
        get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx")
        assert mirror.asked == [None, "bytes=400000-"]


def test_a_server_without_ranges_starts_again(tmp_path: Path) -> None:
    """A server that sends the whole file when asked for the rest does not make a file of one and a half."""
    with serving(Mirror(ranges=False, cut_after=[400_000])) as mirror:
        assert get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx").read_bytes() == CONTENT


def test_another_file_is_refused_and_not_kept(tmp_path: Path) -> None:
    """A file that differs, is longer or is shorter than it should be leaves nothing behind that could be loaded."""
    for content, why in [(CONTENT[:-1] + b"!", "SHA-256"), (CONTENT + b"!", "more than the")]:
        with serving(Mirror(content=content)) as mirror, pytest.raises(ModelLoadFailed, match=why) as caught:
            get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx")
        assert caught.value.code == "MODEL_002"
        assert list(tmp_path.iterdir()) == []
    with serving(Mirror(content=CONTENT[:-1])) as mirror, pytest.raises(ServiceError, match="does not come through"):
        get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx", attempts=2)


def test_a_part_of_another_file_is_thrown_away(tmp_path: Path) -> None:
    """A left-over that the server cannot continue is started anew."""
    (tmp_path / f"m.onnx.{DIGEST[:12]}.part").write_bytes(b"x" * (len(CONTENT) + 7))
    with serving(Mirror()) as mirror:
        assert get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx").read_bytes() == CONTENT
        assert len(mirror.asked) == 2


def test_what_servers_say_becomes_the_right_error(tmp_path: Path) -> None:
    """Gone is MODEL_001 at once, forbidden SYS_001 at once, overloaded is tried again."""
    with serving(Mirror(statuses=[404, 403, 503, 200])) as mirror:
        with pytest.raises(ModelNotFound, match="any more"):
            get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx")
        with pytest.raises(ServiceError, match="HTTP 403"):
            get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx")
        assert get(f"{mirror.address}/m.onnx", tmp_path / "m.onnx").read_bytes() == CONTENT
        assert len(mirror.asked) == 4


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    """A server that does not answer is SYS_001."""
    with pytest.raises(ServiceError, match="does not come through"):
        get("http://127.0.0.1:9/m.onnx", tmp_path / "m.onnx", attempts=1)


def test_a_folder_serves_as_well_as_the_web(tmp_path: Path) -> None:
    """A file:// address gives the file; one with nothing there is MODEL_001; other kinds of address are refused."""
    (tmp_path / "there.onnx").write_bytes(CONTENT)
    assert get((tmp_path / "there.onnx").as_uri(), tmp_path / "m.onnx").read_bytes() == CONTENT
    with pytest.raises(ModelNotFound, match="there is no"):
        get((tmp_path / "missing.onnx").as_uri(), tmp_path / "n.onnx")
    with pytest.raises(UsageError, match="http://, https:// or file://"):
        get("ftp://somewhere/m.onnx", tmp_path / "n.onnx")


def test_a_place_that_cannot_be_written_is_res_004(tmp_path: Path) -> None:
    """What keeps the file from being written is told as such."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskFull, match="cannot be written") as caught:
        get("http://127.0.0.1:9/m.onnx", tmp_path / "file" / "m.onnx")
    assert caught.value.code == "RES_004"


def test_the_catalogue_says_all_that_has_to_be_known() -> None:
    """Every entry has a SHA-256, an https address, a size and a permissive licence."""
    entries = catalogue()
    assert {"yolox-nano", "yolox-tiny", "yolox-s"} <= set(entries)
    for entry in entries.values():
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert entry.url.startswith("https://")
        assert entry.file.endswith(".onnx")
        assert entry.size > 0
        assert entry.licence in ("Apache-2.0", "MIT", "BSD-3-Clause")


def test_an_unknown_name_gets_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt model is MODEL_001 with what was probably meant."""
    monkeypatch.delenv("CAMCOUNT_MODEL_CATALOGUE", raising=False)
    with pytest.raises(ModelNotFound, match=r"did you mean yolox-nano"):
        entry_named("yolox-nana")


@pytest.mark.parametrize("text", ["[a]\nname = 1", "a = 1", "[a", "[a]\nurl = 'x'"])
def test_a_faulty_catalogue_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A catalogue of one's own with a fault is one line and not a traceback."""
    (tmp_path / "own.toml").write_text(text)
    monkeypatch.setenv("CAMCOUNT_MODEL_CATALOGUE", str(tmp_path / "own.toml"))
    with pytest.raises(UsageError, match=r"own\.toml cannot be used"):
        catalogue()


def entry_for(file: Path, name: str = "yolox-nano") -> Entry:
    """A catalogue entry for a file that lies here."""
    return Entry(
        name=name,
        description="",
        version="1.0.0",
        release="r1",
        url=f"https://models.example/{file.name}",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size=file.stat().st_size,
        licence="Apache-2.0",
    )


def test_a_catalogue_model_becomes_a_package(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a mirror's folder to a package that says what the model is; making it twice gives the same content."""
    weights = data / "weights" / "yolox_nano_416x416.onnx"
    monkeypatch.setenv("CAMCOUNT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAMCOUNT_MODEL_MIRROR", weights.parent.as_uri())
    entry = entry_for(weights)
    file = fetch(entry)
    first, second = (packaged(entry, file, tmp_path / name) for name in ("one", "two"))
    assert first.digest == second.digest
    manifest = first.manifest
    assert (manifest.reference, manifest.licence, manifest.lineage.source) == (
        "yolox-nano:1.0.0",
        "Apache-2.0",
        entry.url,
    )
    assert (manifest.output.decoder, manifest.input.size, len(manifest.labels)) == ("yolox", (416, 416), 80)
