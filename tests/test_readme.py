"""The README is true: its commands run as they are written, its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from camcount.cli import app
from tests.live import until
from tests.mqtt_brokers import mqtt_broker
from tests.serving import camcount_serve
from tests.test_commands import Terminal

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def _commands() -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = "\n".join(text for kind, text in blocks if not kind).replace("\\\n", " ").splitlines()
    return [line.split("camcount ", 1)[1] for line in lines if line.startswith(".venv/bin/camcount ")]


@pytest.fixture
def desk(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the README speaks of: short ones, so that every command can really run."""
    videos = data / "videos"
    (tmp_path / "street.mp4").symlink_to(videos / "tfl/815_201707211414.mp4")
    (tmp_path / "gate.mp4").symlink_to(videos / "tfl/815_201707211414.mp4")
    (tmp_path / "gate.yaml").symlink_to(data / "truth/tfl_815_201707211414.yaml")
    (tmp_path / "yolox_nano.onnx").symlink_to(data / "weights/yolox_nano_416x416.onnx")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for path in sorted((data / "images/coco128" / folder).iterdir())[:6]:
            (tmp_path / folder / path.name).symlink_to(path)
    rows = "".join(f"{i + 1},1,{10 + 8 * i},100,40,100,1,-1,-1,-1\n" for i in range(40))
    (tmp_path / "tracks.txt").write_text(rows)
    (tmp_path / "gt.txt").write_text(rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


def test_a_picture_is_answered_as_the_readme_says(desk: Path, data: Path) -> None:
    """The server as it is started there, but on a free port, and the curl line with that port."""
    serve = next(c for c in _commands() if c.startswith("serve"))
    curl = next(line for line in README.replace("\\\n", " ").splitlines() if line.startswith("curl --data-binary"))
    (desk / "street.jpg").symlink_to(data / "images/photos/people1.jpeg")
    with camcount_serve(desk / "home", *shlex.split(serve)[1:]) as served:
        served.until_ready()
        words = [word.replace("http://127.0.0.1:8000", served.url) for word in shlex.split(curl)]
        answer = subprocess.run([*words, "--silent"], capture_output=True, check=True).stdout
    assert len(json.loads(answer)["results"]["detections"]) > 3


@pytest.mark.parametrize(
    "command", [c for c in _commands() if not c.startswith(("verify", "serve", "counts"))], ids=lambda c: c[:50]
)
def test_the_commands_of_the_readme_run_as_written(camcount: Terminal, desk: Path, command: str) -> None:
    """Each ends with status 0 and says something."""
    if "--events crossings" not in command and "crossings" in command:
        (desk / "crossings.csv").write_text("")
    said = camcount(*shlex.split(command))
    assert said.status == 0, said.err
    assert said.out.strip()


def _typed(command: str, url: str, port: int) -> str:
    """What a command says, with these addresses in place of the usual ones."""
    python = Path(sys.executable)
    line = command.replace("http://127.0.0.1:8000", url).replace(".venv/bin/camcount", f"{python} -m camcount")
    line = line.replace("-h localhost", f"-h 127.0.0.1 -p {port} -C 2 -W 20")
    return subprocess.run(shlex.split(line), capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_live_demo_answers_by_command_line_http_and_mqtt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make demo` with a broker, the three commands until each tells of crossings, and Ctrl-C."""
    asked = [line for line in README.splitlines() if line.startswith((".venv/bin/camcount counts", "mosquitto_sub"))]
    asked += [line for line in README.splitlines() if line.startswith("curl") and line.endswith("cameras/street")]
    assert len(asked) == 3
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.chdir(tmp_path)
    with mqtt_broker(tmp_path / "broker") as broker:
        make = ["make", "-f", str(ROOT / "Makefile"), "-o", ".venv/ready", f"BIN={Path(sys.executable).parent}"]
        demo = [*make, "demo", f"MQTT=127.0.0.1:{broker.port}", "PORT=0"]
        with subprocess.Popen(demo, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                assert process.stdout is not None
                said = next(line for line in process.stdout if line.startswith("camcount serves at"))
                url = said.split()[3]
                until(lambda: int(_crossings(url)) > 0, 120)
                until(lambda: '"in":0,"out":0' not in _typed(asked[1], url, broker.port), 60)
                table, retained, answer = (_typed(line, url, broker.port) for line in asked)
                os.killpg(process.pid, signal.SIGINT)
                rest = process.communicate(timeout=60)[0]
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # or the test would wait for it until it is ended itself
    assert re.search(r"street .* running .* pavement .* [1-9]", table)
    assert re.search(r'camcount/street/lines/\w+ {"in":\d+,"out":\d+', retained)
    assert json.loads(answer)["totals"].keys() == {"pavement", "road"}
    assert "stopped; what was counted is in" in rest
    assert (tmp_path / "out/demo.db").exists()


def _crossings(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v1/cameras/street", timeout=30) as answer:
        totals = json.load(answer)["totals"]
    return sum(ways["in"] + ways["out"] for ways in totals.values())


def test_there_are_commands_to_run() -> None:
    """The test above would be silent if the README's form changed."""
    assert len(_commands()) >= 4


def test_every_command_is_in_the_readme() -> None:
    """A command that nobody is told of does not exist."""
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    assert [name for name in names if name and f"camcount {name}" not in README] == []


def test_every_make_target_of_the_readme_exists() -> None:
    """``make x`` in the text is a target of the Makefile."""
    spoken = set(re.findall(r"^make ([a-z-]+)$|`make ([a-z-]+)`", README, re.MULTILINE))
    targets = {first or second for first, second in spoken}
    assert "demo" in targets
    assert {t for t in targets if not re.search(rf"^{t}:", MAKEFILE, re.MULTILINE)} == set()


def test_links_lead_somewhere() -> None:
    """Every relative link names a file of the project."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
