"""Observers: plugins that are told what happens, each in a thread of its own, so that none can hold a run up.

Calls reach an observer one after another and in order. One whose call takes longer than BENCH3D_OBSERVER_SECONDS
(default 20) is given up: its thread is abandoned, one line says so, and it is not called again in this process. An
observer that is merely slow makes the run wait only when it is 10,000 calls behind. What it raises is logged once per
hook and kind of error.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench3d.plugins import tracing

log = logging.getLogger("bench3d.plugins")

OBSERVER_HOOKS = (
    "bench3d_run_started",
    "bench3d_sample_done",
    "bench3d_run_finished",
    "bench3d_fit_step",
    "bench3d_fit_finished",
)
WAITED_FOR = ("bench3d_run_finished", "bench3d_fit_finished")
"""After these the process may end."""
SECONDS = "BENCH3D_OBSERVER_SECONDS"
DEFAULT_SECONDS = 20.0
FLUSHES = 3  # times that limit is the longest wait at the end of a run
_BEHIND = 10_000
_POLL_SECONDS = 0.05


def limit_seconds() -> float:
    """Seconds that one call of an observer may take."""
    try:
        return max(0.01, float(os.environ.get(SECONDS, DEFAULT_SECONDS)))
    except ValueError:
        return DEFAULT_SECONDS


class Observers:
    """The observers of a process.

    Args:
        plugins: name and pluggy hooks of each plugin that implements a hook of `OBSERVER_HOOKS`.
    """

    def __init__(self, plugins: Sequence[tuple[str, Any]]) -> None:
        limit = limit_seconds()
        self._all = [_Observer(name, hooks, limit) for name, hooks in plugins]
        self._of = {hook: [o for o in self._all if o.implements(hook)] for hook in OBSERVER_HOOKS}

    def notify(self, hook: str, arguments: Mapping[str, Any]) -> None:
        """Tells those that implement the hook. Each gets dictionaries and lists of its own."""
        for observer in self._of[hook]:
            observer.tell(hook, {k: copied(v) for k, v in arguments.items()})

    def flush(self) -> None:
        """Waits until all have been told everything, at most `FLUSHES` times their limit."""
        until = time.monotonic() + FLUSHES * limit_seconds()
        waiting = [(o, o.mark()) for o in self._all]
        for observer, event in waiting:
            observer.wait(event, until)


def copied(value: Any) -> Any:
    """A copy of nested dictionaries and lists; what is in them is shared."""
    if type(value) is dict:
        return {k: copied(v) if type(v) in (dict, list) else v for k, v in value.items()}
    if type(value) is list:
        return [copied(v) if type(v) in (dict, list) else v for v in value]
    return value


class _Observer:
    """One plugin's queue and thread; the thread starts with the first call."""

    def __init__(self, name: str, hooks: Any, limit: float) -> None:
        self.name, self.limit = name, limit
        self._hooks = hooks
        self._queue: queue.SimpleQueue[tuple[str, dict[str, Any]] | threading.Event] = queue.SimpleQueue()
        self._busy: tuple[float, str] | None = None  # since when, in which hook
        self._thread: threading.Thread | None = None
        self._given_up = False
        self._raised: set[tuple[str, type]] = set()

    def implements(self, hook: str) -> bool:
        return bool(getattr(self._hooks, hook).get_hookimpls())

    def tell(self, hook: str, arguments: dict[str, Any]) -> None:
        if self._given_up or self._hangs():
            return
        while self._queue.qsize() >= _BEHIND:
            time.sleep(_POLL_SECONDS)
            if self._hangs():
                return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"bench3d-observer-{self.name}", daemon=True)
            self._thread.start()
        self._queue.put((hook, arguments))

    def mark(self) -> threading.Event:
        """An event that is set when all that was told before has been worked off."""
        event = threading.Event()
        if self._thread is None or self._given_up:
            event.set()
        else:
            self._queue.put(event)
        return event

    def wait(self, event: threading.Event, until: float) -> None:
        while not event.wait(_POLL_SECONDS):
            if self._hangs():
                return
            if time.monotonic() > until:
                self._give_up(f"is {self._queue.qsize()} calls behind at the end of the run")
                return

    def _hangs(self) -> bool:
        busy = self._busy
        if busy is not None and time.monotonic() - busy[0] > self.limit:
            self._give_up(f"took more than {self.limit:g} s in {busy[1]}")
        return self._given_up

    def _give_up(self, why: str) -> None:
        if not self._given_up:
            self._given_up = True
            log.warning("Plugin %s %s: it is not told anything more in this process.", self.name, why)

    def _work(self) -> None:
        while not self._given_up:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            hook, arguments = item
            self._busy = (time.monotonic(), hook)
            try:
                tracing.call(self.name, hook, getattr(self._hooks, hook), arguments)
            except BaseException as error:
                self._tell_error(hook, error)
            finally:
                self._busy = None

    def _tell_error(self, hook: str, error: BaseException) -> None:
        kind = (hook, type(error))
        if kind not in self._raised:
            self._raised.add(kind)
            log.warning("Plugin %s failed in %s: %s: %s", self.name, hook, type(error).__name__, error)
        log.debug("Plugin %s failed in %s", self.name, hook, exc_info=True)
