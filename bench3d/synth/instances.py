"""One object of a category: mesh, materials and semantic keypoints in the canonical frame."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace

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
    return canonical(builder, category, name)


def canonical(builder: Builder, category: str, name: str) -> Instance:
    """What a builder has collected, moved and scaled into the canonical frame."""
    vertices, faces, face_material, materials, keypoints = builder.collected()
    low, high = vertices.min(0), vertices.max(0)
    centre, scale = (low + high) / 2, 2.0 / float((high - low).max())
    return Instance(
        category=category,
        name=name,
        vertices=((vertices - centre) * scale).astype(np.float32),
        faces=faces.astype(np.int32),
        face_material=face_material.astype(np.int32),
        materials=[replace(m, decals=tuple(d.moved(scale, centre) for d in m.decals)) for m in materials],
        keypoints={k: ((p - centre) * scale).astype(np.float32) for k, p in keypoints.items()},
    )
