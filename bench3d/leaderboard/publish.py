"""From folders of records to a site in one call: what `build` and `serve` do, and what scripts can."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.leaderboard.board import Board
from bench3d.leaderboard.board_file import FILE, read_board_json
from bench3d.leaderboard.build import build_board
from bench3d.leaderboard.changes import Changes, changes
from bench3d.leaderboard.entries import find_entries
from bench3d.leaderboard.exports import export_all
from bench3d.leaderboard.page.files import check_place
from bench3d.leaderboard.page.site import PICTURE_BYTES, SiteSummary, write_site
from bench3d.machine import garbage_collection_off

RESULTS = Path("bench3d-results")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A site as it was written.

    Attributes:
        changes: since the site that stood in `out` before; their `since` is None where there was none.
        unread: why the last build's board.json could not be read, "" where it could or was not there.
        seconds: of every stage: "records", "board", "site" (with "exports" in it).
    """

    out: Path
    board: Board
    changes: Changes
    site: SiteSummary
    seconds: dict[str, float]
    unread: str = ""

    @property
    def runs(self) -> int:
        """Rows on the board."""
        return sum(len(table.rows) for table in self.board.tables)


def committed_records() -> Path | None:
    """The records of the public leaderboard, where bench3d runs from its source tree and there are some."""
    folder = Path(str(resources.files("bench3d.leaderboard_files") / "records"))
    return folder if folder.is_dir() and any(folder.glob("*/*/record.json")) else None


def default_folders() -> list[Path]:
    """`bench3d-results` in the current folder, and the committed records: those of both that are there."""
    return [f for f in (RESULTS if RESULTS.is_dir() else None, committed_records()) if f is not None]


@garbage_collection_off()
def publish(
    folders: Sequence[Path],
    out: Path,
    *,
    reported: bool = True,
    may_be_empty: bool = False,
    pictures: bool = True,
    picture_bytes: int = PICTURE_BYTES,
    progress: Progress | None = None,
) -> Published:
    """Builds the leaderboard of all records under `folders` into `out`, which is replaced as a whole.

    `may_be_empty` takes folders without a record too, as a new leaderboard has: it shows what papers report.

    Raises:
        DataError: a folder is not there, or no record can be shown.
        OutputError: `out` holds something else than a site of ours, or cannot be written.
    """
    check_place(out)
    progress = progress or NullProgress()
    before, unread = _last_build(out)
    seconds: dict[str, float] = {}
    with _timed(seconds, "records"):
        entries, refused = find_entries(folders, progress)
    if not entries and not may_be_empty:
        raise _nothing(folders, [r.reason for r in refused])
    with _timed(seconds, "board"):
        board = build_board(entries, refused=refused, reported=reported, progress=progress)
    if not may_be_empty and not any(table.rows for table in board.tables):
        raise _nothing(folders, [r.reason for r in board.refused])
    changed = changes(before, board)

    def more(folder: Path) -> None:
        with _timed(seconds, "exports"):
            export_all(board, folder)

    with _timed(seconds, "site"):
        site = write_site(
            board,
            out,
            changes=None if before is None else changed,
            pictures=pictures,
            picture_bytes=picture_bytes,
            more=more,
            progress=progress,
        )
    return Published(out=out, board=board, changes=changed, site=site, seconds=seconds, unread=unread)


def _last_build(out: Path) -> tuple[dict[str, object] | None, str]:
    if not (out / FILE).is_file():
        return None, ""
    try:
        return read_board_json(out / FILE), ""
    except DataError as error:
        return None, error.message


def _nothing(folders: Sequence[Path], reasons: Sequence[str]) -> DataError:
    places = ", ".join(str(f) for f in folders)
    if reasons:
        rest = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return DataError(f"None of the records under {places} can be shown: {reasons[0].rstrip('.')}{rest}.")
    return DataError(
        f"There are no records under {places}.",
        "Make some (`bench3d run`, `bench3d grid run`) or name others: --results.",
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - began
