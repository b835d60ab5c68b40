"""The model a task sees: the base's features, and poses from matches to the references and the query's depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bench3d.contracts import Given, ImageBatch, Model, PoseEstimate, TaskRegistration, WeightedMap
from bench3d.errors import CapabilityError
from bench3d.fit.draws import derived_seed
from bench3d.geometry.similarity import split_similarity
from bench3d.plugins import load_registry
from bench3d_plugins.zsp.cells import Cells, foreground
from bench3d_plugins.zsp.matching import Matches, correspond
from bench3d_plugins.zsp.ransac import similarity_ransac
from bench3d_plugins.zsp.reference import References
from bench3d_plugins.zsp.settings import ZSPSettings

NOT_A_NUMBER = float("nan")


@dataclass(frozen=True)
class Found:
    """A pose of one image; where there is none, it is not finite, which counts as an error of pi.

    Attributes:
        rotation: (3, 3) and translation (3,) object to camera; scale of the query's object over the reference's.
        view: number of the best reference frame, -1 without any; similarity: sum over its pairs.
        inliers: how many pairs support the pose; pairs: how many there were.
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: float = NOT_A_NUMBER
    view: int = -1
    similarity: float = NOT_A_NUMBER
    inliers: int = 0
    pairs: int = 0


class ZSPModel(Model):
    """A base model with the references of each category. Poses need the object's depth, an oracle.

    Args:
        base: the model whose features the references hold.
        references: by category.
        device: of the base model; poses are found on the CPU.
    """

    oracles = frozenset({"depth"})

    def __init__(self, base: Model, references: Mapping[str, References], settings: ZSPSettings, device: str) -> None:
        self.base = base
        self.references = dict(references)
        self.settings = settings
        self.device = device
        self.capabilities = base.capabilities | {"pose"}
        self.canvas = settings.canvas
        self.random_weights = base.random_weights

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        """The base model's."""
        return self.base.features(batch)

    def fingerprint(self, category: str | None = None) -> str | None:
        """The base model's: the features are."""
        return self.base.fingerprint(category)

    def describe(self) -> dict[str, Any]:
        """The base model's facts and the number of reference cells per category."""
        return {**self.base.describe(), "reference_cells": {c: len(r.features) for c, r in self.references.items()}}

    def pose(self, batch: ImageBatch, given: Given) -> PoseEstimate:
        """Poses from the depth in `given`: rotation and translation, or the given translation where there is one.

        `start_rotation` is the best reference view's own rotation. Where no pose is found, the rotation is not finite.

        Raises:
            CapabilityError: no references of the category; no depth or no intrinsics given.
        """
        references = self._references(given.category)
        if given.depth is None:
            raise CapabilityError("zsp needs the object's depth, which this task does not give.", _who_gives_depth())
        if given.intrinsics is None:
            raise CapabilityError("zsp needs intrinsics: the protocol gives or assumes them.")
        with torch.inference_mode():
            maps = self.base.features(batch)[0].map
            found = [
                self._one(foreground(maps, n, given.depth[n], given.intrinsics[n]), references, batch.ids[n])
                for n in range(len(batch))
            ]
        translation = _stack([f.translation for f in found])
        rotations = references.rotations
        return PoseEstimate(
            rotation=_stack([f.rotation for f in found]),
            translation=translation if given.translation is None else given.translation.cpu().float(),
            score=torch.tensor([f.inliers / max(f.pairs, 1) for f in found]),
            start_rotation=torch.stack([rotations[max(f.view, 0)] for f in found]),
            extra={
                "view": torch.tensor([float(f.view) for f in found]),
                "view_similarity": torch.tensor([f.similarity for f in found]),
                "inliers": torch.tensor([float(f.inliers) for f in found]),
                "pairs": torch.tensor([float(f.pairs) for f in found]),
                "scale": torch.tensor([f.scale for f in found]),
            },
        )

    def _references(self, category: str | None) -> References:
        if category is None or category not in self.references:
            known = ", ".join(sorted(self.references)) or "none"
            raise CapabilityError(
                f"There are no references of category {category!r} for zsp (there are: {known}).",
                "Collect them first: bench3d train --shape-model zsp --category NAME.",
            )
        return self.references[category]

    def _one(self, query: Cells, references: References, name: str) -> Found:
        """The pose of one image, from its foreground cells."""
        nowhere = np.full((3, 3), np.nan), np.full(3, np.nan)
        if not len(query.features):
            return Found(*nowhere)
        view, matches = best_view(query, references, self.settings.pairs)
        rng = np.random.default_rng(derived_seed(int(references.seed), "ransac", name))
        fit = similarity_ransac(
            references.points[matches.view].double().numpy(),
            query.points[matches.query].numpy(),
            self.settings.trials,
            self.settings.inlier_distance,
            rng,
            self.settings.scale_range,
        )
        seen = Found(*nowhere, view=view, similarity=float(matches.similarity.sum()), pairs=len(matches.view))
        if fit is None:
            return seen
        scale, rotation, translation = split_similarity(fit.transform)
        inliers = int(fit.inliers.sum())
        return replace(seen, rotation=rotation, translation=translation, scale=float(scale), inliers=inliers)


def best_view(query: Cells, references: References, pairs: int) -> tuple[int, Matches]:
    """The reference frame whose correspondences with the query are most similar in sum, and they.

    Rows of `Matches.view` are those of `references`.
    """
    best: tuple[float, int, Matches] | None = None
    for view in references.frame.unique().tolist():
        rows = (references.frame == view).nonzero()[:, 0]
        places = references.places[rows].float()
        found = correspond(references.features[rows], query.features, places, pairs)
        total = float(found.similarity.sum())
        if best is None or total > best[0]:
            best = total, view, Matches(rows[found.view], found.query, found.similarity)
    assert best is not None
    return best[1], best[2]


def _stack(arrays: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays)).float()


def _who_gives_depth() -> str:
    tasks = load_registry().registrations("task")
    able = sorted(
        t.name for t in tasks if isinstance(t, TaskRegistration) and any("depth" in p.offers for p in t.protocols)
    )
    return f"Tasks that give it: {', '.join(able)}." if able else "No installed task gives it."
