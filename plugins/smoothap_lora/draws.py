"""What a training step sees: two views of one object with random surface points (tasks.md i).

Every draw follows from the seed and the pair's number alone, so that a resumed training sees what it would have seen.
`as_published` replays one list of 100 pairs, points included, in every epoch, and draws only the augmentation afresh:
the published loader seeds its workers alike in each epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from bench3d.contracts import PosedView, ViewSet
from bench3d.data.images import load_rgb
from bench3d.errors import DataError
from bench3d.fit.draws import derived_seed
from bench3d.geometry.rotations import geodesic_angle
from bench3d.geometry.unproject import unproject
from bench3d_plugins.smoothap_lora.augment import augment
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

REPLAYED = 100
"""Pairs in an epoch of the published training."""
VIEW_DRAWS, PAIR_DRAWS = 10_000, 100
"""Tries before the data are said to hold no such pair."""
FEWEST_VIEWS = 10
"""Of a single set whose last views are held out."""
EXTENT_VIEWS, EXTENT_POINTS = 12, 2000


@dataclass(frozen=True, eq=False)
class TrainingView:
    """One image of a pair.

    Attributes:
        image: (H, W, 3) uint8.
        xy: (N, 2) float64 pixels.
        points: (N, 3) float32, the same points in the unit of the radii.
    """

    image: np.ndarray
    xy: np.ndarray
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingPair:
    """Two views that share surface points; `skipped` counts by reason what was drawn and left before them."""

    id: str
    views: tuple[TrainingView, TrainingView]
    skipped: Mapping[str, int]


class Pairs:
    """An endless numbered list of training pairs over sets with depth."""

    def __init__(self, sets: Sequence[ViewSet], settings: SmoothAPSettings, seed: int) -> None:
        self.sets = sets
        self.settings = settings
        self.seed = seed
        self.units = Units(sets, settings.unit)

    def pair(self, number: int) -> TrainingPair:
        """Pair `number`, from 0. Skipped are views too far apart, views without points, and pairs without positives.

        Raises:
            DataError: a file is missing or broken, or the sets hold no such pair.
        """
        skipped: Counter[str] = Counter()
        for attempt in range(PAIR_DRAWS):
            draws, changes = self._streams(number, attempt)
            index, first, second = draw_views(self.sets, self.settings.max_angle, draws, skipped)
            chosen = self.sets[index]
            views = [self._view(chosen.views[n], self.units.scale(index), draws, changes) for n in (first, second)]
            a, b = views
            if self.settings.shuffled:
                b = replace(b, points=b.points[changes.permutation(len(b.points))])
            if not len(a.points) or not len(b.points):
                skipped["no points"] += 1
            elif not share_points(a.points, b.points, self.settings.positive):
                skipped["no positives"] += 1
            else:
                name = f"{chosen.id}/{chosen.views[first].id}/{chosen.views[second].id}"
                return TrainingPair(name, (a, b), dict(skipped))
        raise DataError(
            f"{PAIR_DRAWS} random pairs of views have no common point within {self.settings.positive}.",
            "Check depth and cameras with `bench3d data check`, or set adapter.unit and adapter.positive.",
        )

    def _streams(self, number: int, attempt: int) -> tuple[np.random.Generator, np.random.Generator]:
        """Generators of views and points, and of what is changed in them."""
        if self.settings.as_published:
            first = derived_seed(self.seed, "replayed", (number + attempt) % REPLAYED)
        else:
            first = derived_seed(self.seed, "pair", number, attempt)
        second = derived_seed(self.seed, "augment", number, attempt)
        return np.random.default_rng(first), np.random.default_rng(second)

    def _view(
        self, view: PosedView, scale: float, draws: np.random.Generator, changes: np.random.Generator
    ) -> TrainingView:
        xy, points = random_points(view, self.settings.points, draws)
        points = (points / scale).astype(np.float32)
        image = load_rgb(view.image, view.size)
        if not self.settings.augment:
            return TrainingView(image, xy, points)
        mask = view_mask(view)
        picture = augment(image, np.ones(image.shape[:2], dtype=bool) if mask is None else mask, xy, changes)
        return TrainingView(picture.image, picture.xy, points[picture.kept])


class Units:
    """World units of one unit of the radii `positive` and `negative`, for each set.

    `world`: 1. `extent`: the longest side of a set's box, of the points that some of its views show; where there are
    no masks, of their middle 98 percent. `auto`: `world` where the first set's extent is 1 within a tenth, as that of
    Objaverse renderings is by definition, else `extent`.
    """

    def __init__(self, sets: Sequence[ViewSet], unit: str) -> None:
        self.sets = sets
        self.unit = unit
        self._scales: dict[int, float] = {}

    def scale(self, index: int) -> float:
        """Of set `index`."""
        if self.unit == "auto":
            self.unit = "world" if abs(self._extent(0) - 1) < 0.1 else "extent"
        return 1.0 if self.unit == "world" else self._extent(index)

    def _extent(self, index: int) -> float:
        if index not in self._scales:
            self._scales[index] = extent(self.sets[index])
        return self._scales[index]


def extent(views: ViewSet) -> float:
    """Longest side of a set in world units; see `Units`. DataError where it has none."""
    rng = np.random.default_rng(0)
    some = np.unique(np.linspace(0, len(views.views) - 1, EXTENT_VIEWS).round().astype(int))
    points = np.concatenate([random_points(views.views[i], EXTENT_POINTS, rng)[1] for i in some])
    share = 0.0 if views.views[0].mask is not None else 1.0
    sides = np.ptp(np.percentile(points, [share, 100 - share], axis=0), axis=0) if len(points) else np.zeros(3)
    if not sides.max() > 0:
        raise DataError(
            f"The depth maps of the set {views.id} show no surface.", "Check them with `bench3d data check`."
        )
    return float(sides.max())


def draw_views(
    sets: Sequence[ViewSet], max_angle: float, rng: np.random.Generator, skipped: Counter[str]
) -> tuple[int, int, int]:
    """A random set and two distinct views of it; pairs with a larger relative rotation are counted and drawn again.

    Raises:
        DataError: no pair is found.
    """
    for _ in range(VIEW_DRAWS):
        index = int(rng.integers(len(sets)))
        first, second = (int(n) for n in rng.choice(len(sets[index].views), 2, replace=False))
        if view_angle(sets[index].views[first], sets[index].views[second]) <= max_angle:
            return index, first, second
        skipped["angle"] += 1
    raise DataError(f"No two views of the training data are within {max_angle} degrees.", "Raise adapter.max_angle.")


def view_angle(a: PosedView, b: PosedView) -> float:
    """Relative rotation of two cameras in degrees."""
    return float(np.rad2deg(geodesic_angle(a.cam_T_world[:3, :3], b.cam_T_world[:3, :3])))


def share_points(a: np.ndarray, b: np.ndarray, radius: float) -> bool:
    """Whether any point of (N, 3) lies nearer than `radius` to one of (M, 3)."""
    distance, _ = cKDTree(b).query(a, distance_upper_bound=radius)
    return bool((distance < radius).any())


def random_points(view: PosedView, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`count` random pixels (N, 2) with a depth, on the mask where there is one, and their world points (N, 3).

    With replacement where there are fewer; none where there is none.
    """
    rows, columns, depth = known_depth(view)
    if not len(rows):
        return np.zeros((0, 2)), np.zeros((0, 3))
    chosen = rng.choice(len(rows), count, replace=len(rows) < count)
    xy = np.stack([columns[chosen] + 0.5, rows[chosen] + 0.5], axis=1)
    world = unproject(view, xy, depth[rows[chosen], columns[chosen]])
    seen = np.isfinite(world).all(axis=1)
    return xy[seen], world[seen]


