"""Progress of a call: silent, as bars (in a terminal or a notebook), or handed to a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Callback: TypeAlias = Callable[[str, int, int | None, Mapping[str, float]], object]
"""Called with the stage, steps done, steps in all (None: unknown) and the latest values."""
Shown: TypeAlias = bool | Callback | Progress


def progress_of(shown: Shown) -> Progress:
    """What a call's `progress` means.

    Raises:
        UsageError: neither True, False, a function nor a Progress.
    """
    if isinstance(shown, Progress):
        return shown
    if isinstance(shown, bool):
        return ShownProgress() if shown else NullProgress()
    if callable(shown):
        return CalledProgress(shown)
    raise UsageError(f"progress={shown!r} is nothing to show it with.", "Give True, False or a function.")


class CalledProgress(Progress):
    """Hands every step to a function; what that raises ends the work."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._stage, self._done, self._total = "", 0, None

    def start(self, name: str, total: int | None) -> None:
        """A stage begins: called with 0 steps done."""
        self._stage, self._done, self._total = name, 0, total  # type: ignore[assignment]
        self._callback(name, 0, total, {})

    def advance(self, steps: int = 1, **values: float) -> None:
        """Called with the steps done so far."""
        self._done += steps
        self._callback(self._stage, self._done, self._total, values)


class ShownProgress(Progress):
    """One bar a stage on standard error, or in the notebook."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def start(self, name: str, total: int | None) -> None:
        """A new bar."""
        from rich.console import Console
        from rich.progress import Progress as Bars

        if self._bars is None:
            self._bars = Bars(console=Console(stderr=True))
            self._bars.start()
        self._task = self._bars.add_task(name, total=total)

    def advance(self, steps: int = 1, **values: float) -> None:
        """Moves the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)

    def say(self, message: str) -> None:
        """A line above the bars."""
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
