"""`bench3d results show`: the runs of results folders in tables, or one run whole."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.results_lookup import RESULTS, LateProgress, SearchOption, find_record, names_record
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean

if TYPE_CHECKING:
    from bench3d.cli.results_table import View
    from bench3d.leaderboard.board import Board
    from bench3d.leaderboard.entries import Entry

FINISHED = "finished"


class Status(str, Enum):
    """How a run ended."""

    finished = "finished"
    interrupted = "interrupted"
    failed = "failed"
    out_of_memory = "out-of-memory"
    running = "running"


class Sort(str, Enum):
    """The order of the rows of a table."""

    score = "score"
    name = "name"
    age = "age"
    speed = "speed"


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command(
        "show",
        short_help="Runs in tables, or one run whole.",
        epilog="Example: bench3d results show bench3d-results --task pascal3d-pose",
    )(show)


def show(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR...|RECORD]",
            help=f"Results folders (default: {RESULTS}); or one run: its record.json, its folder, or six digits or"
            " more of its identity.",
        ),
    ] = None,
    results: SearchOption = None,
    task: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this task; repeat for more.")] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="Show and sort by this metric.")] = None,
    status: Annotated[list[Status] | None, typer.Option(help="Only runs that ended so; repeat for more.")] = None,
    sort: Annotated[Sort, typer.Option(help="Order of the rows.")] = Sort.score,
    as_json: JsonOption = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write every number to a file (- for here).")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Show what lies in results folders, a table per comparable setting; or one run with everything it left.

    Runs stand in one table where task, protocol, settings, data and limit are the same. Ranks come from paired tests on
    the samples that runs share: runs that share a letter do not differ significantly.
    """
    if as_json and csv == Path("-"):
        raise UsageError("--json and --csv - both want standard output.", "Name a file for --csv.")
    given = what or []
    if given and names_record(given[0]):
        if len(given) > 1:
            raise UsageError(f"One run is shown at a time; {len(given)} were given.", "See `bench3d results diff`.")
        if csv is not None:
            raise UsageError("--csv is for folders.", "Use --json for one run.")
        _show_run(find_record(given[0], results or []), as_json)
        return
    folders = [Path(item) for item in given] or list(results or []) or [RESULTS]
    _show_folders(folders, task or [], metric, [s.value for s in status or []], sort.value, as_json, csv)


def _show_run(entry: Entry, as_json: bool) -> None:
    from bench3d.cli.results_run import print_run, run_values

    if as_json:
        print_json(run_values(entry))
    else:
        print_run(entry, console())


def _show_folders(
    folders: Sequence[Path],
    tasks: Sequence[str],
    metric: str | None,
    status: Sequence[str],
    sort: str,
    as_json: bool,
    csv: Path | None,
) -> None:
    from bench3d.cli.results_export import board_values, write_csv
    from bench3d.cli.results_table import View, print_board

    view = View(metric=metric, sort=sort)
    with LateProgress() as progress:
        from bench3d.leaderboard.build import build_board
        from bench3d.leaderboard.entries import find_entries

        entries, refused = find_entries(folders, progress)
        entries = _of_tasks(entries, tasks)
        if status:
            entries = [e for e in entries if e.record.status in status]
        done = [e for e in entries if e.record.status == FINISHED and e.record.scores]
        rest = [e for e in entries if e not in done]
        board = build_board(done, refused=refused, reported=False, progress=progress)
    _check_metric(board, view)
    if csv is not None:
        write_csv(board, csv)
    if as_json:
        print_json(board_values(board, rest, view))
    elif csv != Path("-"):
        print_board(board, rest, folders, view, console())


def _of_tasks(entries: Sequence[Entry], tasks: Sequence[str]) -> list[Entry]:
    """The entries of tasks; UnknownNameError where none is of one of them, with those that there are."""
    from bench3d.leaderboard.compare import task_name

    if not tasks:
        return list(entries)
    there = sorted({task_name(e.record) for e in entries})
    for task in tasks:
        if task not in there:
            raise UnknownNameError(f"No run here is of the task {task}.", did_you_mean(task, there))
    return [e for e in entries if task_name(e.record) in tasks]


def _check_metric(board: Board, view: View) -> None:
    there = list(dict.fromkeys(m.name for table in board.tables for m in table.metrics))
    if view.metric is not None and view.metric not in there and there:
        raise UnknownNameError(f"No run here has the metric {view.metric}.", did_you_mean(view.metric, there))
