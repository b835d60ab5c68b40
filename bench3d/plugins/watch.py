"""Plugins that hang or crash at import: how every command stays alive, and what is remembered of them.

1. A plugin of another package that this machine has not seen in this state (`Point.stamp`) is first loaded in a child
   process. One that ends or crashes its process, or takes too long, is left out; so it stays, without another try,
   until it is installed anew or edited, or until `bench3d doctor` finds it well. This costs one start of Python per
   change of the installed plugins.
2. What passed is from then on imported by the command itself, under an alarm: one that hangs later (it waits for a
   network, say) is interrupted, left out and remembered like the others.

What is remembered is one small file in the user's cache folder; where that cannot be written, only the alarm watches.
BENCH3D_PLUGIN_SECONDS is the limit (default 10); 0 switches both off.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bench3d.machine import user_cache
from bench3d.plugins.points import Point

SECONDS = "BENCH3D_PLUGIN_SECONDS"
DEFAULT_SECONDS = 10.0
_AGAIN = 1.0  # seconds until the alarm rings again for one who swallowed it
_KEPT = 500
_T = TypeVar("_T")


class TimedOut(BaseException):
    """A plugin took too long. No Exception, so that a plugin's `except Exception` does not take it for its own."""


def limit_seconds() -> float:
    """Seconds that the import of a plugin may take; 0 where nothing is watched."""
    try:
        return max(0.0, float(os.environ.get(SECONDS, DEFAULT_SECONDS)))
    except ValueError:
        return DEFAULT_SECONDS


def completing() -> bool:
    """Whether a shell asks for completions: then nothing may be slow or printed."""
    return "_BENCH3D_COMPLETE" in os.environ


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What `call` returns or raises, given up after `seconds` (0: never).

    In the main thread an alarm interrupts it; elsewhere it goes on in a thread of its own, which is abandoned.

    Raises:
        TimedOut: it took longer.
    """
    if not seconds:
        return call()
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            return call()
    return _in_thread(seconds, call)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    over = False

    def ring(number: int, frame: Any) -> None:
        if not over:
            raise TimedOut

    before = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
        if left:  # someone else's alarm: not lost, at the worst late by what this took
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def _in_thread(seconds: float, call: Callable[[], _T]) -> _T:
    answer: list[tuple[bool, Any]] = []

    def work() -> None:
        try:
            answer.append((True, call()))
        except BaseException as error:
            answer.append((False, error))

    thread = threading.Thread(target=work, name="bench3d-plugin-import", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimedOut
    went_well, value = answer[0]
    if not went_well:
        raise value
    return value  # type: ignore[no-any-return]


class Verdict(NamedTuple):
    """Whether a plugin may be imported: `state` ok, or timed out or crashed, and why in one sentence."""

    state: str
    reason: str = ""


FIT = Verdict("ok")


def memory_file() -> Path:
    """Where verdicts are remembered."""
    return user_cache() / "bench3d" / "plugins.json"


@dataclass
class Memory:
    """What is known of plugins by their stamps: fit to be imported, or why not.

    `known` maps a stamp to {} for a plugin that may be imported, else to its "state", "reason" and "whole", the stamp
    of all its files: with any of them edited it gets another chance.
    """

    known: dict[str, dict[str, str]] = field(default_factory=dict)
    _new: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls) -> Memory:
        """What the file says; a broken one counts as empty."""
        try:
            read = json.loads(memory_file().read_bytes())
            known = {str(k): {str(a): str(b) for a, b in v.items()} for k, v in read.items()}
        except (OSError, ValueError, AttributeError):
            known = {}
        return cls(known)

    @staticmethod
    def writable() -> bool:
        """Whether something can be remembered."""
        folder = memory_file().parent
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)

    def verdict(self, point: Point) -> Verdict | None:
        """Whether a plugin may be imported; None where nothing is known of it as it is now."""
        entry = self.known.get(point.stamp())
        if not entry:
            return None if entry is None else FIT
        if entry.get("whole") != point.stamp(whole=True):
            return None
        return Verdict(entry.get("state", "crashed"), entry.get("reason", ""))

    def learn(self, point: Point, verdict: Verdict) -> None:
        """Notes a verdict; `save` writes it."""
        stamp = point.stamp()
        entry = {} if verdict == FIT else {**verdict._asdict(), "whole": point.stamp(whole=True)}
        if self.known.get(stamp) != entry:
            self.known[stamp] = self._new[stamp] = entry

    def save(self) -> None:
        """Writes what is new beside what others wrote meanwhile; where that is not allowed, nothing is remembered."""
        if not self._new:
            return
        from bench3d.errors import Bench3DError
        from bench3d.files import write_bytes

        there = {k: v for k, v in Memory.load().known.items() if k not in self._new}
        kept = dict([*there.items(), *self._new.items()][-_KEPT:])
        with contextlib.suppress(Bench3DError, OSError):
            write_bytes(memory_file(), json.dumps(kept, indent=0).encode())
        self._new.clear()
