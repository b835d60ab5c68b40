"""Held-out scores while training: PCDP@0.1 and APE on a few fixed pairs of views (tasks.md a)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench3d.contracts import FeatureMap, PosedView, ViewSet
from bench3d.data.images import load_rgb
from bench3d.errors import DataError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.lattice import Lattice
from bench3d.features.matching import dense_argmax, sample_at
from bench3d.fit.draws import derived_seed
from bench3d.geometry.unproject import visible
from bench3d_plugins.smoothap_lora.batches import features_of
from bench3d_plugins.smoothap_lora.draws import draw_views, known_depth, random_points, view_mask

QUERIES = 256
"""Random points of the first view that are looked for, less those that the second does not show."""
CANDIDATES = 128
"""About so many columns of the second image are searched."""
TRIES = 20
PCDP_AT = 0.1


@dataclass(frozen=True, eq=False)
class HeldOutPair:
    """Two views and what both show.

    Attributes:
        object: the set's id.
        source, target: (N, 2) pixels of the same points.
        stride: every so many pixels of the target are candidates.
        valid: (H, W) bool of the candidates, None for all.
    """

    object: str
    views: tuple[PosedView, PosedView]
    source: np.ndarray
    target: np.ndarray
    stride: int
    valid: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Scores:
    """Of P pairs: `objects` P ids, `pcdp` (P,) shares of matches closer than 0.1 short edges, `ape` (P,) mean errors.

    Errors are in short edges of the target image.
    """

    objects: tuple[str, ...]
    pcdp: np.ndarray
    ape: np.ndarray


class Validator:
    """Fixed pairs over held-out sets, the sets in turn; matches are searched on the mask where there is one.

    Raises:
        DataError: a file is broken, or no pair shares a visible point.
    """

    def __init__(self, sets: Sequence[ViewSet], pairs: int, max_angle: float, seed: int) -> None:
        self.pairs = [p for n in range(pairs) if (p := _pair(sets[n % len(sets)], n, max_angle, seed)) is not None]
        if not self.pairs:
            raise DataError("No two held-out views show a common point.", "Check depth and cameras, or set held_out=0.")

    def scores(self, model: DenseBackbone) -> Scores:
        """Scores of a model as it is."""
        rows = [_errors(model, pair) for pair in self.pairs]
        return Scores(
            tuple(pair.object for pair in self.pairs),
            np.array([(row < PCDP_AT).mean() for row in rows]),
            np.array([row.mean() for row in rows]),
        )


def _pair(views: ViewSet, number: int, max_angle: float, seed: int) -> HeldOutPair | None:
    for attempt in range(TRIES):
        rng = np.random.default_rng(derived_seed(seed, "held out", number, attempt))
        _, first, second = draw_views([views], max_angle, rng, Counter())
        a, b = views.views[first], views.views[second]
        source, world = random_points(a, QUERIES, rng)
        depth = known_depth(b)[2]
        target, shown = visible(b, world, depth, views.tolerance, views.relative_tolerance)
        mask = view_mask(b)
        stride = max(1, b.size[0] // CANDIDATES)
        valid = None if mask is None else mask[::stride, ::stride]
        if shown.any() and (valid is None or valid.any()):
            return HeldOutPair(views.id, (a, b), source[shown], target[shown], stride, valid)
    return None


@torch.inference_mode()
def _errors(model: DenseBackbone, pair: HeldOutPair) -> np.ndarray:
    """(N,) distances of the matches from the truth, in short edges of the target."""
    images = [load_rgb(view.image, view.size) for view in pair.views]
    source, target = features_of(model, images)
    queries = sample_at(source.values[0], source.geometry[0].original_to_cell(pair.source))
    found = _search(queries, target, pair)
    error = np.linalg.norm(found - pair.target, axis=1) / min(pair.views[1].size)
    # Features that cannot be compared have no match: an error of the whole edge.
    return np.where(np.isfinite(error), error, 1.0)


def _search(queries: torch.Tensor, target: FeatureMap, pair: HeldOutPair) -> np.ndarray:
    """(N, 2) pixels of the best candidates, NaN where there is none."""
    lattice = Lattice.pixels(target.geometry[0], stride=pair.stride)
    index = dense_argmax(queries, target.values[0], lattice, cosine=True, mask=pair.valid).index.cpu().numpy()
    found = index * pair.stride + 0.5
    found[index[:, 0] < 0] = np.nan
    return found
