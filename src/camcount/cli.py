"""The command line."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Camera video to counts that people can trust.")


def main() -> None:
    """Entry point of the ``camcount`` command."""
    app()
