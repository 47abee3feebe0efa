"""``camcount verify``: how right was a count, from a sample that somebody looks at."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.evaluation.review import Review
    from camcount.geometry import Line
    from camcount.settings import Settings


def verify(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The video that was counted.")],
    events: Annotated[Path, typer.Option(help="What was counted: the --events file of that run.")],
    line: options.Line = None,
    truth: Annotated[Path | None, typer.Option(help="A truth file answers in place of a person.")] = None,
    answers: Annotated[Path | None, typer.Option(help="A filled-in answers.csv: only report.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the strips, the page and the answers.")] = Path("verify"),
    sample: Annotated[int, typer.Option(min=1, help="How many crossings to look at.")] = 30,
    moments: Annotated[int, typer.Option(min=0, help="How many moments to search for missed crossings.")] = 20,
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 1,
    every: Annotated[str | None, typer.Option(help="Accuracy by intervals of, say, 15m. [a quarter]")] = None,
    serve: Annotated[bool, typer.Option(help="Show the page; --no-serve only writes the folder.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page, 0 for any.")] = 0,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with the lines.")] = None,
    json: options.Json = False,
) -> None:
    """Draw a sample of crossings and moments, show each as a strip, and report accuracy with its uncertainty.

    camcount verify gate.mp4 --events crossings.jsonl --line "gate=0.1,0.5,0.9,0.5"
    """
    from camcount.app_open import open_source
    from camcount.counting.intervals import parse_duration
    from camcount.evaluation.review import answers_from_truth, plan, read_answers
    from camcount.evaluation.review_report import report
    from camcount.evaluation.truth import load_truth
    from camcount.outputs import read_crossings
    from camcount.settings import load, shapes

    crossings = read_crossings(events)
    known = load_truth(truth) if truth else None
    settings = load(config, {"source": source} | shapes(line, None))
    lines = settings.drawn_lines() or list(known.lines if known else ())
    names = list(dict.fromkeys([*(shape.name for shape in lines), *(c.line for c in crossings)]))
    ahead, info = open_source(settings)
    ahead.close()
    length_s = info.duration_s or max((c.time_s for c in crossings), default=0.0) + 1
    review = plan(crossings, names, length_s, events=sample, moments=moments, seed=seed)
    every_s = parse_duration(every) if every else None
    if known is not None:
        given = answers_from_truth(review, known)
    elif answers is not None:
        given = read_answers(review, answers)
    else:
        _write_folder(review, settings, lines, out, quiet=json)
        if not serve:
            console.screen().print(
                f"wrote {out}/index.html and {out}/answers.csv; report with --answers {out}/answers.csv"
            )
            return
        _ask(review, out, port)
        given = read_answers(review, out / "answers.csv")
    _tell(report(review, given, every_s=every_s), as_json=json)


def _write_folder(review: Review, settings: Settings, lines: list[Line], out: Path, *, quiet: bool) -> None:
    from camcount.app_open import open_source
    from camcount.commands.review_page import page
    from camcount.errors import writing
    from camcount.evaluation.review_folder import ReviewFolder

    folder = ReviewFolder(out, review)
    with writing(out, "review"):
        (out / "index.html").write_text(page(review.items))
    ahead, info = open_source(settings)
    places = {line.name: line.at(info.width, info.height) for line in lines}
    try:
        with console.progress(quiet) as bar:
            task = bar.add_task("cutting strips", total=len(review.items), state="")
            for _ in folder.cut(ahead, places):
                bar.advance(task)
    finally:
        ahead.close()


def _ask(review: Review, out: Path, port: int) -> None:
    from camcount.commands.review_page import serve
    from camcount.evaluation.review import read_answers

    screen = console.screen()

    def saved() -> None:
        done = len(read_answers(review, out / "answers.csv"))
        screen.print(f"{done} of {len(review.items)} answered", end="\r")

    server, address = serve(out, port, saved)
    screen.print(f"Open {address} and answer; Ctrl-C here ends and reports. Answers are kept in {out}/answers.csv.")
    try:
        while len(read_answers(review, out / "answers.csv")) < len(review.items):
            time.sleep(0.5)
    except KeyboardInterrupt:
        screen.print()
    finally:
        server.shutdown()
        server.server_close()


def _tell(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        console.print_json(result)
        return
    from camcount.commands.tables import print_review

    print_review(result)
