"""Executing one run: data, fits, model, evaluation, record. Whatever happens, it leaves a record that says so."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench3d.contracts import Progress, Session, Task
from bench3d.errors import Bench3DError, OutputError
from bench3d.files import write_json
from bench3d.machine import choose_device, is_out_of_memory
from bench3d.plugins import load_registry
from bench3d.records import (
    Attempt,
    Record,
    RunStore,
    Status,
    identity_hash,
    read_samples,
)
from bench3d.records import provenance as origin
from bench3d.runner.evaluate import BatchSize, evaluate_category
from bench3d.runner.fits import Fitted, fit_and_apply, left_out
from bench3d.runner.layers import with_chosen_layer
from bench3d.runner.models import settle_numerics
from bench3d.runner.plan import RunPlan
from bench3d.runner.report import RunState, make_record
from bench3d.runner.session import open_session

log = logging.getLogger("bench3d.runner")


def execute(plan: RunPlan, progress: Progress) -> Record:
    """Does what the plan says and returns the record that stands afterwards.

    A finished run is returned as it is (with `visualize`, its missing pictures are drawn). An interruption, an error or
    a lack of memory is written down before it is raised; the next call goes on from the samples that were done.

    Raises:
        DataError: what the plan calls missing.
        KeyboardInterrupt: after an `interrupted` record was written.
        Bench3DError: out of memory with one image at a time, after an `out-of-memory` record was written; and every
            other error of the run, after a `failed` record.
        OutputError: results cannot be written; nothing half-written stays.
    """
    if plan.problem is not None:
        raise plan.problem
    if plan.already_done and plan.record is not None:
        return _with_pictures(plan, plan.record, progress)
    registry = load_registry()
    registry.notify("bench3d_run_started", plan=plan)
    device = choose_device(plan.spec.device)
    settle_numerics(plan.spec.offline)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    state = RunState(plan, device, now)
    with _failures_leave_a_record(state):
        state.plan, state.choices = with_chosen_layer(plan, device, progress)
        plan = state.plan
        state.fitted = fit_and_apply(plan, device, progress)
    attempt = _begin(plan, state.fitted)
    with _failures_leave_a_record(state, attempt):
        _evaluate(state, attempt, progress)
        record = make_record(state, "finished")
    record = attempt.publish(record, force=plan.spec.force)
    registry.notify("bench3d_run_finished", record=record)
    return record


def _begin(plan: RunPlan, fitted: Fitted) -> Attempt:
    """An attempt whose state names the artifacts: samples of other ones are not taken over."""
    digests = {f"{job.component}/{job.category or 'all'}": a.digest for job, a in fitted.artifacts}
    assert plan.identity is not None
    return RunStore(plan.spec.results).begin(str(plan.spec.task), plan.label, plan.identity, identity_hash(digests))


@contextlib.contextmanager
def _failures_leave_a_record(state: RunState, attempt: Attempt | None = None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _publish(state, attempt, "interrupted", f"Interrupted after {len(state.values)} samples.")
        raise
    except OutputError:
        if attempt is not None:
            attempt.discard()
        raise
    except Exception as error:
        if is_out_of_memory(error):
            message = "Out of memory, even with one image at a time."
            _publish(state, attempt, "out-of-memory", message)
            raise Bench3DError(message, "Use a smaller canvas or backbone, or --device cpu.") from error
        _publish(state, attempt, "failed", origin.without_paths(f"{type(error).__name__}: {error}"))
        raise


def leave_record(plan: RunPlan, status: Status, message: str) -> None:
    """Writes the record of a run whose process could not write its own, such as one that was killed."""
    if plan.problem is not None:
        raise plan.problem
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    _publish(RunState(plan, choose_device(plan.spec.device), now), None, status, message)


def _publish(state: RunState, attempt: Attempt | None, status: Status, message: str) -> None:
    """Writes the record of a run that did not finish. What goes wrong here must not hide the reason."""
    try:
        if attempt is None:
            plan = state.plan
            assert plan.identity is not None
            attempt = RunStore(plan.spec.results).begin(str(plan.spec.task), plan.label, plan.identity, "no fits")
        record = attempt.publish(make_record(state, status, message))
        load_registry().notify("bench3d_run_finished", record=record)
    except OutputError as error:
        log.warning("%s", error)


def _evaluate(state: RunState, attempt: Attempt, progress: Progress) -> None:
    plan, resolved = state.plan, state.plan.resolved
    assert resolved.test is not None and state.fitted is not None and plan.identity is not None
    dataset = resolved.test.open(progress)
    state.synthetic = bool(getattr(dataset, "synthetic", resolved.test.twin is not None))
    task = make_task(plan)
    state.metrics = task.metrics
    state.batch = BatchSize(int(getattr(resolved.task.settings if resolved.task else None, "batch", 8)))
    earlier = {} if plan.spec.force else RunStore(plan.spec.results).leftovers(attempt, plan.identity)
    if earlier:
        progress.say(f"Going on after {len(earlier)} samples of an unfinished run.")
    with open_session(plan, state.fitted, state.device, progress) as session:
        task.open(session)
        begun = time.monotonic()
        for category in plan.categories:
            samples = task.samples(dataset, category, plan.spec.limit)
            done = [earlier[f"{category}/{s.id}"] for s in samples if f"{category}/{s.id}" in earlier]
            attempt.add_samples(done)
            state.values += done
            pending = [s for s in samples if f"{category}/{s.id}" not in earlier]
            _evaluate_category(state, attempt, task, category, pending, session)
        state.evaluate_seconds = time.monotonic() - begun
        state.notes = [*task.notes(), *_trained_on(state), *left_out(state.fitted)]
        if plan.spec.visualize:
            state.pictures = draw_pictures(plan, task, dataset, state.values, attempt.folder, session)


def _evaluate_category(
    state: RunState, attempt: Attempt, task: Task, category: str, pending: Sequence[Any], session: Session
) -> None:
    assert state.batch is not None
    source = training_source(state.plan) if pending else None
    with contextlib.closing(evaluate_category(task, session, category, pending, source, state.batch)) as batches:
        for values in batches:
            attempt.add_samples(values)
            state.values += values
            for value in values:
                load_registry().notify("bench3d_sample_done", values=value)


def _trained_on(state: RunState) -> list[str]:
    """A sentence where a fit was trained on what was evaluated: such a score is no held-out one."""
    assert state.fitted is not None
    evaluated = {str(v["cluster"]) for v in state.values}
    notes = []
    for job, artifact in state.fitted.artifacts:
        seen = evaluated & {str(name) for name in artifact.facts.get("training_objects", ())}
        if seen:
            notes.append(f"{job.component} was trained on {len(seen)} of the {len(evaluated)} objects evaluated here.")
    return notes


def make_task(plan: RunPlan) -> Task:
    """The plan's task with its settings and protocol."""
    component = plan.resolved.task
    assert component is not None
    task: Task = load_registry().create(
        "task", component.name, settings=component.settings, protocol=plan.resolved.protocol
    )
    return task


