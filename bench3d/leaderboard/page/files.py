"""A folder that is made beside its place and takes it in one step; what is not ours is never replaced."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench3d.errors import OutputError
from bench3d.files import output_errors

MARKER = ".bench3d-site"
"""A file of this name says that the folder was written by us and may be replaced."""


def check_place(out: Path) -> None:
    """OutputError where something stands at `out` that is not a site of ours or an empty folder."""
    with output_errors(out):
        if out.is_symlink():
            raise OutputError(f"{out} is a link.", "Name the folder that it leads to.")
        if not out.exists():
            return
        if not out.is_dir():
            raise OutputError(f"{out} is a file: a site is a folder.", "Choose another --out.")
        if (out / MARKER).is_file() or not any(out.iterdir()):
            return
    raise OutputError(
        f"{out} holds files that are not a leaderboard's: nothing was written.", "Choose a new or an empty folder."
    )


@contextlib.contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out`; on success it becomes `out`, on failure it is removed and `out` is as it was.

    A reader sees the old site or the new one; for a moment between two renames there is none.
    """
    out = Path(os.path.abspath(out))
    check_place(out)
    work = out.with_name(f".{out.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with output_errors(out):
            work.mkdir(parents=True)
        yield work
        check_place(out)
        with output_errors(out):
            _swap(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(work: Path, out: Path) -> None:
    old = work.with_name(f"{work.name}-old")
    with contextlib.suppress(FileNotFoundError):
        os.rename(out, old)
    try:
        os.rename(work, out)
    except OSError:
        if old.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)
