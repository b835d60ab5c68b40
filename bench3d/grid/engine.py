"""Carrying a plan out: hands nodes to an executor, looks at the results folder for the truth, tries again, goes on.

Nothing here is remembered that the results folder does not hold: an engine that is killed is resumed by planning again.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench3d.contracts.executor import BUSY, INTERRUPTED, UNMET, Ended, Executor, ExecutorContext, Job
from bench3d.errors import DataError, OutputError, PluginError, UsageError, WeightsError
from bench3d.files import make_folder
from bench3d.grid.control import ENGINES, NOW, slot_of
from bench3d.grid.model import GridPlan, GridView, GridWatcher, Node, State
from bench3d.grid.nodes import (
    LAST,
    LOG,
    TRIES,
    add_failure,
    claim_path,
    failures,
    is_done,
    node_folder,
    read_note,
)
from bench3d.grid.remaining import left_seconds
from bench3d.grid.saved import PLAN, looked_at, save_plan
from bench3d.grid.signals import heeding_signals, killed_sentence
from bench3d.plugins import load_registry, load_settings
from bench3d.records.claims import Claim, Watch

FINAL = {UsageError.exit_code, DataError.exit_code, WeightsError.exit_code, PluginError.exit_code}
"""Failures that come back however often one tries."""
POLL_SECONDS = 0.5
LOOK_SECONDS = 3.0
"""How often a node that another process is at is looked at."""
LATE_SECONDS = 5.0
"""How long a result may take to be seen after its process has ended well (network file systems)."""
MOST_UNMET = 3


@dataclass(frozen=True, kw_only=True)
class GridOutcome:
    """The plan with its final states. `interrupted`: it was asked to stop before everything was done."""

    plan: GridPlan
    interrupted: bool


def run_grid(
    plan: GridPlan,
    executor: str,
    executor_settings: Mapping[str, Any],
    watcher: GridWatcher,
    *,
    workers: int | None = None,
    device: str = "auto",
    detach: bool = False,
) -> GridOutcome:
    """Does what a plan says is to do, and returns when that is over, or when it was asked to stop and has.

    One SIGINT (Ctrl-C), or `bench3d grid stop`, begins nothing more; the second one, SIGTERM or `stop --now` also
    interrupts what runs.

    Raises:
        UsageError: the plan has problems, or a setting that the executor does not know.
        OutputError: the results cannot be written.
        PluginError: the executor is missing something, or broke down.
    """
    if plan.problems:
        raise UsageError(plan.problems[0], " ".join(plan.problems[1:]) or None)
    registration = load_registry().get("executor", executor)
    settings = load_settings(registration, overrides=dict(executor_settings))
    save_plan(plan)
    doing: Executor = load_registry().create("executor", executor, settings=settings)
    claim = Claim.take(plan.folder / ENGINES / f"{secrets.token_hex(6)}.json", about=plan.name)
    assert claim is not None
    engine = _Engine(plan, doing, watcher, claim.path.with_suffix(".stop"))
    try:
        with claim, heeding_signals(engine):
            doing.open(ExecutorContext(folder=plan.folder, workers=workers, device=device, detach=detach))
            try:
                engine.work(detach)
            finally:
                doing.close()
    finally:
        claim.path.with_suffix(".stop").unlink(missing_ok=True)
    final = looked_at(replace(plan, nodes=tuple(engine.nodes.values())))
    return GridOutcome(plan=final, interrupted=engine.asked > 0)


class _Engine:
    """The state of one pass."""

    def __init__(self, plan: GridPlan, executor: Executor, watcher: GridWatcher, stop_file: Path) -> None:
        self.plan = plan
        self.executor = executor
        self.watcher = watcher
        self.nodes: dict[str, Node] = {n.id: n for n in plan.nodes}
        self.asked = 0  # to stop: 1 drains, 2 interrupts
        self._told = 0
        self._stop_file = stop_file
        self._submitted: set[str] = set()
        self._elsewhere: dict[str, float] = {}  # when to look again
        self._late: dict[str, tuple[float, Ended]] = {}
        self._unmet: dict[str, int] = {}
        self._begun: dict[str, float] = {}
        self._watch = Watch()
        self._since = time.monotonic()

    def work(self, detach: bool) -> None:
        """Until everything is over, or until what runs has stopped."""
        for node in self.nodes.values():
            if node.state == "running":
                self._wait_for_other(node)
        while True:
            self._heed_requests()
            if self.asked == 0:
                self._submit()
            if detach and not self._elsewhere:
                return
            for ended in self.executor.poll(POLL_SECONDS):
                self._on_end(ended)
            self._look_elsewhere()
            self._look_late()
            self._tick()
            if self.asked and not self.executor.active():
                for ended in self.executor.poll(0.0):
                    self._on_end(ended)
                return
            if not self._ahead():
                return

    def _ahead(self) -> bool:
        return any(n.state in ("todo", "running") for n in self.nodes.values())

    def _submit(self) -> None:
        """Everything whose needs are done or submitted."""
        jobs = []
        for node in self.nodes.values():
            if (
                node.state != "todo"
                or node.id in self._submitted
                or node.id in self._elsewhere
                or node.id in self._late
            ):
                continue
            needs = [n for n in node.needs if self.nodes[n].state != "done"]
            if all(n in self._submitted for n in needs):
                jobs.append(self._job(node))
                self._submitted.add(node.id)
        if jobs:
            self.executor.submit(jobs)

    def _job(self, node: Node) -> Job:
        folder = make_folder(node_folder(self.plan.folder, node.id))
        return Job(
            id=node.id,
            kind=node.kind,
            title=node.title,
            needs=node.needs,
            command=(sys.executable, "-m", "bench3d.grid.child", str(self.plan.folder / PLAN), node.id),
            log=folder / LOG,
            seconds=node.seconds,
            memory_bytes=node.memory_bytes,
        )

    def _on_end(self, ended: Ended) -> None:
        node = self.nodes.get(ended.id)
        if node is None or ended.id not in self._submitted:
            return
        self._submitted.discard(ended.id)
        self._begun.pop(ended.id, None)
        if is_done(node):
            self._set(node, "done")
        elif ended.code == BUSY:
            self._wait_for_other(node)
        elif ended.code == UNMET and self._unmet.get(node.id, 0) < MOST_UNMET:
            # Its need is tried again, or has failed and blocks it: both are seen when that ends.
            self._unmet[node.id] = self._unmet.get(node.id, 0) + 1
        elif ended.code == 0:
            self._late[node.id] = (time.monotonic() + LATE_SECONDS, ended)
        elif ended.code == OutputError.exit_code:
            self._cannot_write(node)
        elif self.asked and (ended.code is None or ended.code == INTERRUPTED or ended.code < 0):
            pass  # it was stopped; what it did is kept
        else:
            self._failed(node, ended)

    def _failed(self, node: Node, ended: Ended) -> None:
        note = read_note(node_folder(self.plan.folder, node.id) / LAST)
        own = note.get("code") == ended.code and isinstance(note.get("message"), str)
        message = str(note["message"]) if own else killed_sentence(ended)
        final = ended.code in FINAL
        earlier = len(failures(self.plan.folder, node.id))
        reason = {"code": ended.code, "reason": ended.reason, "message": message, "final": final}
        add_failure(self.plan.folder, node.id, reason)
        if not own and node.kind == "run":
            self._leave_record(node, message)
        if final or earlier + 1 >= TRIES:
            self._set(node, "failed", message)
            self._block(node)
        else:
            dependents = self._dependents(node.id)
            self.executor.cancel(dependents)
            self._submitted -= dependents
            self.watcher.event(node, "retried", message)

    def _leave_record(self, node: Node, message: str) -> None:
        """A run that was killed could not write its record: another process does, for it needs torch."""
        job = self._job(node)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired), open(job.log, "ab") as log:
            command = [*job.command, "--leave", message]
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=120, check=False)

    def _block(self, node: Node) -> None:
        dependents = self._dependents(node.id)
        self.executor.cancel(dependents)
        for name in dependents:
            if self.nodes[name].state == "todo":
                self._set(self.nodes[name], "blocked", f"{node.title}, which it needs, failed.")

    def _dependents(self, of: str) -> set[str]:
        found = {of}
        for node in self.nodes.values():  # every need comes before
            if found.intersection(node.needs):
                found.add(node.id)
        return found - {of}

    def _cannot_write(self, node: Node) -> None:
        note = read_note(node_folder(self.plan.folder, node.id) / LAST)
        self.watcher.event(node, "retried", str(note.get("message", "Its results could not be written.")))
        if self.asked == 0:
            self.watcher.say("Results cannot be written: nothing more is begun. Free some space and run it again.")
            self.asked = 1

    def _set(self, node: Node, state: State, reason: str = "") -> None:
        self.nodes[node.id] = replace(node, state=state, reason=reason)
        if state in ("done", "failed", "blocked"):
            self.watcher.event(self.nodes[node.id], state, reason)

    def _wait_for_other(self, node: Node) -> None:
        if node.id not in self._elsewhere:
            held = self._watch.holder(claim_path(self.plan.results, node.id))
            who = "another process" if held is None else f"process {held.pid} on {held.host}"
            self.watcher.event(node, "waiting", f"{who} is at it")
        self._elsewhere[node.id] = time.monotonic() + LOOK_SECONDS
        self.nodes[node.id] = replace(node, state="running")

    def _look_elsewhere(self) -> None:
        for name, when in list(self._elsewhere.items()):
            if time.monotonic() < when:
                continue
            node = self.nodes[name]
            path = claim_path(self.plan.results, name)
            if is_done(node):
                del self._elsewhere[name]
                self._set(node, "done")
            elif self._watch.holder(path) is None:
                del self._elsewhere[name]
                silent = Claim.take(path, about=node.title, watch=self._watch)  # lets the next child have it
                if silent is not None:
                    silent.release()
                self.nodes[name] = replace(node, state="todo")
            else:
                self._elsewhere[name] = time.monotonic() + LOOK_SECONDS

    def _look_late(self) -> None:
        for name, (until, ended) in list(self._late.items()):
            node = self.nodes[name]
            if is_done(node):
                del self._late[name]
                self._set(node, "done")
            elif time.monotonic() > until:
                del self._late[name]
                self._failed(node, replace(ended, reason="it ended well and left no result"))

    def _heed_requests(self) -> None:
        with contextlib.suppress(OSError):
            word = self._stop_file.read_text(encoding="utf-8").strip()
            self.asked = max(self.asked, 2 if word == NOW else 1)
        if self.asked > self._told:
            self._told = self.asked
            self.executor.stop(self.asked > 1)

    def _tick(self) -> None:
        now = time.monotonic()
        slots = []
        for active in self.executor.active():
            if active.id not in self.nodes:
                continue
            if active.id not in self._begun:
                self._begun[active.id] = now
                self.watcher.event(self.nodes[active.id], "started")
            seconds = now - self._begun[active.id]
            slots.append(slot_of(self.plan.folder, active.id, self.plan, active.slot, seconds))
        self.watcher.tick(
            GridView(
                nodes=self.nodes,
                slots=tuple(slots),
                seconds=now - self._since,
                left_seconds=left_seconds(list(self.nodes.values()), slots),
                stopping=self.asked > 0,
            )
        )
