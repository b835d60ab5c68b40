"""The logs of a grid's jobs: `bench3d grid logs`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.grid_options import RESULTS, GridArgument
from bench3d.cli.grid_watch import LEFT, saved
from bench3d.cli.output import DebugOption, console
from bench3d.cli.runs import ResultsOption
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean

if TYPE_CHECKING:
    from bench3d.grid.model import GridPlan, Node

FOLLOW_SECONDS, SILENT_LOOKS = 0.5, 10
MOST_LOGS, MOST_BYTES = 5, 2_000_000
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

LinesOption = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="The last N lines of each log.")]


def register(group: typer.Typer) -> None:
    """Adds the command."""
    example = "Example: bench3d grid logs demo run-0123456789ab --follow"
    group.command("logs", short_help="Show the end of a job's log.", epilog=example)(logs)


def find_nodes(plan: GridPlan, word: str) -> list[Node]:
    """The nodes that a word means: an id or its beginning (with or without its kind), else a part of the title.

    Raises:
        UnknownNameError: none; holds the nearest ids or titles.
    """
    wanted = word.casefold()
    exact = [n for n in plan.nodes if n.id == word]
    begin = [n for n in plan.nodes if n.id.startswith(word) or n.id.partition("-")[2].startswith(word)]
    found = exact or begin or [n for n in plan.nodes if wanted in n.title.casefold()]
    if not found:
        close = did_you_mean(word, [n.id for n in plan.nodes] + [n.title for n in plan.nodes])
        hint = close if close.startswith("Did") else "Give the beginning of an id (`bench3d grid status --json`)."
        raise UnknownNameError(f"The grid {plan.name} has no job {word}.", hint)
    return found


def logs(
    grid: GridArgument,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="The beginning of an id, or a part of a title.")
    ] = None,
    results: ResultsOption = RESULTS,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on while lines are added.")] = False,
    lines: LinesOption = 20,
    debug: DebugOption = False,
) -> None:
    """Show the end of a job's log; without NODE those of the failed jobs, else of the running ones."""
    plan = saved(grid, results)
    if node is not None:
        chosen = find_nodes(plan, node)
    else:
        running = [n for n in plan.nodes if n.state == "running"]
        chosen = running if follow else [n for n in plan.nodes if n.state == "failed"] or running
    if not chosen:
        console(stderr=True).print("Nothing has failed and nothing runs: name a job.")
        return
    if follow and len(chosen) > 1:
        named = "; ".join(f"{n.id} ({n.title})" for n in chosen[:MOST_LOGS])
        raise UsageError(f"{len(chosen)} jobs are meant, and one can be followed.", f"Name one: {named}.")
    for one in chosen[:MOST_LOGS]:
        _print_log(plan, one, lines)
    if len(chosen) > MOST_LOGS:
        left = ", ".join(n.id for n in chosen[MOST_LOGS : 2 * MOST_LOGS])
        console(stderr=True).print(f"... and {len(chosen) - MOST_LOGS} more: {left}", soft_wrap=True)
    if follow:
        try:
            _follow(grid, results, log_of(plan, chosen[0]), chosen[0].id)
        except KeyboardInterrupt:
            raise typer.Exit(LEFT) from None


def _follow(grid: str, results: Path, path: Path, node_id: str) -> None:
    """Prints what is added, until the job has been silent for a while and is over."""
    from bench3d.grid.model import OVER

    silent = 0
    for text in added(path):
        print(text, end="", flush=True)
        silent = 0 if text else silent + 1
        if silent and silent % SILENT_LOOKS == 0:
            states = {n.id: n.state for n in saved(grid, results).nodes}
            if states.get(node_id) in OVER:
                return


def log_of(plan: GridPlan, node: Node) -> Path:
    """The file that a node's processes write to."""
    return plan.folder / "nodes" / node.id / "log.txt"


def _print_log(plan: GridPlan, node: Node, lines: int) -> None:
    from rich.text import Text

    err = console(stderr=True)
    err.print(Text(f"{node.title}  ", style="bold").append(f"{node.id}  {log_of(plan, node)}", "dim"), soft_wrap=True)
    if node.reason:
        err.print(Text(node.reason, style="red"))
    text = last_lines(log_of(plan, node), lines)
    print(text if text else "(no log yet)", flush=True)


def last_lines(path: Path, lines: int) -> str:
    """The last lines of a log without control characters; empty where there is no log."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, path.stat().st_size - MOST_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(clean(text).splitlines()[-lines:])


def clean(text: str) -> str:
    """Text of a log without what would change the terminal."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def added(path: Path) -> Iterator[str]:
    """What is appended to a log from now on, for ever; empty text where a look found nothing."""
    place = path.stat().st_size if path.is_file() else 0
    while True:
        try:
            with open(path, "rb") as log:
                log.seek(place)
                new = log.read()
        except OSError:
            new = b""
        place += len(new)
        yield clean(new.decode("utf-8", errors="replace"))
        time.sleep(FOLLOW_SECONDS)
