"""What docs/serving-v2.md tells people to type works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camcount.api.v2_statistics import Tally
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel
from tests.door_servers import Doors, open_doors

_ROOT = Path(__file__).parents[1]
_BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", (_ROOT / "docs" / "serving-v2.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def doors(data: Path) -> Iterator[Doors]:
    """The server that the page starts first."""
    tally = Tally()
    served = {"nano": ServedModel(model=str(data / "weights" / "yolox_nano_416x416.onnx"))}
    plane = DataPlane(served, recorders=[tally])
    plane.start(["nano"])
    with open_doors(plane, tally) as opened:
        yield opened
    plane.close(2)


def _interpreter(kind: str, code: str) -> list[str]:
    if kind == "sh":
        if shutil.which("curl") is None:
            pytest.skip("no curl: apt-get install curl")
        return ["bash", "-euc", code]
    triton = _ROOT / ".venv-triton" / "bin" / "python"
    if "tritonclient.http" not in code:
        return [sys.executable, "-c", code]
    if not triton.exists():
        pytest.skip("no Triton client for HTTP in .venv-triton: make .venv-triton/ready")
    return [str(triton), "-c", code]


@pytest.mark.parametrize(("kind", "code"), _BLOCKS, ids=range(len(_BLOCKS)))
def test_every_block_of_code_runs(kind: str, code: str, doors: Doors, data: Path, tmp_path: Path) -> None:
    """And finds people in a picture of a street, or says that the server is well."""
    shutil.copy(data / "images" / "photos" / "people1.jpeg", tmp_path / "street.jpg")
    code = code.replace("localhost:8000", doors.http.removeprefix("http://")).replace("localhost:8001", doors.grpc)
    done = subprocess.run(_interpreter(kind, code), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "person" in done.stdout


def test_the_page_has_code_for_every_door() -> None:
    """HTTP twice, Triton's clients for HTTP and gRPC, and the stream."""
    assert [kind for kind, _ in _BLOCKS] == ["sh", "sh", "python", "python", "python"]
