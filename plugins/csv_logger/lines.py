"""Lines of CSV that several processes append to one file: whole ones, under one header."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench3d.errors import OutputError
from bench3d.files import make_folder, output_errors

Cell = str | int | float | None
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def append(path: Path, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Appends rows by one write at the file's end, under a lock that also decides who writes the header.

    Args:
        path: is made, with its folders, where it is missing.
        header: names of the columns.
        rows: cells in that order; None is an empty one.

    Raises:
        OutputError: it cannot be written (nothing of it is then), or begins with another header.
    """
    make_folder(path.parent)
    with output_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            with _locked(handle):
                _append(handle, path, _bytes([header]), _bytes(rows))
        finally:
            os.close(handle)


def _append(handle: int, path: Path, head: bytes, lines: bytes) -> None:
    size = os.fstat(handle).st_size
    if size == 0:
        lines = head + lines
    elif os.pread(handle, len(head), 0) != head:
        raise OutputError(f"{path} has other columns than this bench3d writes.", "Move it away, or name another DIR.")
    elif os.pread(handle, 1, size - 1) != b"\n":  # somebody else's half line
        lines = b"\n" + lines
    written = -1
    try:
        written = os.write(handle, lines)
    finally:
        if written != len(lines):
            os.ftruncate(handle, size)
    if written != len(lines):
        raise OutputError(f"The disk is full: {path} was not written.", "Free some space and run again.")


@contextlib.contextmanager
def _locked(handle: int) -> Iterator[None]:
    """Alone with the file; where the file system knows no locks, whole lines are all that appending gives."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    yield  # closing the file gives the lock back


def _bytes(rows: Sequence[Sequence[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", errors="replace")


def _cell(value: Cell) -> str:
    """Numbers as they are; of text one line, with an apostrophe before what a spreadsheet would take for a formula."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(float(value)) if isinstance(value, float) else str(value)
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
