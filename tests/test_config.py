"""``camcount config``: a configuration is checked before a server is started with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from camcount.server_settings import json_schema, load_server_settings
from tests.test_commands import Terminal

RIGHT = """
models: {street: motion}
cameras:
  gate:
    source: rtsp://guard:${GATE_PASSWORD}@10.0.0.7/stream
    lines: {door: [0.1, 0.6, 0.9, 0.6]}
    time_zone: Europe/Paris
sinks:
  webhooks: [{url: "https://example.org/${TOKEN}", secret: "${TOKEN}"}]
"""


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


def _written(folder: Path, text: str) -> str:
    file = folder / "camcount.yaml"
    file.write_text(text)
    return str(file)


def test_a_right_configuration_is_summed_up_without_its_secrets(
    camcount: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server would do with it, and no password."""
    monkeypatch.setenv("GATE_PASSWORD", "hunter2")
    monkeypatch.setenv("TOKEN", "t0ken")
    said = camcount("config", "check", _written(tmp_path, RIGHT), "--json")
    assert said.status == 0, said.err
    assert json.loads(said.out)["cameras"]["gate"]["lines"] == ["door"]
    assert "hunter2" not in said.out + said.err
    assert "t0ken" not in said.out + said.err


def test_secrets_may_stand_in_a_file(tmp_path: Path) -> None:
    """In place of the environment."""
    (tmp_path / "secrets").write_text("# of the gate\nGATE_PASSWORD=hunter2\nTOKEN=t0ken\n")
    settings = load_server_settings(Path(_written(tmp_path, f"secrets: {tmp_path}/secrets\n{RIGHT}")), {})
    assert settings.sinks.webhooks[0].secret == "t0ken"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("time_zone: Europe/Paris", "time_zone: Paris"), "no time zone 'Paris'"),
        (("[0.1, 0.6, 0.9, 0.6]", "[0.1, 0.6, 0.9]"), "odd number of coordinates"),
        (("street: motion", "street: nothing.onnx"), "nothing.onnx"),
        (("    lines:", "    model: other\n    lines:"), "'other': served are street"),
        (("    source: rtsp", "    sauce: none\n    source: rtsp"), "sauce"),
        (("${GATE_PASSWORD}", "${NOBODY_SET_THIS}"), "NOBODY_SET_THIS"),
        (("cameras:\n  gate:", "cameras:\n  ../gate:"), "gate"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    camcount: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], said: str
) -> None:
    """Exit status 2, and what it is about."""
    monkeypatch.setenv("GATE_PASSWORD", "hunter2")
    monkeypatch.setenv("TOKEN", "t0ken")
    assert change[0] in RIGHT
    answer = camcount("config", "check", _written(tmp_path, RIGHT.replace(*change)))
    assert answer.status == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_the_schema_in_the_documentation_is_the_one_in_force() -> None:
    """`camcount config schema > docs/camcount.schema.json` after a change of settings."""
    published = Path(__file__).parents[1] / "docs/camcount.schema.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(json_schema()))
