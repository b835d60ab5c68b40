"""Signals: those that ask an engine to stop, and what a process that was killed by one says."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

from bench3d.contracts.executor import Ended


class Stoppable(Protocol):
    """Something with `asked`: 0, 1 to drain, 2 to interrupt what runs."""

    asked: int


def killed_sentence(ended: Ended) -> str:
    """A sentence about a process that left none itself."""
    if ended.code is None:
        return f"Its process was lost: {ended.reason or 'nobody knows why'}."
    if ended.code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-ended.code).name
            why = "; perhaps the memory ran out" if ended.code == -signal.SIGKILL else ""
            return f"Its process was killed by signal {-ended.code} ({name}){why}."
    return f"Its process ended with code {ended.code}{f': {ended.reason}' if ended.reason else ''}."


@contextlib.contextmanager
def heeding_signals(engine: Stoppable) -> Iterator[None]:
    """Ctrl-C once drains, twice interrupts; being terminated interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        engine.asked = min(2, engine.asked + 1)

    def terminate(number: int, frame: FrameType | None) -> None:
        engine.asked = 2

    asked = {signal.SIGINT: interrupt, signal.SIGTERM: terminate}
    if hasattr(signal, "SIGHUP"):
        asked[signal.SIGHUP] = terminate
    before = {number: signal.signal(number, handler) for number, handler in asked.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
