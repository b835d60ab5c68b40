"""A grid while it goes on: a line per slot and a total on a terminal, sparse plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING

from bench3d.cli.grid_totals import Progressed, count_states
from bench3d.cli.output import console, duration
from bench3d.grid.model import GridView, GridWatcher, Node, Slot

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.live import Live
    from rich.measure import Measurement
    from rich.text import Text

PLAIN_SECONDS, QUIET_SECONDS = 10.0, 60.0
EVENTS = {
    "started": "cyan",
    "done": "green",
    "failed": "bold red",
    "retried": "yellow",
    "waiting": "dim",
    "blocked": "red",
}
DRAINING = "finishing what runs; Ctrl-C again interrupts it"
MOST_SLOTS, BAR = 64, 10


def display_for(stream: IO[str] | None = None) -> GridDisplay:
    """A live display where standard error is a terminal, plain lines elsewhere."""
    return LiveDisplay() if (stream or sys.stderr).isatty() else PlainDisplay(stream)


class GridDisplay(GridWatcher):
    """Common part: who began when, results of finished runs, and blocked nodes told in one line per reason."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._blocked: dict[str, list[Node]] = {}

    def event(self, node: Node, what: str, detail: str = "") -> None:
        """Shows one event as one line; blocked ones wait for the next tick, to be counted by their reason."""
        if what == "blocked":
            self._blocked.setdefault(detail or node.reason, []).append(node)
            return
        self._tell_blocked()
        if what == "started":
            self._began[node.id] = time.monotonic()
        words = [detail] if detail else []
        if what == "done":
            words = [*self._score(node), *words]
            if node.id in self._began:
                words.append(duration(time.monotonic() - self._began.pop(node.id)))
        self._show(what, node.title, "  ".join(words))

    @staticmethod
    def _score(node: Node) -> list[str]:
        from bench3d.cli.grid_end import result_of

        result = result_of(node)
        return [] if result is None else [result.text()]

    def _tell_blocked(self) -> None:
        blocked, self._blocked = self._blocked, {}
        for reason, nodes in blocked.items():
            what = nodes[0].title if len(nodes) == 1 else f"{len(nodes)} jobs, such as {nodes[0].title}"
            self._show("blocked", what, reason)

    def _show(self, what: str, title: str, detail: str) -> None:
        raise AssertionError("a display shows events")

    def tick(self, view: GridView) -> None:
        """Shows how far it is."""
        self._tell_blocked()

    def close(self) -> None:
        """Leaves the terminal whole."""
        self._tell_blocked()

    def __enter__(self) -> GridDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PlainDisplay(GridDisplay):
    """A line per event, and a line of counts at most every 10 s: one a minute while nothing changes."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._shown = time.monotonic()
        self._last: tuple[object, ...] = ()
        self._draining = False

    def _print(self, line: str) -> None:
        print(line, file=self._stream or sys.stderr, flush=True)

    def _show(self, what: str, title: str, detail: str) -> None:
        self._print(f"{what:<8}{title}{': ' if detail else ''}{detail}")

    def say(self, message: str) -> None:
        """Prints a line."""
        self._tell_blocked()
        self._print(message)

    def tick(self, view: GridView) -> None:
        """Prints counts and time left where the last line is old enough."""
        super().tick(view)
        if view.stopping and not self._draining:
            self._draining = True
            self._print(f"Stopping: {DRAINING}.")
        counts = tuple(count_states(view.nodes.values()).items())
        now = time.monotonic()
        if now - self._shown < (PLAIN_SECONDS if counts != self._last else QUIET_SECONDS):
            return
        self._shown, self._last = now, counts
        self._print(plain_line(view))


def plain_line(view: GridView) -> str:
    """12/60 runs, 3/4 fits, 2 failed, 2 at work, 3 min 20 s so far, 1 h 3 min left."""
    so_far = Progressed.of(view)
    words = [f"{so_far.done}/{so_far.total} runs"]
    words += [f"{so_far.fits_done}/{so_far.fits_total} fits"] if so_far.fits_total else []
    words += [f"{so_far.failed} failed"] if so_far.failed else []
    words += [f"{so_far.blocked} blocked"] if so_far.blocked else []
    words += [f"{len(view.slots)} at work"]
    words += [f"{duration(view.seconds)} so far"] if view.seconds else []
    words += [f"{duration(view.left_seconds)} left"] if view.left_seconds is not None else []
    return ", ".join(words)


class LiveDisplay(GridDisplay):
    """A line per slot and a total line that stay at the bottom; events scroll above them.

    Drawn when the engine ticks and by no thread of its own, so that signals meet one thread only.
    """

    def __init__(self, screen: Console | None = None) -> None:
        super().__init__()
        self._console = screen or console(stderr=True)
        self._live: Live | None = None

    def _print(self, line: Text) -> None:
        self._console.print(line)

    def _show(self, what: str, title: str, detail: str) -> None:
        from rich.text import Text

        if what == "started":
            return  # its slot shows it
        line = Text(f"{what:<8}", style=EVENTS.get(what, ""))
        line.append(title, style="default not bold")
        line.append(f"  {detail}" if detail else "", style="red not bold" if what == "failed" else "dim not bold")
        self._print(line)

    def say(self, message: str) -> None:
        """Prints a line above the slots."""
        from rich.text import Text

        self._tell_blocked()
        self._print(Text(message))

    def tick(self, view: GridView) -> None:
        """Draws the slots and the total."""
        from rich.live import Live

        super().tick(view)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        self._live.update(view_lines(view, self._console.height), refresh=True)

    def close(self) -> None:
        """Removes the slots and shows the cursor again."""
        super().close()
        if self._live is not None:
            self._live.stop()
            self._live = None


def view_lines(view: GridView, height: int) -> RenderableType:
    """The slots, a line each, as many as the terminal is high, and the total line below them."""
    from rich.console import Group
    from rich.text import Text

    room = max(1, min(MOST_SLOTS, height - 5))
    shown = view.slots if len(view.slots) <= room else view.slots[: room - 1]
    lines: list[RenderableType] = [slot_table(shown)] if shown else []
    if len(shown) < len(view.slots):
        lines.append(Text(f"... and {len(view.slots) - len(shown)} more at work", style="dim"))
    return Group(*lines, total_line(view))


def slot_table(slots: tuple[Slot, ...]) -> RenderableType:
    """Slot, title, stage, bar, share and time of each."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", style="cyan", max_width=16)
    table.add_column(no_wrap=True, ratio=5)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2, style="dim")
    table.add_column(no_wrap=True, width=BAR)
    table.add_column(no_wrap=True, justify="right", min_width=4)
    table.add_column(no_wrap=True, justify="right", min_width=5)
    for slot in slots:
        share: RenderableType = ""
        text = str(slot.done) if slot.done else ""
        if slot.total:
            done = min(slot.done, slot.total)
            share = ProgressBar(total=slot.total, completed=done, width=BAR, complete_style="cyan")
            text = f"{100 * done // slot.total} %"
        stage = Text(slot.stage or "starting")
        table.add_row(Text(slot.slot), Title(slot.node.title), stage, share, text, clock(slot.seconds))
    return table


