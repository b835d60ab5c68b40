"""Writes a board as one static folder that opens from disk."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.files import output_errors
from bench3d.leaderboard import plots
from bench3d.leaderboard.board import Board, Row, Table
from bench3d.leaderboard.page.files import MARKER, replaced_folder
from bench3d.leaderboard.page.listing import sections, shared, split
from bench3d.leaderboard.page.overview import overview
from bench3d.leaderboard.page.pictures import Picture, thumbnails
from bench3d.leaderboard.page.run_page import run_context
from bench3d.leaderboard.page.table_page import table_context
from bench3d.leaderboard.page.templates import asset, environment
from bench3d.machine import garbage_collection_off
from bench3d.runner.memo import planning_session

if TYPE_CHECKING:
    from bench3d.leaderboard.changes import Changes

__all__ = ["MARKER", "SiteSummary", "write_site"]

PICTURE_BYTES = 6_000_000
BRIEF_FROM = 800
"""From so many runs on a run's page leaves to the table's page what its runs share, and to the record the parts of the
samples: 2,000 whole pages would be 20 MB."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,150}")


@dataclass(frozen=True)
class SiteSummary:
    """What was written."""

    files: int
    bytes: int


@garbage_collection_off()
def write_site(
    board: Board,
    out: Path,
    *,
    changes: Changes | None = None,
    pictures: bool = True,
    picture_bytes: int = PICTURE_BYTES,
    more: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
) -> SiteSummary:
    """Writes index.html, a page per table and per run, the records, style and script; replaces a site of ours whole.

    Everything is written beside `out` and moved there at the end. The same board gives the same bytes.

    Args:
        changes: since the last build, for the first page.
        pictures: whether to show small copies of the pictures of runs.
        picture_bytes: all of these together at most.
        more: called with the folder before it takes its place: writes further files (the exports that pages link to).

    Raises:
        OutputError: `out` is not ours to replace, or cannot be written.
        DataError: an id of a table or a row cannot name a file.
    """
    _check_names(board)
    progress = progress or NullProgress()
    with replaced_folder(out) as folder:
        site = _Site(folder, board)
        site.text(MARKER, "Written by bench3d; replaced by the next build.\n")
        site.text("style.css", asset("style.css") + plots.STYLE)
        for name in ("board.js", "icon.svg"):
            site.text(name, asset(name))
        site.page("index.html", "index", **overview(board, changes, _files))
        shots = thumbnails(board, folder / "runs", picture_bytes, progress) if pictures else {}
        progress.start("pages", sum(1 + len(table.rows) for table in board.tables))
        with planning_session():  # the commands of many runs look up the same things
            for table in board.tables:
                site.table(table, shots, progress)
        progress.finish()
        if more is not None:
            more(folder)
        with output_errors(out):
            sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return SiteSummary(len(sizes), sum(sizes))


class _Site:
    """The folder while it is being written."""

    def __init__(self, folder: Path, board: Board) -> None:
        self.folder = folder
        self.board = board
        self.brief = sum(len(table.rows) for table in board.tables) >= BRIEF_FROM
        with output_errors(folder):
            for name in ("tables", "runs"):
                (folder / name).mkdir()

    def text(self, name: str, content: str) -> None:
        # The whole folder is published by one rename at the end: single files need no flush of their own.
        path = self.folder / name
        with output_errors(path):
            path.write_bytes(content.encode("utf-8", "replace"))

    def page(self, name: str, template: str, **context: Any) -> None:
        root = "../" * name.count("/")
        self.text(name, environment().get_template(template).render(root=root, **context))

    def records(self, table: Table) -> None:
        """Every record of a table, one JSON per line: one file, as single ones would be most of the site's size.

        A brief site leaves out the scores of parts of the samples, nine tenths of a record.
        """
        records = (r.entry.record for r in table.rows)
        kept = (r.model_copy(update={"groups": []}) if self.brief else r for r in records)
        lines = (json.dumps(r.as_json(), separators=(",", ":")) + "\n" for r in kept)
        path = self.folder / "tables" / _files(table)["records"]
        with output_errors(path):
            path.write_bytes(gzip.compress("".join(lines).encode("utf-8"), mtime=0))

    def table(self, table: Table, shots: dict[str, list[Picture]], progress: Progress) -> None:
        """A table's page, its records, and the pages of its runs."""
        files = _files(table)
        listed = [sections(row.entry.record) for row in table.rows]
        common = shared(listed) if self.brief else {}
        known = {head: frozenset(pairs) for head, pairs in common.items()}
        self.page(f"tables/{files['page']}", "table", **table_context(table, files, self.board.made), shared=common)
        if table.rows:
            self.records(table)
        progress.advance()
        for line, (row, all_of_it) in enumerate(zip(table.rows, listed, strict=True), 1):
            context = run_context(table, row, *split(all_of_it, known), brief=self.brief)
            self.page(f"runs/{row.id}.html", "run", **context, line=line, files=files, pictures=shots.get(row.id, []))
            progress.advance()


def _files(table: Table) -> dict[str, str]:
    """Names of a table's files in `tables/`."""
    return {"page": f"{table.id}.html", "records": f"{table.id}.records.jsonl.gz"} | {
        kind: f"{table.id}.{kind}" for kind in ("csv", "md", "tex")
    }


def _check_names(board: Board) -> None:
    rows: list[Row] = [row for table in board.tables for row in table.rows]
    for kind, names in (("table", [t.id for t in board.tables]), ("row", [r.id for r in rows])):
        for name in names:
            if not _NAME.fullmatch(name):
                raise DataError(f"The {kind} {name[:80]!r} cannot name a file.")
        if len(set(names)) < len(names):
            raise DataError(f"Two {kind}s of the board have one id: {next(n for n in names if names.count(n) > 1)}.")
