"""Running checks in a child process: what crashes or hangs there is a result here. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from bench3d import errors
from bench3d.errors import Bench3DError, PluginError, UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean
from bench3d.processes import PARENT
from bench3d.testing.packages import Package, make_visible, read_package
from bench3d.testing.report import Outcome, Report
from bench3d.testing.targets import Found, Target, find

START_SECONDS = 180.0
GRACE_SECONDS = 15.0
"""On top of a check's time limit, which the child keeps itself where it can."""
LOADS = "loads"
_START = """
import json, sys
order = json.loads(sys.stdin.readline())
sys.path[:] = order["path"]
from bench3d.testing.child import main
main(order)
"""


@dataclass(frozen=True)
class Order:
    """What is checked, and how.

    Attributes:
        target: the things.
        package: a package that is not installed, to be visible in the child.
        paths: further folders to import from, before all others.
        device: "cpu" or "cuda".
        seconds: that one check may take.
        data: a folder of the data set under check, for one without a twin.
    """

    target: Target
    package: Package | None = None
    paths: tuple[str, ...] = ()
    device: str = "cpu"
    seconds: float = 120.0
    data: Path | None = None


def order_for(what: str | None, kind: str | None = None, **more: Any) -> Order:
    """The order for what a user writes: a name, a folder with a pyproject.toml, "module:object", or None for all.

    A word that is both a name and a folder is the name; `./NAME` is the folder.

    Raises:
        UsageError: a folder that holds no plugin package.
    """
    if what is None:
        return Order(Target(kind=kind), **more)
    folder = Path(what).expanduser()
    looks_like_one = what in (".", "..") or os.sep in what or (os.altsep is not None and os.altsep in what)
    module, colon, attribute = what.partition(":")
    is_reference = bool(colon and attribute) and all(
        p.isidentifier() for p in (*module.split("."), *attribute.split("."))
    )
    if looks_like_one and not folder.exists() and not is_reference and ":" in what:
        return Order(Target(name=what, kind=kind), **more)  # a family's variant may hold slashes
    if looks_like_one or ((folder / "pyproject.toml").is_file() and not _known(what)):
        package = read_package(folder)
        return Order(Target(kind=kind, package=package.name), package, **more)
    if is_reference and not _known(module + ":"):
        return Order(Target(kind=kind, thing=what), paths=(os.getcwd(),), **more)
    return Order(Target(name=what, kind=kind), **more)


def _known(name: str) -> bool:
    from bench3d.plugins import load_registry

    return any(name in (r.name, r.kind) for r in load_registry().registrations())


@dataclass
class Bench:
    """A child that does checks. Use as a context; `found` is what there is to check.

    Raises:
        UnknownNameError, UsageError, PluginError: on entering, where there is nothing to check.
    """

    order: Order
    found: list[Found] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _lines: queue.Queue[str] = field(default_factory=queue.Queue)
    _errors: IO[bytes] | None = None
    _tmp: Path | None = None

    def __enter__(self) -> Bench:
        if self.order.package is None and self.order.target.thing is None:
            find(self.order.target)  # a misspelt name needs no child to be seen
        self._tmp = Path(tempfile.mkdtemp(prefix="bench3d-check-"))
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def checks(self, found: Found, only: Collection[str] = ()) -> list[str]:
        """Names of the checks of one thing, all or those of `only` that it has."""
        if found.broken:
            return [LOADS]
        return [name for name, _ in found.checks if not only or name in only]

    def require_known(self, only: Collection[str]) -> None:
        """Raises UnknownNameError where nothing that was found has a check of such a name."""
        known = {name for one in self.found for name in self.checks(one)}
        for name in only:
            if name not in known and not any(one.broken for one in self.found):
                raise UnknownNameError(f"There is no check {name} here.", did_you_mean(name, known))

    def run(self, found: Found, check: str) -> Outcome:
        """One check. Never raises for what the plugin does."""
        says = dict(found.checks).get(check, "")
        if found.broken:
            return Outcome(LOADS, "failed", found.broken, hint=found.hint, says="The plugin can be loaded.")
        if self._process is None:
            self._start()
        request = {"found": self.found.index(found), "check": check}
        limit = self.order.seconds + GRACE_SECONDS
        try:
            answer = self._ask(request, limit)
        except queue.Empty:
            self._end()
            detail = f"It was still at work after {limit:.0f} s, deaf to interruption, and was killed."
            return Outcome(check, "failed", detail, limit, "Raise --time-budget if it only is slow.", says=says)
        if answer is None:
            words, trace = self._death(), self._said()
            self._end()
            return Outcome(check, "failed", words, 0.0, "--debug shows its last words.", trace, says)
        return Outcome(**answer["result"])

    def report(self, found: Found) -> Report:
        """An empty report of one thing."""
        return Report(found.kind, found.name, found.distribution, found.version, self.order.device)

    def close(self) -> None:
        """Leaves no process and no file."""
        self._end()
        if self._tmp is not None:
            shutil.rmtree(self._tmp, ignore_errors=True)

    def _start(self) -> None:
        assert self._tmp is not None
        paths = [*self.order.paths]
        if self.order.package is not None:
            paths += make_visible(self.order.package, self._tmp / "site")
        environment = {**os.environ, PARENT: str(os.getpid()), "PYTHONFAULTHANDLER": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        order = {
            "path": [*paths, *(p for p in sys.path if p)],
            "target": self.order.target.as_dict(),
            "device": self.order.device,
            "seconds": self.order.seconds,
            "data": None if self.order.data is None else str(self.order.data.absolute()),
            "tmp": str(self._tmp),
        }
        self._take(self._ask(order, START_SECONDS))

    def _take(self, answer: dict[str, Any] | None) -> None:
        """What the child found; the second time it must be the same."""
        if answer is None:
            last = next((line for line in reversed(self._said().splitlines()) if line.strip()), "no message")
            raise PluginError(f"The process for the checks ended at once: {last.strip()}", "Try `bench3d doctor`.")
        if "error" in answer:
            kind = getattr(errors, answer["kind"], PluginError)
            known = kind if isinstance(kind, type) and issubclass(kind, Bench3DError) else PluginError
            raise known(answer["error"], answer["hint"])
        found = [Found(**{**one, "checks": [tuple(c) for c in one["checks"]]}) for one in answer["found"]]
        if self.found and found != self.found:
            raise UsageError("What is to be checked changed while it was checked.", "Run it again.")
        self.found = found

    def _ask(self, what: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The child's answer, None where it died. queue.Empty where it does not answer in time."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return None
        line = self._lines.get(timeout=seconds)
        try:
            answer = json.loads(line)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

    def _death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "It closed the output of its process."
        if code >= 0:
            return f"It ended the process (exit code {code})."
        with contextlib.suppress(ValueError):
            return f"It crashed the process ({signal.Signals(-code).name})."
        return f"It crashed the process (signal {-code})."

    def _said(self) -> str:
        if self._errors is None:
            return ""
        return os.pread(self._errors.fileno(), 100_000, 0).decode("utf-8", "replace")

    def _end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError, ValueError):
                    if stream is not None:
                        stream.close()
        if self._errors is not None:
            self._errors.close()
        self._process = self._errors = None


def _read(stream: IO[bytes], lines: queue.Queue[str]) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed under our feet: nobody listens any more
        for line in stream:
            lines.put(line.decode("utf-8", "replace"))
    lines.put("")
