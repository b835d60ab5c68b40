"""What code does to the world around it, as Python's audit hooks see it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
_CONNECTS = ("socket.connect", "socket.bind", "urllib.Request")
_HARMLESS = ("numpy", "collections", "_codecs", "copyreg", "builtins.set", "builtins.complex", "builtins.bytearray")
"""Modules and names that a pickle of plain arrays needs."""

_done: list[str] | None = None
_hooked: list[bool] = []


@contextlib.contextmanager
def deeds() -> Iterator[list[str]]:
    """Collects, in words, the processes, connections and unpickled names of the block.

    The hook itself stays for as long as the process lives (Python has no way to remove one) and does nothing outside.
    """
    global _done  # noqa: PLW0603 - the hook cannot be given anything else
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    before, found = _done, []  # type: ignore[var-annotated]
    _done = found
    try:
        yield found
    finally:
        _done = before


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _done is None:
        return
    if event in _STARTS:
        _done.append(f"starts a process ({event} {str(arguments[0])[:60] if arguments else ''})")
    elif event in _CONNECTS:
        _done.append(f"opens a connection ({event} {str(arguments[-1])[:60]})")
    elif event == "pickle.find_class":
        name = ".".join(map(str, arguments[:2]))
        if not name.startswith(_HARMLESS):
            _done.append(f"unpickles {name}")
