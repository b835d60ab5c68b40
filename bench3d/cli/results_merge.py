"""`bench3d results merge`: several results folders become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, gigabytes, print_json
from bench3d.cli.results_lookup import LateProgress
from bench3d.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.leaderboard.merge import Merged

WORDS = {
    "copied": ("copied", "would be copied", "green"),
    "replaced": ("replaced", "would be replaced", "green"),
    "there": ("there already", "there already", ""),
    "different": ("there with other numbers: kept", "there with other numbers: kept", "bold yellow"),
    "unfinished": ("not finished: left out", "not finished: left out", "dim"),
    "refused": ("refused", "refused", "bold red"),
}
TOLD = ("replaced", "different", "refused")
MOST_LINES = 50


class Prefer(str, Enum):
    """Which of two records of one identity stays."""

    mine = "mine"
    newest = "newest"


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command(
        "merge",
        short_help="Several results folders into one.",
        epilog="Example: bench3d results merge node1/results node2/results --into all --dry-run",
    )(merge)


def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="Results folders.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="The results folder that gets the runs.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and say what would happen; write nothing.")] = False,
    prefer: Annotated[
        Prefer, typer.Option(help="Of two records of one identity: the one in --into, or the later one.")
    ] = Prefer.mine,
    fits: Annotated[bool, typer.Option("--fits", help="Copy fitted adapters and shape models too.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Copy the finished runs of several results folders into one. What is there stays; broken runs are refused.

    Every run is checked (record, number of samples, digest of the sidecar) and appears whole or not at all, so that an
    interrupted merge is gone on with by the same command. Exit code 3 where something was refused.
    """
    from bench3d.leaderboard.merge import merge_runs
    from bench3d.leaderboard.merge_fits import merge_fits

    with LateProgress() as progress:
        runs = list(merge_runs(sources, into, prefer=prefer.value, dry_run=dry_run, progress=progress))
        fitted = list(merge_fits(sources, into, dry_run=dry_run, progress=progress)) if fits else []
    if as_json:
        print_json(_values(runs, fitted, into, dry_run))
    else:
        _print(runs, fitted, into, dry_run, console())
    if any(m.outcome == "refused" for m in (*runs, *fitted)):
        raise typer.Exit(DataError.exit_code)


def _values(runs: Sequence[Merged], fits: Sequence[Merged], into: Path, dry_run: bool) -> dict[str, Any]:
    def lines(found: Sequence[Merged]) -> list[dict[str, Any]]:
        return [
            {**vars(m), "source": str(m.source), "target": None if m.target is None else str(m.target)} for m in found
        ]

    def counts(found: Sequence[Merged]) -> dict[str, int]:
        told = Counter(m.outcome for m in found)
        return {word: told[word] for word in WORDS}  # type: ignore[index]

    return {
        "into": str(into),
        "dry_run": dry_run,
        "bytes": sum(m.bytes for m in (*runs, *fits)),
        "runs": {"counts": counts(runs), "items": lines(runs)},
        "fits": {"counts": counts(fits), "items": lines(fits)},
    }


def _print(runs: Sequence[Merged], fits: Sequence[Merged], into: Path, dry_run: bool, out: Console) -> None:
    from rich.text import Text

    told = [m for m in (*runs, *fits) if m.outcome in TOLD or (m.reason and m.outcome == "copied")]
    for merged in told[:MOST_LINES]:
        word, future, style = WORDS[merged.outcome]
        line = Text(f"{future if dry_run else word}: ", style=style)
        line.append(f"{merged.name}", "default not bold").append(f"  {merged.source}", "dim not bold")
        out.print(line, soft_wrap=True)
        if merged.reason:
            out.print(Text(f"  {merged.reason}"), soft_wrap=True)
    if len(told) > MOST_LINES:
        out.print(f"... and {len(told) - MOST_LINES} more (--json names them all)")
    for what, found in (("run", runs), ("fit", fits)):
        if found or what == "run":
            out.print(_summary(what, found, into, dry_run), soft_wrap=True)


def _summary(what: str, found: Sequence[Merged], into: Path, dry_run: bool) -> Any:
    from rich.text import Text

    line = Text(f"{len(found)} {what}{'' if len(found) == 1 else 's'}", style="bold")
    line.append(f" for {into}: " if found else f" for {into}.", "default not bold")
    counts = Counter(m.outcome for m in found)
    parts = []
    for outcome, (word, future, style) in WORDS.items():
        if counts[outcome]:  # type: ignore[index]
            size = sum(m.bytes for m in found if m.outcome == outcome)
            held = f" ({gigabytes(size)})" if size else ""
            parts.append(Text(f"{counts[outcome]} {future if dry_run else word}{held}", style=style or "none"))  # type: ignore[index]
    return line.append_text(Text(" · ").join(parts))
