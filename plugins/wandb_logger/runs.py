"""A run of Weights & Biases per record (its id is the identity) and per fit (its id is the recipe).

What is sent is what the record holds of the measurement and the scores: no host, user, path, command line, console
output, code, package list or system metric, and no pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import wandb

from bench3d.errors import OutputError, UsageError
from bench3d.plugins.observers import limit_seconds
from bench3d.records import Record, short

ANSWER = 0.5
"""Part of an observer's time that the server may take to answer, where WANDB_INIT_TIMEOUT does not say."""
UPLOAD = 0.4
"""Part of it that the upload may take at the end; what is left then stays on the disk for `wandb sync`."""
_NAME = re.compile(r"[^/\\#?%:\s][^/\\#?%:]{0,127}")


class Runs:
    """Runs of one project. One is open at a time, of a fit; a record's is opened and finished at once."""

    def __init__(self, project: str, entity: str | None) -> None:
        self.project, self.entity = project, entity
        self._fit: tuple[str, Any] | None = None
        # Silent: it would ask for a key on the terminal, in the middle of a run.
        wandb.setup(_settings(silent=True))

    def run_finished(self, record: Record) -> None:
        """Writes a record; one with the same identity goes on in the same run.

        Raises:
            OutputError: not logged in, no answer.
        """
        self._end_fit()
        run = self._open(
            id=record.identity.hash,
            name=f"{record.label}-{short(record.identity.hash)}",
            config={**record.identity.measurement, "oracles": record.oracles},
            group=str((record.identity.measurement.get("task") or {}).get("name", "")) or None,
            job_type="run",
            tags=_tags(record),
        )
        if record.scores:
            run.log({"scores": score_table(record)})
        run.summary.update(summary_of(record))
        run.finish(exit_code=0 if record.status == "finished" else 1)

    def fit_step(
        self, component: str, category: str | None, recipe: str, stage: str, step: int, values: Mapping[str, float]
    ) -> None:
        """Adds a report of a fit as <stage>/<name>, over <stage>/iteration.

        Raises:
            OutputError: not logged in, no answer.
        """
        if self._fit is None or self._fit[0] != recipe:
            self._end_fit()
            config = {"component": component, "category": category, "recipe": recipe}
            name = f"{component}-{category or 'all'}-{short(recipe)}"
            run = self._open(id=recipe, name=name, config=config, group="fits", job_type="fit", tags=[])
            self._fit = (recipe, run)
        run, stage = self._fit[1], _key(stage)
        # A fit that went on repeats iterations, which W&B's own steps do not allow.
        run.define_metric(f"{stage}/iteration")
        run.define_metric(f"{stage}/*", step_metric=f"{stage}/iteration")
        run.log({f"{stage}/iteration": step, **{f"{stage}/{_key(name)}": value for name, value in values.items()}})

    def fit_finished(self, recipe: str, facts: Mapping[str, Any]) -> None:
        """Ends a fit's run with the numbers among its facts."""
        if self._fit is not None and self._fit[0] == recipe:
            numbers = {k: v for k, v in facts.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
            self._fit[1].summary.update(numbers)
            self._end_fit()

    def _end_fit(self) -> None:
        if self._fit is not None:
            (_, run), self._fit = self._fit, None
            run.finish()

    def _open(self, **about: Any) -> Any:
        try:
            return wandb.init(
                project=self.project,
                entity=self.entity,
                resume=None if _offline() else "allow",
                reinit="create_new",  # a notebook's own run goes on beside it
                settings=_settings(
                    console="off",
                    disable_code=True,
                    disable_git=True,
                    disable_job_creation=True,
                    save_code=False,
                    host="",
                    program="",
                    x_disable_meta=True,
                    x_disable_stats=True,
                    x_disable_machine_info=True,
                    x_save_requirements=False,
                    finish_timeout=UPLOAD * limit_seconds(),
                    **({} if "WANDB_INIT_TIMEOUT" in os.environ else {"init_timeout": ANSWER * limit_seconds()}),
                ),
                **about,
            )
        except Exception as error:
            raise _said(error) from error


def score_table(record: Record) -> Any:
    """Every score: metric, category, value, unit, low, high, n."""
    table = wandb.Table(columns=["metric", "category", "value", "unit", "low", "high", "n"])
    for score in record.scores:
        table.add_data(
            score.metric, score.category, score.value, score.unit, *(score.interval or (None, None)), score.n
        )
    return table


def summary_of(record: Record) -> dict[str, Any]:
    """Scores as <metric>/<category>, the headline metric's as `headline`, status and costs."""
    found: dict[str, Any] = {f"{_key(s.metric)}/{s.category}": s.value for s in record.scores}
    best = record.score(record.headline)
    if best is not None:
        found |= {"headline": best.value, "headline metric": best.metric}
    costs = {key: getattr(record.cost, key) for key in ("fit_seconds", "evaluate_seconds", "peak_memory_bytes")}
    found |= {f"cost/{key}": value for key, value in costs.items() if value is not None}
    return {**found, "status": record.status, "samples": record.samples}


def _tags(record: Record) -> list[str]:
    marks = record.marks
    found = ["synthetic-data"] if marks.synthetic_data else []
    found += ["random-weights"] if marks.random_weights else []
    return [*found, "limited"] if marks.limited is not None else found


def _key(name: str) -> str:
    """A name without what W&B takes for a path in a nested value or a pattern."""
    return re.sub(r"[.*/\\]", "_", name)


def _offline() -> bool:
    return wandb.setup().settings.mode in ("offline", "dryrun", "disabled")


def _settings(**values: Any) -> Any:
    """Settings that this release of wandb knows."""
    return wandb.Settings(**{k: v for k, v in values.items() if k in wandb.Settings.model_fields})


def _said(error: Exception) -> OutputError:
    text = " ".join(str(error).split())[:160].rstrip(".")
    if "api key" in text.lower() or "log in" in text.lower():
        return OutputError("nobody is logged in to Weights & Biases.", "Run `wandb login`, or set WANDB_MODE=offline.")
    return OutputError(
        f"Weights & Biases cannot be reached ({type(error).__name__}: {text}).",
        "Set WANDB_MODE=offline and run `wandb sync` later.",
    )


def create(target: str) -> Runs:
    """The logger that writes into the project of `target`, "PROJECT" or "ENTITY/PROJECT".

    Raises:
        UsageError: it is neither.
    """
    entity, slash, project = target.rpartition("/")
    if not _NAME.fullmatch(project) or (slash and not _NAME.fullmatch(entity)):
        raise UsageError(f"wandb:{target} is no project of Weights & Biases.", "Write wandb:PROJECT or ENTITY/PROJECT.")
    return Runs(project, entity or None)
