"""Progress on standard error: a live bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, TYPE_CHECKING

from bench3d.cli.output import console, duration
from bench3d.contracts import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

PLAIN_SECONDS = 5.0
MOST_SHOWN = 8
TOTAL = "loss"


def progress_for(stream: IO[str] | None = None) -> Progress:
    """A live display where standard error is a terminal, plain lines elsewhere."""
    return LiveProgress() if (stream or sys.stderr).isatty() else PlainProgress(stream)


def values_text(values: dict[str, float]) -> str:
    """Losses and scores beside a bar, the total first: "loss 0.123  mask 0.045"."""
    ordered = sorted(values.items(), key=lambda item: item[0] != TOTAL)
    return "  ".join(f"{name} {value:.3g}" for name, value in ordered[:MOST_SHOWN])


class PlainProgress(Progress):
    """One line when a stage begins and ends, and at most one every `PLAIN_SECONDS` between."""

    def __init__(self, stream: IO[str] | None = None, every: float = PLAIN_SECONDS) -> None:
        self._stream = stream
        self._every = every
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._values: dict[str, float] = {}
        self._began = self._shown = time.monotonic()
        self._known: list[tuple[int, float]] = []
        self._open = False

    def _print(self, line: str) -> None:
        print(line, file=self._stream or sys.stderr, flush=True)

    def start(self, name: str, total: int | None) -> None:
        """Begins a stage; an open one is finished first."""
        self.finish()
        self._name, self._total, self._done, self._values = name, total, 0, {}
        self._began = self._shown = time.monotonic()
        self._known = []
        self._open = True

    def advance(self, steps: int = 1, **values: float) -> None:
        """Counts; prints where the last line is old enough."""
        self._done += steps
        self._values.update(values)
        now = time.monotonic()
        if now - self._shown >= self._every:
            self._shown = now
            self._print(f"{self._name}: {self._count()}{self._left(now)}{self._shown_values()}")
        if steps and len(self._known) < 2:
            self._known.append((self._done, now))

    def _left(self, now: float) -> str:
        """Time left at the rate since the second advance: before it comes what was there already, and starting up."""
        if len(self._known) < 2 or self._total is None or not self._known[1][0] < self._done < self._total:
            return ""
        done, since = self._known[1]
        return f", {duration((now - since) / (self._done - done) * (self._total - self._done))} left"

    def _count(self) -> str:
        return f"{self._done}/{self._total}" if self._total else str(self._done)

    def _shown_values(self) -> str:
        return f"  ({values_text(self._values)})" if self._values else ""

    def finish(self) -> None:
        """Ends the stage with one line: how much in how long."""
        if self._open:
            self._open = False
            took = duration(time.monotonic() - self._began)
            words = [self._count()] if self._done else []
            if _early(self._done, self._total):
                words.append("stopped after")
            elif words:
                words.append("in")
            self._print(f"{self._name}: {' '.join([*words, took])}{self._shown_values()}")

    def say(self, message: str) -> None:
        """Prints a line."""
        self._print(message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()


def _early(done: int, total: int | None) -> bool:
    return total is not None and done < total


class LiveProgress(Progress):
    """One live bar with time left, and the latest losses on the line below it; finished stages leave one line."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._bars: RichBars | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._began = 0.0
        self._values: dict[str, float] = {}

    def start(self, name: str, total: int | None) -> None:
        """Begins a stage; an open one is finished first."""
        self.finish()
        self._name, self._total, self._done, self._values = name, total, 0, {}
        self._began = time.monotonic()
        self._bars = _bars(self)
        self._task = self._bars.add_task(name, total=total)
        self._bars.start()

    def advance(self, steps: int = 1, **values: float) -> None:
        """Moves the bar."""
        self._done += steps
        self._values.update(values)
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)

    def latest(self) -> RenderableType:
        """The line below the bar."""
        from rich.text import Text

        return Text(f"  {values_text(self._values)}", style="dim", overflow="ellipsis", no_wrap=True)

    def _stop(self) -> bool:
        if self._bars is None:
            return False
        self._bars.stop()
        self._bars = None
        return True

    def finish(self) -> None:
        """Removes the bar and leaves one line: how much in how long, with the last values."""
        from rich.text import Text

        if self._stop():
            early = _early(self._done, self._total)
            line = Text("stopped " if early else "done ", style="yellow" if early else "green")
            line.append(f"{self._name}: ", style="default")
            line.append(f"{self._done}" if self._done else "")
            line.append(f"/{self._total}" if early else "")
            line.append(f"{' in ' if self._done or early else ''}{duration(time.monotonic() - self._began)}")
            if self._values:
                line.append(f"  {values_text(self._values)}", style="dim")
            self._console.print(line, overflow="ellipsis", no_wrap=True)

    def say(self, message: str) -> None:
        """Prints a line above the bar."""
        from rich.text import Text

        self._console.print(Text(message))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self._stop()  # the terminal must be whole again before the error is printed


def _bars(owner: LiveProgress) -> RichBars:
    from rich.console import Group
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    class BarsAndValues(Bars):
        def get_renderable(self) -> RenderableType:
            return Group(*self.get_renderables(), owner.latest()) if owner._values else Group(*self.get_renderables())

    return BarsAndValues(
        TextColumn("{task.description}", table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=None, table_column=Column(ratio=2)),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left", style="dim"),
        TimeRemainingColumn(compact=True),
        console=owner._console,
        transient=True,
        expand=True,
        refresh_per_second=8,
    )
