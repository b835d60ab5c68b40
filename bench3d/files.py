"""Atomic writing: a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench3d.errors import OutputError

_TEMPORARY = re.compile(r"\..*\.\d+-[0-9a-f]{8}(\.[^.]*)?")
"""Names that `atomic_path` makes."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns an OSError while writing `path` into one sentence with a next step."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(f"The disk is full: {path} was not written.", "Free some space and run again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise OutputError(
                f"No permission to write {path}.", "Choose another folder (--results, or BENCH3D_DATA for data)."
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise OutputError(f"{path} cannot be written: a file stands where a folder is needed.") from error
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """Libraries in Rust (safetensors) raise errors of their own that name the system's one: "... (os error 28)"."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if (found := _OS_ERROR.search(str(error))) is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error


def make_folder(path: Path) -> Path:
    """Creates `path` and its parents; OutputError where that is not allowed."""
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, keeping its suffix; flushed and renamed on success, removed on failure.

    For writers that want a path of their own (safetensors, OpenCV, PIL).
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with output_errors(path), _as_os_errors():
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Removes what killed processes left of `atomic_path` under a folder that no process is writing in."""
    for path in folder.rglob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        handle.write(content)
        handle.flush()


def write_text(path: Path, content: str) -> None:
    """Writes a whole UTF-8 file atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
