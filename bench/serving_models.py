"""The two jobs: the stock model as it comes, and the same model prepared for cameras by `camcount models`."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from bench.serving_job import LABELS, write_job
from bench.serving_servers import ROOT


@dataclass(frozen=True)
class Jobs:
    """The packages for `camcount serve`, and the same work as jobs of `bench.serving_job`.

    ``stock`` (F1): picture decoded whole, input 416x416, eighty classes. ``scaled``: the same with the picture
    decoded at the scale that suffices. ``own`` (F2): that, an input in the picture's shape, and six classes.
    """

    plain: Path
    prepared: Path
    stock: Path
    scaled: Path
    own: Path

    def of(self, floor: str) -> Path:
        """The job of a floor: F1, F1 scaled or F2."""
        return {"F1": self.stock, "F1 scaled": self.scaled, "F2": self.own}[floor]


def make(model: Path, pictures: Path, folder: Path) -> Jobs:
    """Both packages and the three jobs; packages that are there are used again."""
    plain, prepared = plain_package(model, folder), folder / "prepared"
    if not (prepared / "model.yaml").exists():
        # under another name until it is whole: a run that is interrupted leaves nothing half made
        draft = folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        _models("init", str(model), "--name", "yolox-nano-cameras", "--out", str(draft))
        _models("prepare", str(draft), "--labels", ",".join(LABELS), "--video", str(pictures))
        draft.rename(prepared)
    stock = {(416, 416): plain / yaml.safe_load((plain / "model.yaml").read_text())["artifact"]}
    return Jobs(
        plain=plain,
        prepared=prepared,
        stock=write_job(folder / "f1", stock, classes=80, scaled=False),
        scaled=write_job(folder / "f1-scaled", stock, classes=80, scaled=True),
        own=write_job(folder / "f2", _sizes(prepared), classes=len(LABELS), scaled=True),
    )


def plain_package(model: Path, folder: Path) -> Path:
    """The package of the model as it comes."""
    plain = folder / "plain"
    if not (plain / "model.yaml").exists():
        _models("init", str(model), "--name", "yolox-nano", "--out", str(plain))
    return plain


def _sizes(package: Path) -> dict[tuple[int, int], Path]:
    manifest = yaml.safe_load((package / "model.yaml").read_text())
    given = manifest["input"]
    sizes = {tuple(given["size"]): manifest["artifact"]}
    sizes |= {tuple(bucket["size"]): bucket["artifact"] for bucket in given["buckets"]}
    if tuple(manifest["labels"].values()) != LABELS or len(sizes) < 2:
        raise SystemExit(f"{package} was not prepared as it should be: 'camcount models show' says which step failed")
    return {(width, height): package / name for (width, height), name in sizes.items()}


def _models(*arguments: str) -> None:
    python = ROOT / ".venv" / "bin" / "python"
    command = [str(python), "-m", "camcount", "models", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"camcount models {' '.join(arguments)} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