class Title:
    """A title that loses its middle where it is too long: its end (a seed, a setting) tells it from the others."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        text, width = self._text, options.max_width
        if len(text) > width:
            head = max(1, width * 3 // 5)
            text = f"{text[:head]}…{text[len(text) - max(0, width - head - 1) :]}"
        yield Text(text, no_wrap=True, overflow="ellipsis")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement(min(12, len(self._text)), max(1, len(self._text)))


def clock(seconds: float) -> str:
    """A time that keeps its place: 0:07, 12:48, 1:03:20."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def total_line(view: GridView) -> RenderableType:
    """A bar over all runs, with counts and the time left; while it stops, what Ctrl-C does now."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    so_far = Progressed.of(view)
    text = Text(f"{so_far.done}/{so_far.total} runs", style="bold")
    if so_far.fits_total:
        text.append(f" · {so_far.fits_done}/{so_far.fits_total} fits", style="default not bold")
    for number, word in ((so_far.failed, "failed"), (so_far.blocked, "blocked")):
        text.append(f" · {number} {word}" if number else "", style="red")
    text.append(f" · {clock(view.seconds)}" if view.seconds else "", style="default not bold")
    if view.left_seconds is not None:
        text.append(f" · {duration(view.left_seconds)} left", style="default not bold")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, min_width=5)
    table.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=max(1, so_far.total), completed=so_far.over, complete_style="green")
    table.add_row("total", bar, text)
    if not view.stopping:
        return table
    return Group(table, Text(DRAINING, style="bold yellow"))
