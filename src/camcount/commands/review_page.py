"""The review as a small local page: strips, three keys, answers saved as they are given."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

from camcount.evaluation.review import Item

LARGEST_FORM = 1_000_000
"""Bytes; a form of ten thousand rows is smaller."""

_EVENT = """<fieldset><legend>Counted <b>{direction}</b> at {time:.2f} s, in the red ring. Right?</legend>
<label><input type="radio" name="v{number}" value="yes"> yes</label>
<label><input type="radio" name="v{number}" value="no"> nobody crossed</label>
<label><input type="radio" name="v{number}" value="other"> the other way</label></fieldset>"""

_MOMENT = """<fieldset><legend>{counted} How many others crossed and are not counted?</legend>
<label>in <input type="number" min="0" max="99" data-missed="in"></label>
<label>out <input type="number" min="0" max="99" data-missed="out"></label></fieldset>"""


def page(items: Sequence[Item]) -> str:
    """The whole page; the strips stand beside it as ``strips/0001.png`` and so on."""
    frame = resources.files("camcount.commands").joinpath("review.html").read_text("utf-8")
    return frame.replace("<!-- articles -->", "\n".join(_article(item) for item in items))


def _article(item: Item) -> str:
    data = {
        "number": item.number,
        "kind": item.kind,
        "line": item.line,
        "start": f"{item.start_s:.2f}",
        "end": f"{item.end_s:.2f}",
    }
    attributes = " ".join(f'data-{name}="{html.escape(str(value))}"' for name, value in data.items())
    title = f"{item.number}. {html.escape(item.line)}, {item.start_s:.1f} to {item.end_s:.1f} s"
    if item.crossing:
        question = _EVENT.format(number=item.number, direction=item.crossing.direction, time=item.crossing.time_s)
    else:
        said = ", ".join(f"{c.direction} at {c.time_s:.2f} s" for c in item.counted)
        question = _MOMENT.format(counted=f"Counted: {said}." if said else "Nothing was counted here.")
    picture = f'<img loading="lazy" src="strips/{item.number:04d}.png" alt="Six pictures of {title}">'
    return f"<article {attributes}><h2>{title}</h2>{picture}{question}</article>"


class _Requests(SimpleHTTPRequestHandler):
    """The folder, and ``POST answers``."""

    def __init__(self, *args: object, folder: Path, saved: Callable[[], None], **keywords: object) -> None:
        self._folder, self._saved = folder, saved
        super().__init__(*args, directory=str(folder), **keywords)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        """Keeps the form."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/answers" or not length.isdigit() or int(length) > LARGEST_FORM:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        whole = self._folder / "answers.csv.new"
        whole.write_bytes(self.rfile.read(int(length)))
        whole.replace(self._folder / "answers.csv")  # never half a form
        self._saved()
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the screen is for the review."""


def serve(folder: Path, port: int, saved: Callable[[], None]) -> tuple[ThreadingHTTPServer, str]:
    """Serves the review to this machine only; ``saved`` is called after each answer. Returns server and address."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Requests, folder=folder, saved=saved))
    threading.Thread(target=server.serve_forever, daemon=True, name="review").start()
    return server, f"http://127.0.0.1:{server.server_address[1]}/"
