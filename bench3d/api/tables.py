"""`bench3d.results` and `bench3d.load_record`: what runs left, as a data frame or one record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench3d.errors import DataError
from bench3d.records import Record, read_record

if TYPE_CHECKING:
    import pandas

RECORD = "record.json"


def results(
    folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "bench3d-results",
    *,
    task: str | Sequence[str] | None = None,
    reported: bool = False,
) -> pandas.DataFrame:
    """Everything that runs left under folders, one line per run, metric and category.

        >>> table = bench3d.results("bench3d-results")
        >>> table[table.category == "mean"].pivot_table(index="title", columns="metric", values="value")

    Columns: `table` (runs of one table are comparable), `identity`, `title`, `backbone`, `adapter`, `shape_model`,
    `variant`, `metric`, `unit`, `category` ("mean" is that over categories), `value`, `low`, `high` (95 % interval),
    `method` of the interval, `n`, `clusters`, `chance`, `rank_low`, `rank_high`, `groups` (runs that share a letter do
    not differ), `ranked`, `marks`, `badge`, `source`, `cited`. Unfinished runs are left out.

    Args:
        folder: results folders, or folders of records.
        task: only these tasks.
        reported: add the rows of papers, with `source` "reported".

    Raises:
        DataError: a folder is not there.
        UsageError: pandas is not installed.
    """
    from bench3d.leaderboard.build import build_board
    from bench3d.leaderboard.compare import task_name
    from bench3d.leaderboard.entries import find_entries
    from bench3d.leaderboard.exports import to_frame

    named = [folder] if isinstance(folder, (str, os.PathLike)) else [*folder]
    folders = [Path(one).expanduser() for one in named]
    for one in folders:
        if not one.is_dir():
            raise DataError(f"There is no results folder {one}.", "Run something first, or name another folder.")
    wanted = None if task is None else {task} if isinstance(task, str) else {*task}
    entries, refused = find_entries(folders)
    done = [
        e
        for e in entries
        if e.record.status == "finished" and e.record.scores and (wanted is None or task_name(e.record) in wanted)
    ]
    return to_frame(build_board(done, refused=refused, reported=reported))


def load_record(path: str | os.PathLike[str]) -> Record:
    """The record of one run.

        >>> record = bench3d.load_record("bench3d-results/runs/pascal3d-pose/dinov2-paper-0123456789ab")
        >>> record.score(record.headline).value

    Args:
        path: a record.json or the folder it lies in.

    Raises:
        DataError: missing or no record; names file and field.
    """
    given = Path(path).expanduser()
    return read_record(given / RECORD if given.is_dir() else given)
