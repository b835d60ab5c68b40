"""A training stage on batches of views as a trainable of `bench3d.fit`: one Adam, named losses, accumulated batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from bench3d.contracts import FitContext
from bench3d.fit.draws import derived_generator, epoch_indices, learning_rate
from bench3d.fit.loop import LoopPlan
from bench3d.morphable.pool import ViewPool
from bench3d.morphable.settings import StageSettings
from bench3d.morphable.views import ViewBatch

Loss = tuple[float, torch.Tensor]
"""Weight and value."""


class Stage(ABC):
    """One Adam over parameter groups; `losses` names what it minimises.

    A group's "share" is its learning rate in units of the stage's.

    Args:
        seed: every draw depends on it, the stage's name and the number of the batch alone.
        batch: views of a batch; `accumulate` of them make a step.
        rate: the stage's learning rate.
    """

    name: str
    with_features: bool

    def __init__(
        self,
        network: nn.Module,
        pool: ViewPool,
        settings: StageSettings,
        seed: int,
        iterations: int,
        batch: int,
        rate: float,
        parameters: Sequence[dict[str, Any]],
    ) -> None:
        self.network = network
        self.pool = pool
        self.settings = settings
        self.seed = seed
        self.iterations = iterations
        self.batch = batch
        self.rate = rate
        self.optimiser = torch.optim.Adam(parameters, lr=rate, weight_decay=settings.weight_decay)

    def plan(self, context: FitContext, evaluate_every: int | None = None) -> LoopPlan:
        """How the loop drives this stage, in a fit of the context's category and recipe."""
        return LoopPlan(
            name=f"{context.category} {self.name}",
            iterations=self.iterations,
            evaluate_every=evaluate_every,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            recipe=context.recipe,
        )

    @abstractmethod
    def losses(self, views: ViewBatch, generator: torch.Generator) -> dict[str, Loss]:
        """Weight and value of every loss on one batch."""

    def step(self, iteration: int) -> Mapping[str, float]:
        """One Adam step over `accumulate` batches; the mean losses, unweighted, and the learning rate."""
        settings = self.settings
        rate = learning_rate(self.rate, settings.learning_rate_schedule, iteration, self.iterations)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, torch.Tensor] = {}
        for part in range(settings.accumulate):
            number = iteration * settings.accumulate + part
            terms = self.losses(self._views(number), derived_generator(self.seed, self.name, number))
            total = torch.stack([weight * value for weight, value in terms.values()]).sum()
            (total / settings.accumulate).backward()
            for name, (_, value) in {**terms, "loss": (1.0, total)}.items():
                sums[name] = sums.get(name, 0) + value.detach() / settings.accumulate
        self.optimiser.step()
        values = torch.stack(list(sums.values())).tolist()
        return {**dict(zip(sums, values, strict=True)), "lr": rate}

    def _views(self, number: int) -> ViewBatch:
        pool = self.pool
        indices, epoch = epoch_indices(len(pool), number, self.batch, self.seed, self.name)
        views = pool.batch(indices, epoch, self.with_features)
        if number + 1 < self.iterations * self.settings.accumulate:
            following = epoch_indices(len(pool), number + 1, self.batch, self.seed, self.name)
            pool.prefetch(*following, self.with_features)
        return views

    def state(self) -> Any:
        """Weights and Adam's moments; all draws depend on the iteration alone."""
        return {"network": dict(self.network.state_dict()), "optimiser": self.optimiser.state_dict()}

    def load_state(self, state: Any) -> None:
        """Continues from `state`."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def evaluate(self) -> float | None:
        """No held-out score unless the stage has one."""
        return None

    def export(self) -> dict[str, torch.Tensor]:
        """The weights of the whole network, on the CPU."""
        return {name: value.detach().cpu().clone().contiguous() for name, value in self.network.state_dict().items()}


def steps_per_epoch(views: int, batch: int, accumulate: int) -> int:
    """Optimiser steps in an epoch; what is left over is dropped."""
    return max(1, views // batch // accumulate)


def to_clip(vertices: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """Object vertices (B or 1, V, 3) and projections (B' >= B, 4, 4) -> clip space (B, V, 4); 1 stands for all B'."""
    matrices = projection if len(vertices) == 1 else projection[: len(vertices)]
    return vertices @ matrices[:, :, :3].transpose(1, 2) + matrices[:, None, :, 3]
