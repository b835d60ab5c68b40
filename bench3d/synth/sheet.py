"""Contact sheets of the generator, for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench3d.synth.cameras import orbit, photo
from bench3d.synth.instances import make_instance
from bench3d.synth.scene import HARD, PLAIN, Scene, Style, render
from bench3d.synth.seeds import instance_seed


def contact_sheet(
    categories: Sequence[str], per_category: int, seed: int = 0, size: int = 256, split: str = "val"
) -> np.ndarray:
    """One row per category, one instance per cell, each from a view of its own; uint8 (rows * size, n * size, 3).

    split: train gives frames of videos, plain and hard give photos, val plain photos of instances that neither
    training nor testing sees.
    """
    rows = []
    for category in categories:
        cells = [_cell(category, split, k, seed, size) for k in range(per_category)]
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows, axis=0)


def _cell(category: str, split: str, index: int, seed: int, size: int) -> np.ndarray:
    own = instance_seed(category, split, index, seed)
    instance = make_instance(category, own)
    if split == "train":
        views = orbit(8, own, (size, size), instance.vertices)
        pose, k = views[index % 8]
        return Scene(instance, own, PLAIN).render(pose, k, (size, size)).rgb
    style: Style = HARD if split == "hard" else PLAIN
    shot = photo(own, (size, size), instance.vertices, split == "hard", category)
    return render(instance, shot.pose(), shot.intrinsics(), (size, size), own, style).rgb
