"""docs/serving.md: every command runs, every option, metric and code that there is stands in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from camcount.api.application import application
from camcount.api.errors import STATUS
from camcount.api.measured import SERIES
from camcount.api.schemas import Options
from tests.asgi_servers import served
from tests.picture_files import encoded, scene
from tests.planes import StandIn

TEXT = (Path(__file__).parents[1] / "docs" / "serving.md").read_text()
BLOCKS = re.findall(r"```console\n(curl.*?)```", TEXT, re.DOTALL)
COMMANDS = [command for block in BLOCKS for command in block.replace("\\\n", " ").splitlines()]


class Points:
    """A database with one point."""

    def series(self, model: str, since: datetime, until: datetime, names: Sequence[str]) -> list[dict[str, Any]]:
        """One point."""
        return [{"time": since, **dict.fromkeys(names, 1.5)}]


def test_every_command_does_what_it_says(tmp_path: Path) -> None:
    """Each line runs as it stands, but for port, model and job, and is answered below 400."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "frame.jpg").write_bytes(encoded(scene(), "JPEG"))
    assert len(COMMANDS) > 15
    job = "none"
    with served(application(StandIn(), series=Points(), render=lambda: b"up 1\n")) as port:
        for command in COMMANDS:
            line = command.replace("localhost:8000", f"127.0.0.1:{port}").replace("street", "detector")
            line = line.replace("/jobs/JOB", f"/jobs/{job}").replace("curl ", "curl --silent --show-error --fail ", 1)
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, timeout=30)
            assert done.returncode == 0, (line, done.stderr)
            if "mode=async" in line:
                job = orjson.loads(done.stdout)["jobId"]


@pytest.mark.parametrize(
    "name",
    [
        *SERIES,
        *(field.alias or "" for field in Options.model_fields.values()),
        *(code for code in STATUS if not code.startswith(("SRC", "GEO"))),
    ],
)
def test_all_that_there_is_is_told(name: str) -> None:
    """No option, metric or code is known to the code alone."""
    assert name in TEXT