def training_source(plan: RunPlan) -> Any:
    """The shape model's training data (for chance levels), else the adapter's, else None."""
    resolved = plan.resolved
    for component in (resolved.shape, resolved.adapter):
        if component is not None and component.name in resolved.train:
            return resolved.train[component.name].open()
    return None


def draw_pictures(
    plan: RunPlan, task: Task, dataset: Any, values: list[Mapping[str, Any]], folder: Path, session: Session
) -> list[str]:
    """Lets the task draw under `folder`/pictures; the paths relative to `folder`. A failure is said, never fatal."""
    made: list[str] = []
    progress = session.progress
    for category in plan.categories:
        samples = task.samples(dataset, category, plan.spec.limit)
        mine = {v["id"]: v for v in values if v["category"] == category}
        shown = [s for s in samples if s.id in mine]
        progress.start(f"pictures of {category}", None)
        try:
            ordered = [mine[s.id] for s in shown]
            for path in task.pictures(session.model, shown, ordered, folder / "pictures" / category, session.device):
                made.append(path.relative_to(folder).as_posix())
                progress.advance()
        except OutputError:
            raise
        except Exception as error:
            log.debug("traceback", exc_info=True)
            progress.say(f"No pictures of {category}: {type(error).__name__}: {error}")
        finally:
            progress.finish()
    return made


def _with_pictures(plan: RunPlan, record: Record, progress: Progress) -> Record:
    """Draws the pictures of a finished run that has none, from its sidecar."""
    if not plan.spec.visualize or record.pictures or plan.record_path is None:
        return record
    device = choose_device(plan.spec.device)
    settle_numerics(plan.spec.offline)
    fitted = fit_and_apply(plan, device, progress)
    assert plan.resolved.test is not None
    dataset, task, folder = plan.resolved.test.open(), make_task(plan), plan.record_path.parent
    values: list[Mapping[str, Any]] = [*read_samples(folder / "samples.jsonl")]
    with open_session(plan, fitted, device, progress) as session:
        task.open(session)
        made = draw_pictures(plan, task, dataset, values, folder, session)
    record = record.model_copy(update={"pictures": made})
    write_json(plan.record_path, record.as_json())
    return record
