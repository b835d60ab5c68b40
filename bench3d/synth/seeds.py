"""Seeds of the twins: lists of stable integers, so that no train instance can be a test instance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench3d.errors import UsageError
from bench3d.synth import CATEGORIES

SPLITS = ("train", "val", "plain", "hard")
Seed = int | Sequence[int]


def instance_seed(category: str, split: str, index: int, seed: int) -> tuple[int, int, int, int]:
    """Seed of the index-th instance of a split: (seed, category number, split number, index).

    Two different arguments give two different tuples, and the tuple is what seeds the generator: a train instance
    never stands in a test split, whatever the seeds and counts.

    Raises:
        UsageError: for an unknown category or split, or a negative number.
    """
    if category not in CATEGORIES:
        raise UsageError(f"The generator knows no category {category!r}.", f"It knows {', '.join(CATEGORIES)}.")
    if split not in SPLITS:
        raise UsageError(f"The generator knows no split {split!r}.", f"It knows {', '.join(SPLITS)}.")
    if index < 0 or seed < 0:
        raise UsageError("A seed and an instance index are not negative.")
    return (seed, CATEGORIES.index(category), SPLITS.index(split), index)


def rng_of(seed: Seed, *stream: int) -> np.random.Generator:
    """A generator for one purpose; `stream` keeps the purposes of one seed apart."""
    numbers = (int(seed),) if isinstance(seed, (int, np.integer)) else tuple(int(s) for s in seed)
    # The length goes in front because SeedSequence pads with zeros: [1] and [1, 0] would be one stream.
    return np.random.default_rng([len(numbers), len(stream), *numbers, *stream])
