"""`python -m bench3d.testing.toy_job FOLDER NAME SECONDS CODE`: the job that executors are checked with.

It writes NAME into FOLDER/began, its process id into FOLDER/NAME.pid, sleeps, writes NAME into FOLDER/ended, and ends
with CODE. Interrupted, as by Ctrl-C, it ends with 130.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bench3d.contracts.executor import INTERRUPTED
from bench3d.processes import die_with_parent


def main(folder: Path, name: str, seconds: float, code: int) -> int:
    """Does the job and returns its exit code."""
    (folder / f"{name}.pid").write_text(str(os.getpid()), encoding="utf-8")
    try:
        _note(folder / "began", name)
        time.sleep(seconds)
    except KeyboardInterrupt:
        return INTERRUPTED
    _note(folder / "ended", name)
    return code


def _note(path: Path, name: str) -> None:
    with open(path, "a", encoding="utf-8") as lines:  # one short line: written whole, also by several processes
        lines.write(f"{name}\n")


if __name__ == "__main__":
    die_with_parent()
    _, where, named, lasts, ends = sys.argv
    sys.exit(main(Path(where), named, float(lasts), int(ends)))
