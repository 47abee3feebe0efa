"""The command line: which commands there are, and what becomes of an error."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from camcount import __version__
from camcount.commands import (
    batch,
    check,
    config,
    count,
    counts,
    demo,
    doctor,
    evaluate,
    events,
    models,
    report,
    serve,
    site,
    track,
    verify,
)
from camcount.errors import CamcountError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Camera video to counts of people and vehicles that can be trusted.",
)
app.command("count")(count.count)
app.command("counts")(counts.counts)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.command("site")(site.site)
app.command("track")(track.track)
app.command("verify")(verify.verify)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.add_typer(batch.app, name="batch")
app.command("report")(report.report)
app.add_typer(events.app, name="events")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"camcount {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Camera video to counts of people and vehicles that can be trusted."""


def main() -> None:
    """Runs a command. Exit status: 0 done, 1 failed, 2 asked for something that cannot be, 130 interrupted."""
    try:
        app()
    except CamcountError as error:
        _fail(str(error), 2 if error.usage else 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        os._exit(1)  # the reader of our output has gone: nobody is left to tell
    except MemoryError:
        _fail("out of memory: use a smaller model, fewer threads or a smaller picture", 1)
    except Exception as error:
        if "CAMCOUNT_DEBUG" in os.environ:
            raise
        detail = " ".join(str(error).split())
        _fail(f"internal error, {type(error).__name__}: {detail} (CAMCOUNT_DEBUG=1 shows where)", 1)


def _fail(message: str, status: int) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"camcount: {' '.join(message.split())}\n")
    sys.exit(status)
