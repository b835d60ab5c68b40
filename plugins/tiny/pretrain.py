"""Pretraining: dense contrastive learning on two augmented views of single pictures.

Sources: Wang et al., Dense Contrastive Learning for Self-Supervised Visual Pre-Training (DenseCL), CVPR 2021; the cells
that match are known from the crops, as in Xie et al., Propagate Yourself (PixContrast), CVPR 2021. Negatives are the
other cells of the batch, as in Chen et al., SimCLR, ICML 2020: no second network and no queue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench3d.errors import Bench3DError
from bench3d.fit.draws import derived_generator
from bench3d_plugins.tiny.network import PATCH, WIDTH, build, cells, normalised
from bench3d_plugins.tiny.pictures import Pictures
from bench3d_plugins.tiny.settings import PretrainSettings
from bench3d_plugins.tiny.views import ViewPair, draw_pair

PROJECTED = 128
EVALUATED = 64
"""Pictures of a held-out batch."""


class Pretraining:
    """A trainable of `bench3d.fit.loop`. Every draw depends on the seed and the step alone."""

    def __init__(self, settings: PretrainSettings, pictures: Pictures, device: str) -> None:
        self.settings, self.pictures, self.device = settings, pictures, device
        self.network = build(settings.seed).to(device)
        self.head = _head(settings.seed).to(device)
        self.mean = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.kept: dict[int, dict[str, torch.Tensor]] = {}
        decayed = [p for p in self._parameters() if p.ndim > 1]
        rest = [p for p in self._parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))

    def step(self, iteration: int) -> Mapping[str, float]:
        """One step; the loss, the share of cells whose match comes first, and the learning rate."""
        settings = self.settings
        rate = settings.learning_rate * _schedule(iteration, settings.steps, settings.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        generator = derived_generator(settings.seed, "step", iteration)
        chosen = torch.randint(settings.pictures, (settings.batch,), generator=generator).numpy()
        side = settings.sides[int(torch.randint(len(settings.sides), (1,), generator=generator))]
        self.network.train()
        loss, right = self._loss(chosen, side, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters(), 1.0)
        self.optimiser.step()
        self._average(iteration)
        return {"loss": float(loss.detach()), "right": float(right), "lr": rate}

    def evaluate(self) -> float | None:
        """Share of held-out cells whose match comes first among all cells of the batch, by the mean weights."""
        settings = self.settings
        if settings.held_out == 0:
            return None
        now = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.mean)
        self.network.eval()
        found = []
        with torch.no_grad():
            for start in range(0, settings.held_out, EVALUATED):
                last = min(start + EVALUATED, settings.held_out)
                indices = np.arange(settings.pictures + start, settings.pictures + last)
                generator = derived_generator(settings.seed, "held out", start)
                found.append(float(self._loss(indices, settings.sides[-1], generator)[1]))
        self.network.load_state_dict(now)
        return float(np.mean(found))

    def export(self) -> dict[str, torch.Tensor]:
        """The mean weights."""
        return {k: v.detach().cpu().clone() for k, v in self.mean.items()}

    def state(self) -> Any:
        """Weights, their mean, the optimiser and the checkpoints kept so far."""
        return {
            "network": dict(self.network.state_dict()),
            "head": dict(self.head.state_dict()),
            "mean": dict(self.mean),
            "kept": {str(step): weights for step, weights in self.kept.items()},
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state(self, state: Any) -> None:
        """Continues from `state`."""
        self.network.load_state_dict(state["network"])
        self.head.load_state_dict(state["head"])
        self.mean = {k: v.to(self.device) for k, v in state["mean"].items()}
        self.kept = {int(step): dict(weights) for step, weights in state["kept"].items()}
        self.optimiser.load_state_dict(state["optimiser"])

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.network.parameters(), *self.head.parameters()]

    def _average(self, iteration: int) -> None:
        # A young mean forgets faster, or the start would weigh on it for long.
        decay = min(self.settings.average, (1 + iteration) / (10 + iteration))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value, 1 - decay)
                else:
                    self.mean[name].copy_(value)
        if iteration + 1 in self.settings.checkpoints:
            self.kept[iteration + 1] = self.export()

    def _loss(self, indices: np.ndarray, side: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        pictures = torch.from_numpy(self.pictures.take(indices)).permute(0, 3, 1, 2).float() / 255
        pair = draw_pair(pictures, side, PATCH, self.settings, generator)
        chosen = choose(pair.inside, self.settings.cells, generator)
        if len(chosen[0]) == 0:
            raise Bench3DError(
                "No cell of these views has a match: the second view shows nothing of the first.",
                "Set a smaller shift, turn, stretch or shear, larger sides or a larger batch.",
            )
        both = normalised(torch.cat([pair.first, pair.second])).to(self.device)
        low = self.settings.precision == "bfloat16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=low):
            maps = self.head(cells(self.network, both))
        first, second = maps.float().chunk(2)
        return matching_loss(first, second, pair, chosen, self.settings.temperature)


def choose(inside: torch.Tensor, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """At most `count` random cells of each picture that have a match: numbers of pictures and cells, (M,) each."""
    order = torch.rand(inside.shape, generator=generator).masked_fill(~inside, 2.0)
    ranked = order.argsort(dim=1)[:, :count]
    rows = torch.arange(len(inside))[:, None].expand_as(ranked)
    there = inside.gather(1, ranked)
    return rows[there], ranked[there]


def matching_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    pair: ViewPair,
    chosen: tuple[torch.Tensor, torch.Tensor],
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """InfoNCE of the chosen cells in both directions, and the share whose match is the most similar of all.

    Args:
        first, second: projected maps (B, D, h, w), not normalised.
        pair: places of the matches; chosen: numbers of pictures and cells, (M,) each.
    """
    rows, numbers = chosen
    side = pair.second.shape[-1]
    queries = F.normalize(first.flatten(2).transpose(1, 2)[rows.to(first.device), numbers.to(first.device)], dim=1)
    grid = (2 * pair.places / side - 1).to(second)
    sampled = F.grid_sample(second, grid[:, :, None], mode="bilinear", align_corners=False)[..., 0]
    keys = F.normalize(sampled.transpose(1, 2)[rows.to(first.device), numbers.to(first.device)], dim=1)
    logits = queries @ keys.T / temperature
    target = torch.arange(len(logits), device=logits.device)
    loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    return loss, (logits.argmax(dim=1) == target).float().mean()


def _head(seed: int) -> nn.Module:
    """The projection that the loss sees and that is thrown away: two 1x1 convolutions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        return nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.GELU(), nn.Conv2d(2 * WIDTH, PROJECTED, 1))


def _schedule(iteration: int, steps: int, warmup: float) -> float:
    """Linear up to 1 over the first share of the steps, then a cosine to 0."""
    first = max(1, round(warmup * steps))
    if iteration < first:
        return (iteration + 1) / first
    return 0.5 * (1 + math.cos(math.pi * (iteration - first) / max(1, steps - first)))
