"""A process that waits for the end of another one, then clears away the Ray that it had started.

After a kill -9 Ray's own agents may stay for a minute, and its session folder for ever. Every process of that Ray
carries a mark in its environment.

    python -m bench3d_plugins.ray_executor.reaper MARK < pipe      # the end of the pipe is the end of the starter

The starter writes the path of the session folder into the pipe as soon as it knows it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

import psutil

VARIABLE = "BENCH3D_RAY_MARK"
_ORDERLY_SECONDS = 1.0
_LONGEST_SECONDS = 15.0


def leftovers(mark: str, session: str = "") -> list[psutil.Process]:
    """The living processes that were started with the mark, or are Ray's and have files of the session open.

    Ray's agents write their titles over what the system shows as their environment.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and (_has_mark(process, mark) or _is_agent(process, session)):
                found.append(process)
        except (psutil.Error, OSError):  # gone, a zombie, or another user's
            continue
    return found


def _has_mark(process: psutil.Process, mark: str) -> bool:
    return process.environ().get(VARIABLE) == mark


def _is_agent(process: psutil.Process, session: str) -> bool:
    title = (process.cmdline() or [""])[0]
    return bool(session) and title.startswith("ray") and any(f.path.startswith(session) for f in process.open_files())


def end_leftovers(mark: str, session: str = "") -> None:
    """Gives them a second, then kills them until none is left."""
    until = time.monotonic() + _ORDERLY_SECONDS
    last = time.monotonic() + _LONGEST_SECONDS
    while (left := leftovers(mark, session)) and time.monotonic() < last:
        if time.monotonic() > until:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        time.sleep(0.1)


def remove_session(folder: Path) -> None:
    """Removes a session's folder and the link `session_latest` where that points to it."""
    shutil.rmtree(folder, ignore_errors=True)
    latest = folder.parent / "session_latest"
    with contextlib.suppress(OSError):
        if Path(os.readlink(latest)).name == folder.name:
            latest.unlink()


def main() -> None:
    """Waits for the end of standard input, then clears away."""
    session = os.fsdecode(sys.stdin.buffer.read())
    end_leftovers(sys.argv[1], session)
    if session:
        remove_session(Path(session))


if __name__ == "__main__":
    main()
