"""What all commands share: consoles, JSON, errors as sentences, options that many commands have."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.errors import Bench3DError

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.contracts import Progress

PLAIN_WIDTH = 100  # columns where the output is no terminal and COLUMNS is unset


@dataclass
class State:
    """What belongs to one call of the command line; a plugin's command finds it as `ctx.obj`."""

    debug: bool = False

    def progress(self) -> Progress:
        """Where long work reports itself: bars on a terminal, plain lines elsewhere. A context manager."""
        from bench3d.cli.progress import progress_for

        return progress_for()


def console(stderr: bool = False) -> Console:
    """A rich console on standard output or standard error; 100 columns wide where it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """JSON alone on standard output; NaN becomes null, as JSON has none."""
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def print_error(error: Bench3DError) -> None:
    """One sentence in red and the next step below it, on standard error."""
    from rich.text import Text

    err = console(stderr=True)
    err.print(Text(f"Error: {error.message}", style="bold red"))
    if error.hint:
        err.print(Text(error.hint))


def set_up_logging(debug: bool) -> None:
    """Warnings of bench3d as plain lines on standard error; everything with --debug."""
    logger = logging.getLogger("bench3d")
    logger.setLevel(logging.DEBUG if debug else logging.WARNING)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def _remember_debug(ctx: typer.Context, value: bool) -> bool:
    if value:
        ctx.ensure_object(State).debug = True
        set_up_logging(True)
    return value


DebugOption = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error and what the rooms log.", callback=_remember_debug),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON alone on standard output.")]


def gigabytes(count: float | None) -> str:
    """A size for people: 7.6 GB, 320 MB, 12 kB; empty for None."""
    if count is None:
        return ""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.0f} {unit}" if value >= 20 else f"{value:.1f} {unit}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """A time span for people: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
