"""The commands as a user types them, on real video."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from camcount.cli import main


class Said:
    """What a command printed and with what status it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        """Standard output, which must be exactly one JSON value."""
        return orjson.loads(self.out)


class Terminal:
    """Runs ``camcount …`` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *arguments: object) -> Said:
        self._monkeypatch.setattr(sys, "argv", ["camcount", *map(str, arguments)])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = self._capfd.readouterr()
        code = end.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, out, err)


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


@pytest.fixture(scope="session")
def yolox(data: Path) -> Path:
    """YOLOX-nano."""
    return data / "weights" / "yolox_nano_416x416.onnx"


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """One person walking to the right for four seconds at 10 frames a second, as given boxes."""
    rows = [f"{i + 1},-1,{10 + 8 * i},100,40,100,0.9,-1,-1,-1" for i in range(40)]
    path = tmp_path / "det.txt"
    path.write_text("\n".join(rows))
    return path


GIVEN = ("--fps", 10, "--size", "400x300")


def test_one_person_walking_right_over_a_line_drawn_downwards_goes_out(camcount: Terminal, walk: Path) -> None:
    """Walking down the screen, the right-hand side is on the left: this person goes out."""
    said = camcount("count", "--detections", walk, *GIVEN, "--line", "gate=0.5,0,0.5,1", "--json")
    assert said.status == 0
    assert said.json["lines"] == {"gate": {"in": 0, "out": 1, "by_label": {"person": {"in": 0, "out": 1}}}}
    assert said.json["bounds"]["gate"]["out"]["low"] <= 1 <= said.json["bounds"]["gate"]["out"]["high"]
    assert (said.json["frames"], said.json["duration_s"]) == (40, 4.0)


def test_reverse_makes_it_in(camcount: Terminal, walk: Path) -> None:
    """``:reverse`` flips the in side."""
    said = camcount("count", "--detections", walk, *GIVEN, "--line", "gate=0.5,0,0.5,1:reverse", "--json")
    assert (said.json["lines"]["gate"]["in"], said.json["lines"]["gate"]["out"]) == (1, 0)


def test_a_zone_counts_entry_and_dwell(camcount: Terminal, walk: Path) -> None:
    """Entered once, left once, and stayed for about the time it takes to walk through."""
    said = camcount("count", "--detections", walk, *GIVEN, "--zone", "hall=0.3,0,0.6,0,0.6,1,0.3,1", "--json")
    zone = said.json["zones"]["hall"]
    assert (zone["entries"], zone["exits"], zone["occupancy"]) == (1, 1, 0)
    assert zone["dwell_s"]["mean"] == pytest.approx(120 / 80, abs=0.3)


def test_without_a_line_one_is_proposed_and_said(camcount: Terminal, walk: Path) -> None:
    """The count still happens, and the line can be typed again."""
    said = camcount("count", "--detections", walk, *GIVEN, "--json")
    (line,) = said.json["lines"].values()
    assert line["in"] + line["out"] == 1
    assert "proposed" in said.err
    assert said.json["proposed_line"]


def test_events_carry_what_is_promised(camcount: Terminal, walk: Path, tmp_path: Path) -> None:
    """Id, type, camera, line, direction, label, track, time, confidence, reason."""
    out = tmp_path / "events.jsonl"
    camcount("count", "--detections", walk, *GIVEN, "--line", "gate=0.5,0,0.5,1", "--events", out)
    (event,) = [orjson.loads(row) for row in out.read_bytes().splitlines()]
    assert {"event_id", "type", "camera_id", "line", "direction", "label", "track_id"} <= set(event)
    assert {"time_s", "confidence", "reason"} <= set(event)
    assert event["time_s"] == pytest.approx((200 - 30) / 80, abs=0.2)


def test_the_table_for_people_shows_line_and_numbers(camcount: Terminal, walk: Path) -> None:
    """What one reads without --json."""
    said = camcount("count", "--detections", walk, *GIVEN, "--line", "gate=0.5,0,0.5,1")
    assert "gate" in said.out
    assert "person" in said.out


def test_tracks_are_written_in_the_format_they_are_read_in(camcount: Terminal, walk: Path, tmp_path: Path) -> None:
    """``track`` then ``evaluate tracking`` against the same boxes as truth: perfect."""
    out = tmp_path / "tracks.txt"
    assert camcount("track", "--detections", walk, *GIVEN, "--out", out, "--json").json["tracks"] == 1
    truth = tmp_path / "gt.txt"
    rows = [row.split(",") for row in walk.read_text().splitlines()]
    truth.write_text("\n".join(",".join([r[0], "1", *r[2:6], "1", "-1", "-1", "-1"]) for r in rows))
    score = camcount("evaluate", "tracking", "--truth", truth, "--tracks", out, "--json").json
    assert score["MOTA"] == pytest.approx(1.0, abs=0.06)
    assert score["IDF1"] == pytest.approx(1.0, abs=0.06)


def test_counting_is_evaluated_over_given_boxes_and_given_tracks_alike(
    camcount: Terminal, walk: Path, tmp_path: Path
) -> None:
    """One true crossing, found once: everything is 1."""
    truth = tmp_path / "truth.yaml"
    truth.write_text(
        "fps: 10\nsize: [400, 300]\nanchor: foot\nlines:\n  gate:\n    a: [0.5, 0]\n    b: [0.5, 1]\n"
        "    totals: {in: 0, out: 1}\n    events:\n"
        "    - {time_s: 2.1, direction: out, label: person, certain: true, tolerance_s: 1.0}\n"
    )
    tracks = tmp_path / "tracks.txt"
    camcount("track", "--detections", walk, *GIVEN, "--out", tracks)
    for flag, path in (("--detections", walk), ("--tracks", tracks)):
        score = camcount("evaluate", "counting", "--truth", truth, flag, path, "--json").json
        assert score["lines"]["gate"]["counted"] == {"in": 0, "out": 1}
        assert score["overall"]["f1"] == 1.0
        assert score["overall"]["weighted_error"] == 0.0


def test_six_people_leave_one_by_one(camcount: Terminal, data: Path, yolox: Path) -> None:
    """The indoor clip: 6 out, 0 in on its truth line."""
    score = camcount(
        "evaluate", "counting", "--truth", data / "truth/one-by-one-person-detection.yaml",
        "--source", data / "videos/one-by-one-person-detection.mp4", "--model", yolox, "--json",
    ).json  # fmt: skip
    assert score["lines"]["exit"]["counted"] == {"in": 0, "out": 6}


@pytest.mark.parametrize(
    ("video", "truth", "within"),
    [
        ("tfl/815_201707211414.mp4", "tfl_815_201707211414.yaml", 0),
        ("tfl/625_201708101116.mp4", "tfl_625_201708101116.yaml", 1),
        ("cars.mp4", "cars.yaml", 1),
    ],
)
def test_vehicles_on_real_roads(
    camcount: Terminal, data: Path, yolox: Path, video: str, truth: str, within: int
) -> None:
    """Counted per direction within so many of what was read by eye."""
    score = camcount(
        "evaluate", "counting", "--truth", data / "truth" / truth,
        "--source", data / "videos" / video, "--model", yolox, "--json",
    ).json  # fmt: skip
    (line,) = score["lines"].values()
    for direction in ("in", "out"):
        assert abs(line["counted"][direction] - line["true"][direction]) <= within, line


def test_a_model_can_be_put_on_a_device(camcount: Terminal, data: Path, yolox: Path) -> None:
    """One that this machine lacks is named, and nothing is counted elsewhere in its stead."""
    video, line = data / "videos" / "people-walking.mp4", "gate=0.1,0.5,0.9,0.5"
    there = ("count", video, "--model", yolox, "--line", line, "--duration", "0.5s", "--json", "--device")
    assert camcount(*there, "cpu").json["lines"]["gate"]["in"] == 0
    for further in ((), ("--data-plane",)):
        refused = camcount(*there, "abacus:1", *further)
        assert (refused.status, refused.out) == (2, "")
        assert "'abacus:1'" in refused.err


def test_nobody_is_counted_where_nobody_is(camcount: Terminal, data: Path, yolox: Path) -> None:
    """Bottles on a table: no person and no vehicle."""
    said = camcount(
        "count", data / "videos/bottle-detection.mp4", "--model", yolox, "--labels", "person,vehicle",
        "--line", "middle=0.5,0,0.5,1", "--json",
    )  # fmt: skip
    assert said.json["lines"]["middle"] == {"in": 0, "out": 0, "by_label": {}}


def test_the_annotated_video_has_every_frame(camcount: Terminal, data: Path, yolox: Path, tmp_path: Path) -> None:
    """As long as the source, and playable."""
    import av

    out = tmp_path / "out.mp4"
    said = camcount(
        "count", data / "videos/tfl/815_201707211414.mp4", "--model", yolox, "--line", "road=0,0.66,1,0.66",
        "--anchor", "centre", "--annotate", out, "--json",
    )  # fmt: skip
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == said.json["frames"]


def test_intervals_add_up_to_the_total(camcount: Terminal, data: Path, yolox: Path) -> None:
    """What is counted by interval is what is counted."""
    said = camcount(
        "count", data / "videos/tfl/815_201707211414.mp4", "--model", yolox, "--labels", "vehicle",
        "--line", "road=0,0.66,1,0.66", "--anchor", "centre", "--every", "5s", "--json",
    )  # fmt: skip
    rows = said.json["intervals"]
    assert sum(r["out"] for r in rows) == said.json["lines"]["road"]["out"] == 3
    assert all(0 <= r["coverage"] <= 1 for r in rows)


def test_check_says_what_a_source_is_and_draws_it(camcount: Terminal, data: Path, tmp_path: Path) -> None:
    """Size, rate, and a picture with the line."""
    out = tmp_path / "check.png"
    said = camcount("check", data / "videos/people.mp4", "--line", "door=0.1,0.7,0.9,0.7", "--out", out, "--json")
    assert (said.json["width"], said.json["height"]) == (640, 360)
    assert said.json["measured_fps"] == pytest.approx(29.97, abs=0.1)
    assert out.stat().st_size > 10_000


def test_models_lists_what_can_find_objects(camcount: Terminal) -> None:
    """Built-in models and decoders by name."""
    listed = camcount("models", "--json").json
    assert "motion" in listed["models"]
    assert {"yolox", "yolov5", "yolov8", "nanodet", "picodet", "fastestdet", "ssd", "detr"} <= set(listed["decoders"])


def test_the_demo_is_counted_within_ten_percent_of_its_truth(camcount: Terminal) -> None:
    """The same promise that ``make demo`` prints."""
    said = camcount("demo", "--json").json
    assert said["true"] >= 10
    assert abs(said["counted"] - said["true"]) <= 0.1 * said["true"]


def test_detection_is_evaluated_on_labelled_pictures(camcount: Terminal, data: Path, tmp_path: Path) -> None:
    """A few labelled pictures and a small model give a mean average precision that is neither 0 nor 1."""
    folder = data / "images/coco128"
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    for picture in sorted((folder / "images").iterdir())[:12]:
        (images / picture.name).symlink_to(picture)
        label = folder / "labels" / f"{picture.stem}.txt"
        if label.exists():
            (labels / label.name).symlink_to(label)
    score = camcount(
        "evaluate", "detection", "--images", images, "--truth", labels,
        "--model", data / "weights/FastestDet.onnx", "--json",
    ).json  # fmt: skip
    assert 0.05 < score["map"] < 0.9


@pytest.mark.alone
def test_counting_begins_within_two_seconds(data: Path, yolox: Path) -> None:
    """Started as a user would and stopped after the first frames; processor time, for the machine may be busy, and on
    a slow machine at most 1.75 times what its libraries alone take to be ready."""
    libraries = (
        "import sys, av, cv2, numpy, pydantic_settings, scipy.optimize, typer, onnxruntime as ort;"
        "[ort.InferenceSession(sys.argv[1]) for _ in range(2)]"
    )
    command = [
        sys.executable, "-m", "camcount", "count", str(data / CLIP), "--model", str(yolox),
        *LINE, "--duration", "0.1s", "--json",
    ]  # fmt: skip

    def processor_seconds(command: list[str]) -> float:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    floor = min(processor_seconds([sys.executable, "-c", libraries, str(yolox)]) for _ in range(3))
    assert min(processor_seconds(command) for _ in range(3)) < max(2.0, 1.75 * floor)


def test_counting_loads_nothing_that_it_does_not_need(data: Path, yolox: Path) -> None:
    """No registry, no Parquet, no other engine is imported to count a file with an ONNX model."""
    code = (
        "import sys\nfrom camcount.cli import main\n"
        f"sys.argv = ['camcount', 'count', {str(data / CLIP)!r}, '--model', {str(yolox)!r}, '--duration', '0.1s']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'mlflow', 'sqlalchemy', 'pyarrow', 'torch', 'tensorflow', 'openvino', 'onnx', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_given_boxes_that_are_not_numbers_are_told_by_line(camcount: Terminal, tmp_path: Path) -> None:
    """File and line number."""
    path = tmp_path / "det.txt"
    path.write_text("1,-1,10,10,20,20,0.9\n2,-1,nan,10,20,20,0.9\n")
    said = camcount("count", "--detections", path, *GIVEN, "--line", "gate=0.5,0,0.5,1")
    assert said.status in (1, 2)
    assert "det.txt" in said.err
    assert "2" in said.err


def _noise(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    return path


def one_line(said: Said) -> str:
    """The single line of an error, without a traceback."""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("camcount: ")
    return lines[0]


CLIP = "videos/tfl/815_201707211414.mp4"
LINE = ("--line", "gate=0,0.5,1,0.5")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["count", "nowhere.mp4", *LINE], 2, ["nowhere.mp4"]),
        (["count", "{noise}", *LINE], 1, ["noise.mp4", "video"]),
        (["count", "{clip}", "--model", "{noise}", *LINE], 1, ["noise.mp4", "ONNX"]),
        (["count", "{clip}", "--model", "{reid}", *LINE], 1, ["detector"]),
        (["count", "{clip}", "--model", "nowhere.onnx", *LINE], 2, ["nowhere.onnx"]),
        (["count", "{clip}", "--model", "{yolox}", "--labels", "persn", *LINE], 2, ["persn", "person"]),
        (["count", "{clip}", "--line", "gate=0,0.5,900,0.5"], 2, ["outside", "352x288"]),
        (["count", "{clip}", "--line", "gate=0.5,0.5,0.5,0.5"], 2, ["zero length"]),
        (["count", "{clip}", "--line", "gate=0,0.5,1"], 2, ["gate"]),
        (["count", "{clip}", *LINE, *LINE], 2, ["name"]),
        (["count", "{clip}", "--zone", "z=0.1,0.1,0.9,0.9,0.9,0.1,0.1,0.9"], 2, ["crosses itself"]),
        (["count", "{clip}", "--detections", "{det}", *LINE], 2, ["contradict"]),
        (["count", "--detections", "{det}", *LINE], 2, ["--fps", "--size"]),
        (["count", "{clip}", "--size", "10x10", *LINE], 2, ["--size"]),
        (["count"], 2, ["SOURCE"]),
        (["count", "{clip}", "--events", "events.xls", *LINE], 2, [".jsonl"]),
        (["count", "{clip}", "--annotate", "nowhere/out.mp4", *LINE], 2, ["nowhere"]),
        (["count", "--detections", "{det}", "--fps", "10", "--size", "400x300", "--annotate", "o.mp4"], 2, ["video"]),
        (["count", "{clip}", "--tracker", "magic", *LINE], 2, ["magic"]),
        (["count", "{clip}", "--anchor", "head", *LINE], 2, ["anchor"]),
        (["count", "{clip}", "--every", "soon", *LINE], 2, ["soon", "15m"]),
        (["count", "{clip}", "--model", "{yolox}", "--decoder", "magic", *LINE], 2, ["magic"]),
        (["count", "{clip}", "--model", "{yolox}", "--label-map", "person", *LINE], 2, ["FROM=TO"]),
        (["count", "{clip}", "--model", "{yolox}", "--confidence", "7", *LINE], 2, ["confidence"]),
        (["count", "{clip}", "--config", "nowhere.yaml", *LINE], 2, ["nowhere.yaml"]),
        (["count", "rtsp://user:secret@127.0.0.1:9/x", "--timeout", "2", *LINE], 1, ["127.0.0.1"]),
        (["count", "http://127.0.0.1:9/x.mp4", "--timeout", "2", *LINE], 1, ["127.0.0.1"]),
        (["count", "demo:mars", *LINE], 2, ["demo:street"]),
        (["check", "nowhere.mp4"], 2, ["nowhere.mp4"]),
        (["evaluate", "counting", "--truth", "nowhere.yaml", "--source", "{clip}"], 2, ["nowhere.yaml"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_said_on_one_line(
    camcount: Terminal,
    data: Path,
    walk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    words: list[str],
) -> None:
    """The fault is named, the status tells usage from failure, no traceback, no password."""
    monkeypatch.chdir(tmp_path)
    names = {
        "noise": _noise(tmp_path / "noise.mp4"),
        "clip": data / CLIP,
        "det": walk,
        "yolox": data / "weights/yolox_nano_416x416.onnx",
        "reid": data / "weights/person-reidentification-retail-0288.onnx",
    }
    said = camcount(*[a.format(**names) for a in arguments])
    line = one_line(said)
    assert said.status == status, line
    assert all(word in line for word in words), line
    assert "secret" not in line


def test_a_video_cut_off_in_the_middle_is_counted_as_far_as_it_goes(
    camcount: Terminal, data: Path, tmp_path: Path
) -> None:
    """Status 0, and a warning that says where it ended."""
    whole = tmp_path / "whole.mkv"
    clip = data / "videos/people.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", str(whole)], check=True)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    said = camcount("count", cut, *LINE, "--json")
    assert said.status == 0
    assert 100 < said.json["frames"] < 400
    assert "warning" in said.err
    assert "cut.mkv" in said.err


def test_a_configuration_file_gives_what_flags_do_not(camcount: Terminal, walk: Path, tmp_path: Path) -> None:
    """Lines from the file, the input from the flags."""
    config = tmp_path / "camcount.yaml"
    config.write_text("anchor: centre\nlines:\n  gate: {points: [0.5, 0, 0.5, 1], reverse: true}\n")
    said = camcount("count", "--detections", walk, *GIVEN, "--config", config, "--json")
    assert (said.json["lines"]["gate"]["in"], said.json["lines"]["gate"]["out"]) == (1, 0)


def test_an_unknown_setting_is_named_with_its_file(camcount: Terminal, walk: Path, tmp_path: Path) -> None:
    """A typo in the file does not pass silently."""
    config = tmp_path / "camcount.yaml"
    config.write_text("ancor: centre\n")
    said = camcount("count", "--detections", walk, *GIVEN, "--config", config)
    assert said.status == 2
    assert "ancor" in one_line(said)


def test_an_unsigned_model_is_refused_where_signatures_are_required(
    camcount: Terminal, data: Path, yolox: Path, tmp_path: Path
) -> None:
    """The setting of the file reaches the loading of the model."""
    config = tmp_path / "camcount.yaml"
    (tmp_path / "key.pem").write_text("a key")
    config.write_text(f"require_signed_models: true\nmodel_public_key: {tmp_path / 'key.pem'}\n")
    said = camcount("count", data / CLIP, "--model", yolox, *LINE, "--config", config)
    assert said.status == 1
    assert "signature" in one_line(said)


@pytest.fixture
def counted(camcount: Terminal, data: Path, yolox: Path, tmp_path: Path) -> Path:
    """The events of a real clip."""
    events = tmp_path / "crossings.jsonl"
    camcount(
        "count", data / CLIP, "--model", yolox, "--labels", "vehicle", "--anchor", "centre",
        "--line", "road=0,0.6597,1,0.6597", "--events", events,
    )  # fmt: skip
    return events


def test_a_count_is_verified_by_a_truth_file(camcount: Terminal, data: Path, counted: Path) -> None:
    """Three counted, three true: accuracy 1 is within the bounds, and nothing is asked."""
    said = camcount(
        "verify", data / CLIP, "--events", counted, "--truth", data / "truth/tfl_815_201707211414.yaml", "--json"
    )
    total = said.json["total"]
    assert total["counted"] == 3
    assert total["precision"] == {"estimate": 1.0, "low": 1.0, "high": 1.0}
    assert total["accuracy"]["high"] == 1.0


def test_a_review_folder_holds_strips_page_and_form(
    camcount: Terminal, data: Path, counted: Path, tmp_path: Path
) -> None:
    """A picture for every item, and a filled-in form is reported."""
    out, line = tmp_path / "verify", ("--line", "road=0,0.6597,1,0.6597")
    common = ("verify", data / CLIP, "--events", counted, *line, "--sample", "3", "--moments", "2", "--out", out)
    assert camcount(*common, "--no-serve").status == 0
    form = out / "answers.csv"
    numbers = [row.split(",")[0] for row in form.read_text().splitlines()[1:]]
    assert sorted(p.stem for p in (out / "strips").iterdir()) == [f"{int(n):04d}" for n in numbers]
    rows = form.read_text().splitlines()
    filled = [rows[0]] + [r[: -len(",,")] + ("yes,," if ",event," in r else ",0,0") for r in rows[1:]]
    form.write_text("\n".join(f[:-1] if f.endswith("yes,,") and f.count(",") > 8 else f for f in filled) + "\n")
    result = camcount(*common, "--answers", form, "--json").json
    assert result["looked_at"] == {"events": 3, "moments": 2}
    assert result["total"]["precision"]["estimate"] == 1.0


def test_verifying_what_was_never_counted_says_so(camcount: Terminal, data: Path, tmp_path: Path) -> None:
    """The remedy is the command that writes the file."""
    said = camcount("verify", data / CLIP, "--events", tmp_path / "none.jsonl")
    assert said.status == 2
    assert "--events none.jsonl" in one_line(said)
