"""Trying plugins out in child processes, where one that crashes or hangs takes nothing down."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import IO, Any

from bench3d.plugins.points import Point
from bench3d.plugins.watch import FIT, Verdict

_START = """
import json, sys
order = json.load(sys.stdin)
sys.path[:] = order["path"]
from bench3d.plugins.child import main
main(order)
"""
_START_SECONDS = 60.0  # for Python and bench3d themselves, on a busy machine
_FRAME = re.compile(r'^  File "(.+?)", line (\d+) in (.+)$', re.MULTILINE)
_SIGNALS = {"SIGSEGV": "a segmentation fault", "SIGABRT": "an abort", "SIGKILL": "a kill, perhaps for memory"}


@dataclass(frozen=True)
class Trial:
    """How a plugin behaved in a child.

    `state`: ok, left out, other version (a sentence of its own), timed out, crashed, or untried where no child could
    be started. `heavy` names what it imports that every command would then have to load.
    """

    point: Point
    state: str
    reason: str = ""
    hint: str = ""
    trace: str = ""
    seconds: float = 0.0
    count: int = 0
    heavy: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether the command itself may import it: an exception is harmless."""
        return self.state not in ("timed out", "crashed")

    @property
    def verdict(self) -> Verdict:
        """What is to be remembered."""
        return FIT if self.safe else Verdict(self.state, self.reason)


def try_all(points: Sequence[Point], seconds: float, at_once: int = 1) -> list[Trial]:
    """Loads each plugin in a child process; a new child goes on after one that died or was killed.

    Args:
        points: the plugins.
        seconds: that each may take.
        at_once: children at a time, among whom the plugins are dealt out.

    Returns:
        One trial a plugin, in their order.
    """
    hands = [points[i::at_once] for i in range(max(1, at_once))]
    with ThreadPoolExecutor(len(hands)) as pool:
        found = [t for trials in pool.map(lambda hand: try_in_turn(hand, seconds), hands) for t in trials]
    by_key = {t.point.key: t for t in found}
    return [by_key[p.key] for p in points]


def try_in_turn(
    points: Sequence[Point], seconds: float, waiting: Callable[[Point], None] | None = None, patience: float = 3.0
) -> list[Trial]:
    """The same with one child for all, as long as it lives.

    Args:
        waiting: told of a plugin that is not done after `patience` seconds.
    """
    trials: list[Trial] = []
    while len(trials) < len(points):
        rest = points[len(trials) :]
        trials += _Child(rest, seconds, waiting, patience).run()
    return trials


class _Child:
    """One child process: runs until it is through, or until a plugin ends it."""

    def __init__(
        self, points: Sequence[Point], seconds: float, waiting: Callable[[Point], None] | None, patience: float
    ) -> None:
        self.points, self.seconds, self.waiting, self.patience = points, seconds, waiting, patience
        self.lines: queue.Queue[str] = queue.Queue()

    def run(self) -> list[Trial]:
        """Trials of all points, or of those up to the one that ended it; at least one."""
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", _START],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, "PYTHONFAULTHANDLER": "1", "BENCH3D_TRACE": ""},
                    start_new_session=True,
                )
            except OSError as error:
                return self._untried(str(error))
            try:
                self._send(process)
                return self._listen(process, errors)
            finally:
                _end(process)

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        order = {"path": sys.path, "points": [astuple(p) for p in self.points], "seconds": self.seconds}
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
        stdout = process.stdout

        def read() -> None:
            for line in stdout:
                self.lines.put(line.decode("utf-8", "replace"))
            self.lines.put("")

        threading.Thread(target=read, name="bench3d-plugin-probe", daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> list[Trial]:
        trials: list[Trial] = []
        begun = False
        while len(trials) < len(self.points):
            point = self.points[len(trials)]
            try:
                line = self._next(point, begun)
            except queue.Empty:
                if not begun:
                    return trials + self._untried("it did not start in time")[len(trials) :]
                trials.append(Trial(point, "timed out", self._late(_text(errors)), seconds=self.seconds))
                break
            if not line and not begun:
                last = next((text for text in reversed(_text(errors).splitlines()) if text.strip()), "no message")
                return trials + self._untried(last)[len(trials) :]
            if not line:
                trials.append(Trial(point, "crashed", _death(process), trace=_text(errors)))
                break
            said = _parsed(line)
            begun = said.get("begun") == point.key or (begun and "done" not in said)
            if said.get("done") == point.key:
                trials.append(_trial(point, said))
        return trials

    def _untried(self, why: str) -> list[Trial]:
        reason = f"it could not be tried in a child process ({why.strip()})."
        return [Trial(p, "untried", reason) for p in self.points]

    def _next(self, point: Point, begun: bool) -> str:
        whole = self.seconds if begun else _START_SECONDS
        if begun and self.waiting is not None and self.patience < whole:
            try:
                return self.lines.get(timeout=self.patience)
            except queue.Empty:
                self.waiting(point)
                whole -= self.patience
        return self.lines.get(timeout=whole)

    def _late(self, text: str) -> str:
        dump = text.rpartition("Timeout (")[2]
        frame = next(
            (f for f in _FRAME.findall(dump) if "importlib" not in f[0] and "/bench3d/plugins/" not in f[0]), None
        )
        where = f", in {os.path.basename(frame[0])} line {frame[1]} ({frame[2]})" if frame else ""
        return f"its import took more than {self.seconds:g} s{where}."


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _trial(point: Point, said: dict[str, Any]) -> Trial:
    return Trial(
        point,
        str(said.get("state") or "ok"),
        str(said.get("reason") or ""),
        str(said.get("hint") or ""),
        str(said.get("trace") or ""),
        float(said.get("seconds") or 0.0),
        int(said.get("count") or 0),
        tuple(map(str, said.get("heavy") or ())),
    )


def _death(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(5)
    except subprocess.TimeoutExpired:
        return "it closed the output of its process."
    if code >= 0:
        return f"its import ended the process (exit code {code})."
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
        return f"its import crashed the process ({_SIGNALS.get(name, name)})."
    return f"its import crashed the process (signal {-code})."


def _text(errors: IO[bytes]) -> str:
    return os.pread(errors.fileno(), 100_000, 0).decode("utf-8", "replace")  # the child shares the offset


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills it and what it started; its output is read by a thread that ends with it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