def known_depth(view: PosedView) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of a view's pixels with a depth, on its mask where it has one; and the map (H, W).

    Raises:
        DataError: a file is missing, broken or of another size than the image.
    """
    if view.depth is None:
        raise DataError(f"The view of {view.image} has no depth.", "Complete the data set.")
    depth = sized(view, view.depth(), "depth")
    known = np.isfinite(depth) & (depth > 0)
    mask = view_mask(view)
    rows, columns = np.nonzero(known if mask is None else known & mask)
    return rows, columns, depth


def view_mask(view: PosedView) -> np.ndarray | None:
    """(H, W) bool, None where there is none; DataError as in `known_depth`."""
    return None if view.mask is None else sized(view, view.mask(), "mask").astype(bool)


def sized(view: PosedView, values: np.ndarray, what: str) -> np.ndarray:
    """`values`; DataError unless they have the size of the view's image."""
    if values.shape != view.size[::-1]:
        raise DataError(
            f"The {what} of {view.image} has {values.shape[1]}x{values.shape[0]} pixels, the image "
            f"{view.size[0]}x{view.size[1]}.",
            "Use the files as published, not resized.",
        )
    return values


def with_depth(sets: Sequence[ViewSet]) -> list[ViewSet]:
    """The sets of two views or more that all have depth. DataError where there is none."""
    usable = [s for s in sets if len(s.views) >= 2 and all(v.depth is not None for v in s.views)]
    if not usable:
        raise DataError(
            "smoothap-lora is trained on views with depth, and no set of the training data has it.",
            "Use renderings (`bench3d data render objaverse`), or captures with depth maps.",
        )
    return usable


def split_sets(sets: Sequence[ViewSet], held_out: float) -> tuple[list[ViewSet], list[ViewSet]]:
    """Training sets, and the last sets for held-out scores: that share, one at least, none where it is 0.

    Of a single set the last views are held out, two at least, where it has enough of them.
    """
    if held_out == 0:
        return list(sets), []
    if len(sets) > 1:
        count = min(len(sets) - 1, max(1, int(held_out * len(sets) + 1e-9)))
        return list(sets[:-count]), list(sets[-count:])
    only = sets[0]
    count = min(len(only.views) - 2, max(2, int(held_out * len(only.views) + 1e-9)))
    if len(only.views) < FEWEST_VIEWS:
        return [only], []
    return [replace(only, views=only.views[:-count])], [replace(only, views=only.views[-count:])]
