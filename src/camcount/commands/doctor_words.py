"""The line doctor's findings as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_STYLES = {"good": "green", "fair": "yellow", "poor": "red", "unknown": "dim"}


def print_diagnoses(report: Mapping[str, Any]) -> None:
    """A table of all lines, then what is to be said of each."""
    console = Console(highlight=False)
    console.print(
        f"\n[bold]{report['source']}[/bold]: watched {report['watched_s']:.0f} s, {report['frames']} frames, "
        f"{report['tracks']} objects"
    )
    table = Table(title="Lines", title_justify="left", title_style="bold")
    for column in ("line", "in", "out", "expected loss", "better line"):
        table.add_column(column, justify="left" if column == "line" else "right")
    for name, line in report["lines"].items():
        better = line["proposal"]
        table.add_row(
            name,
            str(line["counted"]["in"]),
            str(line["counted"]["out"]),
            f"[{_STYLES[line['grade']]}]{percent(line['expected_loss'])}[/]",
            "–" if better is None else percent(better["expected_loss"]),
        )
    console.print(table)
    for name, line in report["lines"].items():
        for sentence in sentences(name, line):
            console.print(sentence, soft_wrap=True)
    if report["picture"]:
        console.print(f"wrote {report['picture']}")


def sentences(name: str, line: Mapping[str, Any]) -> list[str]:
    """What is wrong with one line and what to try, one sentence or two each."""
    said = [f"[bold]{name}[/bold]: {cause['text']}" for cause in line["causes"]]
    loss, better = line["expected_loss"], line["proposal"]
    if loss is not None:
        said.append(f"[bold]{name}[/bold]: {_verdict(line)}")
    if better is not None:
        said.append(f'Try: --line "{better["line"]}" (expect {percent(better["expected_loss"])})')
    return said


def percent(share: float | None) -> str:
    """A share for people."""
    return "unknown" if share is None else f"{share:.0%}".replace("%", " %")


def _verdict(line: Mapping[str, Any]) -> str:
    counted = line["counted"]["in"] + line["counted"]["out"]
    few = " Few have passed so far: watch longer to be surer." if counted < 10 else ""
    if line["grade"] == "good":
        return f"A good line. Expect to miss {percent(line['expected_loss'])}.{few}"
    return f"Expect to miss {percent(line['expected_loss'])}.{few}"
