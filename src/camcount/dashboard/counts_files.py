"""What is seen on the page of counts as a file."""

from __future__ import annotations

import io

import orjson

from camcount.dashboard.counts_found import EXPORTED, Found, exported
from camcount.storage.exports import as_csv

FORMATS = ("csv", "json", "parquet")


def content(found: Found, kind: str) -> bytes:
    """The file; ``kind`` is one of `FORMATS`."""
    rows = exported(found)
    if kind == "csv":
        return as_csv(EXPORTED, rows).encode()
    if kind == "json":
        return orjson.dumps({"step": found.step, "intervals": rows}, option=orjson.OPT_APPEND_NEWLINE)
    from camcount.outputs import parquet

    file = io.BytesIO()
    parquet(file, rows)
    return file.getvalue()
