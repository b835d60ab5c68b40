"""Every hook a plugin may implement. This file is the documentation of the door.

A plugin is an installed package with an entry point in the group `bench3d`:

    [project.entry-points.bench3d]
    mine = "my_package"

whose module implements any of the functions below, marked with `hookimpl`:

    from bench3d.contracts import BackboneRegistration
    from bench3d.plugins import hookimpl

    @hookimpl
    def bench3d_register():
        return [BackboneRegistration(name="mine", summary="My backbone", factory="my_package.model:create")]

The module is imported by every `bench3d` command: keep it light (no torch, no numpy). What is heavy belongs behind the
registration's `factory`. An implementation may leave out arguments that it does not need. A plugin that fails to
import, misspells a hook or returns something else than stated is left out and shown by `bench3d doctor`; so is one that
hangs or crashes when it is imported (bench3d.plugins.watch). The others go on working.

These hooks and the contracts have a version, `bench3d.plugins.API_VERSION`. A module may state the one that it was
made for, `bench3d_api = 1`; without a word it is 1. An optional argument or a new hook leaves the number as it is; what
is to change or go warns first, for a release at least (bench3d.plugins.versions).

Observers (the last three) are called in a thread of their own, one call after another and in order, while the run goes
on: they may be slow, but one that hangs is given up (bench3d.plugins.observers). The dictionaries they get are copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    Registration,
    ShapeModelRegistration,
    TaskRegistration,
)

PROJECT = "bench3d"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bench3d_register() -> Iterable[Registration]:  # type: ignore[empty-body]
    """Register: what this plugin adds, as registrations of `bench3d.contracts` (any number, any kinds).

    Called once per process. A name already taken within its kind keeps its first owner (bench3d's own plugins
    first, then distributions in alphabetical order) and the collision is reported.
    """


@hookspec
def bench3d_compatible(
    backbone: BackboneRegistration,
    adapter: AdapterRegistration | None,
    shape_model: ShapeModelRegistration | None,
    task: TaskRegistration | None,
) -> str | None:
    """Decide: why this combination cannot run, in one sentence; None where there is no objection.

    None as adapter, shape model or task means that there is none. Capabilities that a task requires are checked by
    the host; this hook is for what it cannot know ("needs a patch backbone", "has no checkpoint for this size").
    """


@hookspec
def bench3d_estimate(plan: Any) -> Mapping[str, float] | None:
    """Decide: what a run will cost, for display before it starts; None where the plugin does not know.

    Args:
        plan: the bench3d.runner.RunPlan.

    Returns:
        Any of the following; of several answers to one key the largest counts. "seconds", "memory_bytes" and
        "disk_bytes" of the run without its fits, or what the host makes "seconds" and "disk_bytes" of: "samples" of
        the whole run without its limit, "images" that the backbone sees, "seconds_per_image" of the backbone (else
        the host goes by its parameters), "seconds_per_sample" of all else. Of each fit of the adapter or shape model
        NAME: "fit_seconds/NAME", "fit_memory_bytes/NAME", "fit_disk_bytes/NAME". Seconds of one core or one GPU.
    """


@hookspec
def bench3d_run_started(plan: Any) -> None:
    """Observe: a run begins. `plan` is the bench3d.runner.RunPlan. An exception is logged once, never fatal."""


@hookspec
def bench3d_sample_done(values: Mapping[str, Any]) -> None:
    """Observe: one sample is evaluated. `values` is a copy of its line of the sidecar."""


@hookspec
def bench3d_run_finished(record: Any) -> None:
    """Observe: a record was written. `record` is the bench3d.records.schema.Record.

    The run waits for this call, a minute at the most: write or send here what is still in hand.
    """


@hookspec
def bench3d_fit_step(
    component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
) -> None:
    """Observe: a fit reports its training. Called at the reports of `bench3d.fit` (and of whoever calls
    `Progress.report`): every 50 iterations or what the fit says, and after each held-out evaluation.

    Args:
        component: the adapter or shape model.
        category: None where one artifact serves all.
        recipe: hash of what goes into the fit. One that goes on after an interruption keeps it, and may report once
            more what it had reported since its last saved state.
        stage: of the fit, as its progress shows it.
        step: iterations done in this stage, from 1.
        values: mean losses since the last report, learning rates; or the held-out "score", higher is better.
    """


@hookspec
def bench3d_fit_finished(component: str, category: str | None, recipe: str, facts: Mapping[str, Any]) -> None:
    """Observe: a fit is done and its artifact stands. `facts` are the artifact's own, not to be changed."""
