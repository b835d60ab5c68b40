"""What every check of the conformance kit is made of: a check, its subject, its result, and how checks are run.

    subject = subject_for("backbone", "dinov2", tmp=folder)
    for result in run_checks(subject):
        print(result.name, result.state, result.detail)

Each kind has its checks in a module of its own (`CHECKS`, see `MODULES`). A check returns a detail for the report or
None; it raises `CheckFailed` where a promise is broken and `Skip` where it does not apply. It runs alone: what it
raises ends only itself, it has a time limit, and what it changed of the process is put back before the next one.
"""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench3d.errors import Bench3DError, UnknownNameError
from bench3d.plugins.names import did_you_mean
from bench3d.testing.limits import OutOfTime, time_limit
from bench3d.testing.state import restored_state
from bench3d.testing.subjects import (
    CheckFailed,
    Options,
    Skip,
    Subject,
    check_settings,
    excused,
    require,
    subject_for,
    subject_from,
)

__all__ = [
    "Check",
    "CheckFailed",
    "Options",
    "Result",
    "Skip",
    "State",
    "Subject",
    "check_settings",
    "checks_for",
    "excused",
    "iterate_checks",
    "require",
    "run_check",
    "run_checks",
    "subject_for",
    "subject_from",
]

State = Literal["passed", "failed", "skipped", "error"]

MODULES: Mapping[str, tuple[str, ...]] = {
    "backbone": ("registrations", "backbones"),
    "adapter": ("registrations", "adapters"),
    "shape-model": ("registrations", "shape_models"),
    "dataset": ("registrations", "datasets"),
    "task": ("registrations", "tasks"),
    "renderer": ("registrations", "renderers"),
    "executor": ("registrations", "executors"),
    "logger": ("registrations",),
    "command": ("registrations",),
}
"""Kind -> modules of this room whose `CHECKS` it has, in the order in which they run."""


@dataclass(frozen=True)
class Check:
    """One promise of a contract.

    Attributes:
        name: short, with hyphens; unique within a kind.
        kinds: kinds of registration that it is for; `("*",)` is all.
        says: the promise that it guards, one sentence.
        run: raises CheckFailed or Skip; what it returns is shown in the report.
        needs: checks without which it says nothing new: it is skipped where one of them ran and did not pass, so that
            one fault is reported once.
    """

    name: str
    kinds: tuple[str, ...]
    says: str
    run: Callable[[Subject], str | None]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What became of a check. `trace` is the traceback of an error, `hint` the next step where there is one."""

    name: str
    state: State
    detail: str
    seconds: float
    hint: str = ""
    trace: str = field(default="", repr=False)
    says: str = ""


def checks_for(kind: str) -> list[Check]:
    """All checks of a kind, in the order in which they run.

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in MODULES:
        raise UnknownNameError(f"There are no checks for the kind {kind}.", did_you_mean(kind, MODULES))
    modules = [importlib.import_module(f"bench3d.testing.{name}") for name in MODULES[kind]]
    checks = [check for module in modules for check in module.CHECKS if kind in check.kinds or "*" in check.kinds]
    assert len({check.name for check in checks}) == len(checks), f"two checks of a {kind} have one name"
    return checks


def run_checks(subject: Subject, only: Collection[str] | None = None) -> list[Result]:
    """Results of all checks of the subject's kind, or of those named in `only`.

    Raises:
        UnknownNameError: `only` names a check that the kind does not have.
    """
    return list(iterate_checks(subject, only))


def iterate_checks(subject: Subject, only: Collection[str] | None = None) -> Iterator[Result]:
    """As `run_checks`, one by one as they end."""
    checks = checks_for(subject.kind)
    names = [check.name for check in checks]
    for name in only or ():
        if name not in names:
            raise UnknownNameError(f"There is no check {name} of a {subject.kind}.", did_you_mean(name, names))
    broken: dict[str, str] = {}
    for check in checks:
        if only is not None and check.name not in only:
            continue
        cause = next((broken[name] for name in check.needs if name in broken), None)
        if cause is not None and check.name not in excused(subject.registration):
            broken[check.name] = cause
            yield Result(check.name, "skipped", f"needs {cause}, which did not pass", 0.0, says=check.says)
        else:
            result = run_check(check, subject)
            if result.state in ("failed", "error"):
                broken[check.name] = check.name
            yield result


def run_check(check: Check, subject: Subject) -> Result:
    """One check, alone: never raises but for KeyboardInterrupt; the process is afterwards as it was.

    One that the author excuses is skipped with the reason.
    """
    excuse = excused(subject.registration).get(check.name)
    if excuse is not None:
        return Result(check.name, "skipped", f"the author says: {excuse}", 0.0, says=check.says)
    begun = time.perf_counter()
    state: State = "passed"
    detail, hint, trace = "", "", ""
    try:
        with restored_state(), time_limit(subject.options.seconds):
            detail = check.run(subject) or ""
    except Skip as reason:
        state, detail = "skipped", str(reason)
    except CheckFailed as error:
        state, detail, hint = "failed", error.message, error.hint or ""
    except OutOfTime:
        state = "failed"
        detail = f"{subject.name} was not done after {subject.options.seconds:g} s, the time limit of a check."
        hint = "Make it faster with the settings that the kit uses, or raise --time-budget."
    except Bench3DError as error:
        state, detail, hint, trace = "error", error.message, error.hint or "", traceback.format_exc()
    except (Exception, SystemExit) as error:
        state, trace = "error", traceback.format_exc()
        detail = f"{subject.name} raised {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return Result(check.name, state, detail, time.perf_counter() - begun, hint, trace, check.says)
