"""Loggers: observers that write down somewhere what they hear, and only where somebody asks for them.

What is asked for stands in the environment variable BENCH3D_LOG, so that the processes of a grid know it as well:

    BENCH3D_LOG=csv,tensorboard:runs/tb,wandb:my-project        # NAME[:TARGET], separated by commas

The command line's `--log NAME[:TARGET]` sets it by `ask_for`. A plugin that is a logger registers a
`LoggerRegistration` and hands what its hooks hear to a `Logger`, which makes the registration's factory when it is
first needed and sees to it that nothing is done without having been asked for, and that no failure reaches a run:

    _logger = Logger("csv")

    @hookimpl
    def bench3d_run_finished(record):
        _logger.tell("run_finished", record=record)
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable
from typing import Any

from bench3d.contracts import LoggerRegistration
from bench3d.errors import Bench3DError, UsageError
from bench3d.plugins.loader import load_registry

VARIABLE = "BENCH3D_LOG"
log = logging.getLogger("bench3d.plugins")


def ask_for(values: Iterable[str] = ()) -> dict[str, str]:
    """Asks for loggers in this process and those that it starts: what `--log` does. Nothing is loaded or written yet.

    Args:
        values: `NAME[:TARGET]` each, on top of what BENCH3D_LOG says; of two targets of one name the later one counts.

    Returns:
        the loggers by name, with their targets: a folder's path absolute, the default where none was given.

    Raises:
        UnknownNameError: no such logger; holds the nearest names.
        UsageError: not of that form; the logger takes no target; or a package that it needs is not installed.
    """
    given = [part for part in os.environ.get(VARIABLE, "").split(",") if part.strip()]
    for value in values:
        if "," in value:
            raise UsageError(f"--log {value}: no comma can stand in it.", "Give --log once for each logger.")
        given.append(value)
    asked = {}
    for value in given:
        name, target = _split(value)
        asked[name] = _target(name, target)
    if asked:
        os.environ[VARIABLE] = ",".join(f"{name}:{target}".rstrip(":") for name, target in asked.items())
    return asked


def log_target(name: str) -> str | None:
    """The target of a logger as BENCH3D_LOG has it, "" where it has none; None where it was not asked for.

    What is wrong with the variable is said once: `ask_for` is what refuses it before a run begins.
    """
    text = os.environ.get(VARIABLE)
    return _read(text).get(name) if text else None


class Logger:
    """What the hooks of a logger's plugin talk to. The first failure is one sentence, and the end of it here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._target: str | None = None
        self._made: Any = None

    def tell(self, event: str, **values: Any) -> None:
        """Calls the method `event` of what the registration's factory makes, if the logger is asked for. Never raises.

        Args:
            event: "run_started", "run_finished", "fit_step", "fit_finished" or "sample_done".
            values: the hook's arguments.
        """
        asked = log_target(self.name)
        if asked is None:
            return
        if asked != self._target:
            self._target, self._made = asked, None
            self._made = self._guarded(lambda: load_registry().create("logger", self.name, target=self._full(asked)))
        if self._made is not None:
            self._guarded(lambda: getattr(self._made, event)(**values))

    def _full(self, asked: str) -> str:
        return _target(self.name, asked)

    def _guarded(self, do: Any) -> Any:
        try:
            return do()
        except Exception as error:
            self._made = None
            what = str(error) if isinstance(error, Bench3DError) else f"{type(error).__name__}: {error}"
            what = " ".join(what.split()) or "no message"
            log.warning("The logger %s writes nothing more in this process: %s", self.name, what)
            log.debug("traceback", exc_info=True)
            return None


def _split(value: str) -> tuple[str, str]:
    name, colon, target = value.strip().partition(":")
    name, target = name.strip(), target.strip()
    if not name or (colon and not target):
        raise UsageError(f"{value.strip()!r} is no logger.", "Write NAME or NAME:TARGET, for example csv:DIR.")
    return name, target


def _target(name: str, target: str) -> str:
    registration = load_registry().get("logger", name)
    assert isinstance(registration, LoggerRegistration)
    if not registration.target:
        if target:
            raise UsageError(f"The logger {name} takes no target (given: {target}).", f"Write {name} alone.")
        return ""
    target = target or registration.default
    if not target:
        raise UsageError(f"The logger {name} needs a target.", f"Write {name}:{registration.target}.")
    target = os.path.abspath(os.path.expanduser(target)) if registration.folder else target
    if "," in target:
        raise UsageError(f"{target} cannot be the target of a logger: a comma stands in it.")
    return target


@functools.lru_cache(maxsize=8)
def _read(text: str) -> dict[str, str]:
    asked = {}
    for part in text.split(","):
        if not part.strip():
            continue
        try:
            name, target = _split(part)
            if name not in load_registry().names("logger"):
                load_registry().find("logger", name)
            asked[name] = target
        except UsageError as error:
            log.warning("In %s: %s", VARIABLE, error)
    return asked
