"""One object of a category: mesh, materials and semantic keypoints in the canonical frame."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench3d.errors import UsageError
from bench3d.synth import CATEGORIES
from bench3d.synth.materials import Material
from bench3d.synth.mesh import Builder
from bench3d.synth.seeds import Seed, instance_seed, rng_of

__all__ = ["Instance", "instance_seed", "make_instance"]

Family = Callable[[Builder, np.random.Generator], str]


@dataclass(frozen=True, eq=False)
class Instance:
    """An object in the canonical frame: x left, y back, z up, AABB-centred, max |coordinate| = 1.

    Attributes:
        category: canonical name; name: the subtype, e.g. "sedan".
        vertices: (V, 3) float32. faces: (F, 3) int32, looking outwards. face_material: (F,) int32 into `materials`.
        keypoints: semantic points (3,) float32 under PASCAL3D+'s names for the category, on or near the surface.
    """

    category: str
    name: str
    vertices: np.ndarray
    faces: np.ndarray
    face_material: np.ndarray
    materials: list[Material]
    keypoints: dict[str, np.ndarray]


def make_instance(category: str, seed: Seed) -> Instance:
    """Builds an instance; the same (category, seed) gives the same bytes. See `instance_seed` for split-safe seeds.

    Raises:
        UsageError: for a category without a family.
    """
    if category not in CATEGORIES:
        raise UsageError(f"The generator knows no category {category!r}.", f"It knows {', '.join(CATEGORIES)}.")
    family: Family = importlib.import_module(f"bench3d.synth.shape_{category}").build
    builder = Builder()
    name = family(builder, rng_of(seed, 0, CATEGORIES.index(category)))
    return builder.finish(category, name)
