"""One training loop for every adapter and shape model: progress, checkpoints, resuming, the best state.

What is trained hides behind `Trainable`. A resumed run continues bit for bit (on the CPU) where the trainable's draws
depend on the iteration and its state alone.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import Bench3DError, UsageError, WeightsError
from bench3d.fit.state import load_state, save_state

if TYPE_CHECKING:
    import torch

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"


class Trainable(Protocol):
    """What the loop drives. An iteration is one optimiser step."""

    def step(self, iteration: int) -> Mapping[str, float]:
        """Does iteration `iteration` (from 0) and returns its losses and what else to show, e.g. `lr`."""

    def state(self) -> Any:
        """Everything that `load_state` needs to continue: weights, optimiser, generators (see fit.state)."""

    def load_state(self, state: Any) -> None:
        """Continues from what `state` returned."""

    def evaluate(self) -> float | None:
        """Held-out score, higher is better; None where there is none."""

    def export(self) -> dict[str, torch.Tensor]:
        """The weights that a user of the fit needs."""


@dataclass(frozen=True)
class LoopPlan:
    """How long, and how often what happens.

    Attributes:
        name: of the stage, shown and stored; a state of another stage is refused.
        iterations: in all.
        evaluate_every: iterations between held-out evaluations (the last iteration is always evaluated); None: never.
        checkpoint_seconds: time between two checkpoints.
        checkpoint_every: also after so many iterations.
        history_every: iterations averaged into one entry of the history.
        recipe: hash of what decides the fit; a state with another one is refused.
    """

    name: str
    iterations: int
    evaluate_every: int | None = None
    checkpoint_seconds: float = 60.0
    checkpoint_every: int | None = None
    history_every: int = 50
    recipe: str = ""


@dataclass
class LoopResult:
    """What a loop leaves beside the trainable itself.

    Attributes:
        history: entries {"iteration", then mean losses since the last entry} and {"iteration", "score"}.
        best_score, best_iteration: of the held-out evaluations; None without any.
        best: exported weights of the best iteration, of the last one without evaluations.
        last: exported weights of the last iteration.
        seconds: spent in this loop, over all resumptions.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float | None = None
    best_iteration: int | None = None
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    last: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    trainable: Trainable, plan: LoopPlan, folder: Path, progress: Progress | None = None, resume: bool = True
) -> LoopResult:
    """Trains to the end of the plan, from the state in `folder` where there is one and `resume`.

    The best weights by `evaluate` are kept; of equal scores the later one wins. Ctrl-C lets the running iteration end,
    writes the state and raises KeyboardInterrupt; a kill loses what came after the last checkpoint.

    Raises:
        Bench3DError: a loss is no longer finite.
        UsageError: the state in `folder` belongs to another fit.
        WeightsError: the state cannot be read.
    """
    return _Loop(trainable, plan, folder, progress or NullProgress()).run(resume)


class _Loop:
    def __init__(self, trainable: Trainable, plan: LoopPlan, folder: Path, progress: Progress) -> None:
        self.trainable = trainable
        self.plan = plan
        self.folder = folder
        self.progress = progress
        self.result = LoopResult()
        self.iteration = 0
        self.sums: dict[str, float] = {}
        self.summed = 0
        self.begun = time.monotonic()
        self.saved = self.begun

    def run(self, resume: bool) -> LoopResult:
        if resume:
            self._restore()
        self.begun = time.monotonic() - self.result.seconds
        self.saved = time.monotonic()
        self.progress.start(self.plan.name, self.plan.iterations)
        try:
            self.progress.advance(self.iteration)
            with _deferred_interrupt() as interrupted:
                while self.iteration < self.plan.iterations:
                    self._iterate()
                    if interrupted.is_set():
                        self._save()
                        raise KeyboardInterrupt
        finally:
            self.progress.finish()
        return self._finished()

    def _iterate(self) -> None:
        losses = {name: float(value) for name, value in self.trainable.step(self.iteration).items()}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise Bench3DError(
                    f"{self.plan.name}: the loss '{name}' became {value} at iteration {self.iteration + 1}.",
                    "Lower the learning rate, or use ordinary instead of detached normalisation.",
                )
        self.iteration += 1
        self._record(losses)
        self.progress.advance(1, **losses)
        every = self.plan.evaluate_every
        if every is not None and (self.iteration % every == 0 or self.iteration == self.plan.iterations):
            self._evaluate()
        due = time.monotonic() - self.saved >= self.plan.checkpoint_seconds
        due |= self.plan.checkpoint_every is not None and self.iteration % self.plan.checkpoint_every == 0
        if due or self.iteration == self.plan.iterations:
            self._save()

    def _record(self, losses: Mapping[str, float]) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.summed += 1
        if self.iteration % self.plan.history_every == 0 or self.iteration == self.plan.iterations:
            means = {name: value / self.summed for name, value in self.sums.items()}
            self.result.history.append({"iteration": self.iteration, **means})
            self.progress.report(self.iteration, means)
            self.sums, self.summed = {}, 0

    def _evaluate(self) -> None:
        score = self.trainable.evaluate()
        if score is None:
            return
        self.result.history.append({"iteration": self.iteration, "score": score})
        self.progress.advance(0, score=score)
        self.progress.report(self.iteration, {"score": score})
        if self.result.best_score is None or score >= self.result.best_score:
            self.result.best_score, self.result.best_iteration = score, self.iteration
            save_state(self.folder / BEST_FILE, self.trainable.export())

    def _save(self) -> None:
        result = self.result
        result.seconds = time.monotonic() - self.begun
        save_state(
            self.folder / STATE_FILE,
            {
                "name": self.plan.name,
                "recipe": self.plan.recipe,
                "iteration": self.iteration,
                "history": result.history,
                "best_score": result.best_score,
                "best_iteration": result.best_iteration,
                "seconds": result.seconds,
                "sums": self.sums,
                "summed": self.summed,
                "trainable": self.trainable.state(),
            },
        )
        self.saved = time.monotonic()

    def _restore(self) -> None:
        path = self.folder / STATE_FILE
        if not path.exists():
            return
        state = load_state(path)
        try:
            owner = (state["name"], state["recipe"])
            if owner == (self.plan.name, self.plan.recipe):
                self.trainable.load_state(state["trainable"])
                self.iteration, self.sums, self.summed = state["iteration"], state["sums"], state["summed"]
                result = self.result
                result.history, result.seconds = state["history"], state["seconds"]
                result.best_score, result.best_iteration = state["best_score"], state["best_iteration"]
                return
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"The training state {path} does not fit ({error}).", "Use --force to train from the beginning."
            ) from error
        raise UsageError(
            f"The training state {path} belongs to another fit.", "Use --force to train from the beginning."
        )

    def _finished(self) -> LoopResult:
        self.result.last = self.trainable.export()
        best = self.result.best_score is not None
        self.result.best = load_state(self.folder / BEST_FILE) if best else self.result.last
        return self.result


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C into an event, so that no iteration is cut in two; the second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
