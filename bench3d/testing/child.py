"""The process in which checks run, so that one that crashes or hangs is a result and not the end.

It reads an order as a line of JSON, answers with what there is to check, and then does one check for each line it is
sent. What is made for several checks (a twin, a fit) is kept between them.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench3d.testing.subjects import Subject
    from bench3d.testing.targets import Found


def main(order: dict[str, Any]) -> None:
    """Serves until its input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(2, 1)  # what a plugin prints is no answer
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable()

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")

    from bench3d.errors import Bench3DError
    from bench3d.processes import die_with_parent

    die_with_parent()
    try:
        found = _begin(order)
    except Bench3DError as error:
        say(error=error.message, hint=error.hint, kind=type(error).__name__)
        return
    say(found=[asdict(one) for one in found])
    subjects: dict[int, Subject] = {}
    for line in requests:
        request = json.loads(line)
        say(result=_check(found[request["found"]], request, order, subjects))


def _begin(order: dict[str, Any]) -> list[Found]:
    from bench3d.testing.checks import checks_for
    from bench3d.testing.targets import Target, find

    return [
        one if one.broken else replace(one, checks=[(c.name, c.says) for c in checks_for(one.kind)])
        for one in find(Target(**order["target"]))
    ]


def _check(found: Found, request: dict[str, Any], order: dict[str, Any], subjects: dict[int, Subject]) -> Any:
    from bench3d.testing.checks import checks_for, run_check

    index = request["found"]
    if index not in subjects:
        subjects.clear()  # one at a time: a model and a twin are large
        subjects[index] = _subject(found, Path(order["tmp"]) / str(os.getpid()) / str(index), order)
    subject = subjects[index]
    check = next(c for c in checks_for(found.kind) if c.name == request["check"])
    result = asdict(run_check(check, subject))
    for field in ("detail", "hint"):
        result[field] = result[field].replace(f"{subject.tmp}/", "")
    sys.stderr.flush()
    return result


def _subject(found: Found, tmp: Path, order: dict[str, Any]) -> Subject:
    """The subject; where packages are missing here, every check that would make something of it is skipped."""
    from bench3d.plugins import load_registry
    from bench3d.plugins.registry import install_line, missing_extras
    from bench3d.testing.subjects import Options, Skip, Subject, subject_for

    tmp.mkdir(parents=True, exist_ok=True)
    data = order.get("data")
    options = Options(seconds=order["seconds"], data=None if data is None else Path(data))
    registration = load_registry().find(found.kind, found.name)
    missing = missing_extras(registration)
    if missing:

        def absent(**keywords: Any) -> Any:
            raise Skip(f"{' and '.join(missing)} is not installed here. {install_line(registration)}")

        return Subject(registration, found.kind, found.name, absent, order["device"], options, tmp)
    subject = subject_for(found.kind, found.name, tmp=tmp, device=order["device"], options=options)
    subject.registered = found.registered
    return subject
