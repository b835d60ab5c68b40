"""Random draws that depend on names and numbers alone, so that resuming needs no generator state."""

from __future__ import annotations

import hashlib
import math

import torch


def derived_seed(*parts: int | str) -> int:
    """A 63-bit seed from e.g. (fit seed, "jitter", iteration); the same on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def derived_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `derived_seed`; draw on the CPU and move, so that devices agree."""
    return torch.Generator().manual_seed(derived_seed(*parts))


def epoch_indices(count: int, iteration: int, batch: int, *parts: int | str) -> tuple[list[int], int]:
    """The `iteration`-th batch of endless shuffled epochs over `count` items, and its epoch.

    What is left over at the end of an epoch is dropped; fewer items than a batch repeat within it.
    """
    per_epoch = max(1, count // batch)
    epoch, position = divmod(iteration, per_epoch)
    order = torch.randperm(count, generator=derived_generator(*parts, "order", epoch)).tolist()
    if count < batch:
        order = (order * -(-batch // count))[:batch]
    return order[position * batch : (position + 1) * batch], epoch


def learning_rate(base: float, schedule: str, iteration: int, total: int) -> float:
    """`constant`, or `one_cycle`: linearly up to `base` in a tenth of the iterations, by a cosine to its hundredth."""
    if schedule == "constant":
        return base
    warm = max(1, total // 10)
    if iteration < warm:
        return base * (0.1 + 0.9 * iteration / warm)
    done = (iteration - warm) / max(1, total - warm)
    return base * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
