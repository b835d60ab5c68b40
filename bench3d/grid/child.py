"""The process that does one node: `python -m bench3d.grid.child PLAN NODE`. It watches its parent and dies with it.

Exit codes: see bench3d.contracts.executor; another code is that of the error (bench3d.errors), 70 an unexpected one.
With `--leave SENTENCE` it only writes the record of a run whose process was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench3d.contracts.executor import BUSY, DONE, INTERRUPTED, UNMET
from bench3d.contracts.progress import Progress
from bench3d.errors import Bench3DError, OutputError, UsageError
from bench3d.files import write_json
from bench3d.grid.model import GridPlan, Node
from bench3d.grid.nodes import LAST, PROGRESS, claim_path, is_done, node_folder
from bench3d.grid.saved import read_plan
from bench3d.machine import set_thread_counts, usable_cores
from bench3d.processes import PARENT, die_with_parent
from bench3d.records.claims import Busy, Claim
from bench3d.runner import RunPlan, plan_run

UNEXPECTED = 70
_NOTE_SECONDS = 1.0


class NotedProgress(Progress):
    """Keeps `progress.json` for whoever looks, and prints a line per stage into the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = {"stage": "", "done": 0, "total": None, "since": _now()}
        self._noted = 0.0
        self._note()

    def start(self, name: str, total: int | None) -> None:
        """A stage begins."""
        self._values.update(stage=name, done=0, total=total)
        self._note()
        print(f"{name} ...", flush=True)

    def advance(self, steps: int = 1, **values: float) -> None:
        """Steps are done."""
        self._values["done"] += steps
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            self._note()

    def finish(self) -> None:
        """The stage is over."""
        self._note()

    def say(self, message: str) -> None:
        """A line of the log."""
        print(message, flush=True)

    def _note(self) -> None:
        """Never fails: it is only for display."""
        self._noted = time.monotonic()
        new = self._path.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(self._values), encoding="utf-8")
            os.replace(new, self._path)


def main(arguments: Sequence[str]) -> int:
    """Does one node and gives the exit code."""
    if os.environ.get(PARENT):
        die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM):  # SLURM sends TERM; a shell's background job ignores INT
            signal.signal(number, signal.default_int_handler)
    set_thread_counts()
    plan = read_plan(Path(arguments[0]))
    node = next((n for n in plan.nodes if n.id == arguments[1]), None)
    if node is None:
        raise UsageError(f"The plan {arguments[0]} has no node {arguments[1]}.")
    print(f"--- {_now()} {node.id}: {node.title} (process {os.getpid()})", flush=True)
    if list(arguments[2:3]) == ["--leave"]:
        return _leave_record(node, arguments[3])
    return _guarded(plan, node)


def _guarded(plan: GridPlan, node: Node) -> int:
    """Does the node if nobody else is at it; writes down how it failed, in one sentence."""
    folder = node_folder(plan.folder, node.id)
    with contextlib.suppress(OSError):
        (folder / LAST).unlink(missing_ok=True)
    try:
        if is_done(node):
            return DONE
        claim = Claim.take(claim_path(plan.results, node.id), about=node.title)
        if claim is None:
            print("Another process is at it.", flush=True)
            return BUSY
        with claim:
            return _done(plan, node, NotedProgress(folder / PROGRESS))
    except KeyboardInterrupt:
        print("Interrupted.", flush=True)
        return INTERRUPTED
    except Busy as error:
        print(error, flush=True)
        return BUSY
    except Bench3DError as error:
        return _failed(folder, error.exit_code, error.message, error.hint)
    except Exception as error:
        traceback.print_exc()
        what = " ".join(str(error).split())[:300]
        return _failed(folder, UNEXPECTED, f"{type(error).__name__}: {what}", None)


def _failed(folder: Path, code: int, message: str, hint: str | None) -> int:
    print(f"Error: {message}" + (f"\n{hint}" if hint else ""), flush=True)
    with contextlib.suppress(OutputError):
        write_json(folder / LAST, {"code": code, "message": message, "hint": hint})
    return code


def _done(plan: GridPlan, node: Node, progress: Progress) -> int:
    by_id = {n.id: n for n in plan.nodes}
    unmet = [name for name in node.needs if name in by_id and not is_done(by_id[name])]
    if unmet:
        print(f"It needs {', '.join(unmet)}, which left no result.", flush=True)
        return UNMET
    work: dict[str, Callable[[Node, Progress], int]] = {"data": _twin, "fit": _fit, "run": _run}
    return work[node.kind](node, progress)


def _twin(node: Node, progress: Progress) -> int:
    from bench3d.data.twin import ensure_twin
    from bench3d.grid.nodes import twin_sets

    resolved = plan_run(node.spec).resolved
    sources = [s for s in (resolved.test, *resolved.train.values()) if s is not None and s.root == node.folder]
    assert node.folder is not None and sources and sources[0].twin is not None
    ensure_twin(node.folder, sources[0].twin, twin_sets(node), progress, usable_cores(), wait=False)
    return DONE


def _fit(node: Node, progress: Progress) -> int:
    from bench3d.runner.fits import fit_one

    fit_one(plan_run(node.spec), node.key, progress, wait=False)
    return DONE


def _run(node: Node, progress: Progress) -> int:
    from bench3d.runner.run import execute

    record = execute(_planned(node), progress)
    return DONE if record.status == "finished" else 1


def _planned(node: Node) -> RunPlan:
    """The run, planned again. UsageError where it has become another one: code, data or settings have changed."""
    plan = plan_run(node.spec)
    if plan.problem is None and plan.identity != node.key:
        raise UsageError("This run is no longer the one that was planned.", "Plan the grid again: bench3d grid run.")
    return plan


def _leave_record(node: Node, sentence: str) -> int:
    from bench3d.runner.run import leave_record

    leave_record(_planned(node), "failed", sentence)
    return DONE


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Bench3DError as error:
        print(f"Error: {error}", flush=True)
        sys.exit(error.exit_code)
