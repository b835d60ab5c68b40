"""A small Adam-trained linear map whose draws depend on the iteration alone; run as a script it kills itself."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from bench3d.fit.draws import derived_generator
from bench3d.fit.loop import LoopPlan, train

PLAN = LoopPlan(name="toy", iterations=30, evaluate_every=10, checkpoint_every=7, history_every=4, recipe="r")


class Toy:
    def __init__(self, scores: list[float] | None = None, kill_at: int | None = None) -> None:
        self.weight = torch.ones(3, requires_grad=True)
        self.optimiser = torch.optim.Adam([self.weight], lr=0.05, weight_decay=1e-4)
        self.scores = scores
        self.evaluations = 0
        self.kill_at = kill_at
        self.steps: list[int] = []

    def step(self, iteration: int) -> dict[str, float]:
        if iteration == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps.append(iteration)
        inputs = torch.randn(8, 3, generator=derived_generator(0, "toy", iteration))
        loss = (inputs @ (self.weight - torch.tensor([0.0, 2.0, -1.0]))).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"square": loss.item()}

    def state(self):
        return {"weight": self.weight, "optimiser": self.optimiser.state_dict(), "evaluations": self.evaluations}

    def load_state(self, state) -> None:
        self.weight.data.copy_(state["weight"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.evaluations = state["evaluations"]

    def evaluate(self) -> float | None:
        self.evaluations += 1
        return None if self.scores is None else self.scores[self.evaluations - 1]

    def export(self) -> dict[str, torch.Tensor]:
        return {"weight": self.weight.detach().clone()}


if __name__ == "__main__":
    train(Toy([0.1, 0.3, 0.3], kill_at=int(sys.argv[2])), PLAN, Path(sys.argv[1]))
