"""Settings from a file, the environment and flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from camcount.errors import GeometryError, UsageError
from camcount.settings import load, shapes


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file with a model, labels and a line."""
    path = tmp_path / "camcount.yaml"
    path.write_text(
        "source: a.mp4\nmodel: a.onnx\nlabels: [person, car]\nlines:\n  gate: [0.1, 0.5, 0.9, 0.5]\n"
        "zones:\n  hall: {points: [[0, 0], [1, 0], [1, 1]], labels: [person]}\n"
    )
    return path


def test_flags_beat_the_environment_which_beats_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearer to the moment of use, the stronger."""
    assert load(config, {}).model == "a.onnx"
    monkeypatch.setenv("CAMCOUNT_MODEL", "b.onnx")
    assert load(config, {}).model == "b.onnx"
    assert load(config, {"model": "c.onnx"}).model == "c.onnx"


def test_lists_in_the_environment_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the command line, not as JSON."""
    monkeypatch.setenv("CAMCOUNT_LABELS", "person, car")
    assert load(None, {"source": "a.mp4"}).labels == ("person", "car")


def test_lines_drawn_by_flag_join_those_of_the_file(config: Path) -> None:
    """The same name replaces, another name adds."""
    settings = load(config, shapes(["gate=0,0,1,1", "door=0,1,1,0:reverse"], None))
    assert set(settings.lines) == {"gate", "door"}
    assert settings.lines["gate"].named("gate").points == ((0.0, 0.0), (1.0, 1.0))
    assert settings.lines["door"].named("door").points == ((1.0, 0.0), (0.0, 1.0))


def test_points_may_be_flat_or_in_pairs(config: Path) -> None:
    """Both forms of the file give the same kind of points; a zone keeps its labels."""
    settings = load(config, {})
    assert settings.lines["gate"].named("gate").points == ((0.1, 0.5), (0.9, 0.5))
    assert settings.zones["hall"].named("hall").labels == ("person",)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, "nothing to count"),
        ({"source": "a", "detections": "d.txt"}, "contradict"),
        ({"source": "a", "size": "10x10"}, "--size goes with --detections"),
        ({"detections": "d.txt", "fps": 10}, "needs --fps N and --size"),
        ({"source": "a", "anchor": "head"}, "anchor"),
        ({"source": "a", "fps": 0}, "fps"),
        ({"source": "a", "fps": "nan"}, "fps"),
        ({"source": "a", "confidence": "2"}, "confidence"),
        ({"source": "a", "confidence": "person=high"}, "confidence"),
        ({"detections": "d", "fps": 1, "size": "10"}, "WIDTHxHEIGHT"),
        ({"source": "a", "transport": "smoke"}, "transport"),
        ({"source": "a", "threads": 0}, "threads"),
    ],
)
def test_what_cannot_be_is_said_on_one_line(flags: dict[str, Any], said: str) -> None:
    """The setting is named."""
    with pytest.raises(UsageError, match=said) as error:
        load(None, flags)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ancor: foot", "ancor"),
        ("lines: {gate: [1, 2, 3]}", "odd number"),
        ("- a list", "must hold settings"),
        ("a: [", "not a readable YAML"),
        ("model: 3.5", "model"),
    ],
)
def test_a_fault_in_the_file_names_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    """The user finds the line."""
    path = tmp_path / "camcount.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        load(path, {"source": "a.mp4"})
    assert "camcount.yaml" in str(error.value)


def test_two_lines_of_one_name_are_a_mistake() -> None:
    """One would silently swallow the other's counts."""
    with pytest.raises(GeometryError, match="a name of its own"):
        shapes(["gate=0,0,1,1", "gate=0,1,1,0"], None)
