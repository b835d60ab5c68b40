"""Fits tell the observers (bench3d.plugins.hooks) what they report, and when they are done."""

from __future__ import annotations

from collections.abc import Mapping

from bench3d.contracts import Artifact, Progress
from bench3d.plugins import load_registry
from bench3d.runner.jobs import FitJob


class ObservedProgress(Progress):
    """Hands everything on to `inner`, and what the fit of `job` reports to the observers as well."""

    def __init__(self, inner: Progress, job: FitJob) -> None:
        self._inner = inner
        self._job = job
        self._stage = ""

    def start(self, name: str, total: int | None) -> None:
        """A stage begins."""
        self._stage = name
        self._inner.start(name, total)

    def advance(self, steps: int = 1, **values: float) -> None:
        """Steps are done."""
        self._inner.advance(steps, **values)

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """Mean losses or a score: `bench3d_fit_step`."""
        self._inner.report(step, values)
        load_registry().notify("bench3d_fit_step", **_named(self._job), stage=self._stage, step=step, values=values)

    def finish(self) -> None:
        """The stage is over."""
        self._inner.finish()

    def say(self, message: str) -> None:
        """One line that stays on the screen."""
        self._inner.say(message)


def fit_finished(job: FitJob, artifact: Artifact) -> None:
    """The artifact of `job` was made and stands: `bench3d_fit_finished`."""
    load_registry().notify("bench3d_fit_finished", **_named(job), facts=artifact.facts)


def _named(job: FitJob) -> dict[str, str | None]:
    return {"component": job.component, "category": job.category, "recipe": job.recipe}
