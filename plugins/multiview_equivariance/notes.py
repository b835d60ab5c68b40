"""What the record says in words about an evaluation: how much of what, and the caveats of its ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench3d.contracts import ViewSet
from bench3d_plugins.multiview_equivariance.samples import SourceView
from bench3d_plugins.multiview_equivariance.settings import EquivarianceSettings


@dataclass
class Tally:
    """Counts of one run. `listed` is told what there is, `add` what was evaluated."""

    _said: list[str] = field(default_factory=list)
    _count: int = 0
    _evaluated: dict[str, tuple[int, int]] = field(default_factory=dict)

    def listed(self, sets: Sequence[ViewSet], samples: Sequence[SourceView], settings: EquivarianceSettings) -> None:
        """Notes what a category holds; a second listing replaces the first."""
        pairs = sum(len(s.targets) for s in samples)
        self._count = len(samples)
        self._said = [
            f"{len(samples)} source views of {len({s.views.id for s in samples})} sets, {pairs} ordered pairs.",
            *_truth(sets, settings),
            *_masks(sets),
            *_missing(sets),
        ]
        if len(sets) == 1:
            self._said.append(
                "There is a single scene: intervals are drawn over its source views and say nothing about other "
                "scenes; the averages per object are averages per source view."
            )

    def add(self, sample: str, correspondences: int, empty: int) -> None:
        """Counts an evaluated source view, and its pairs without correspondences; once, however often it is tried."""
        self._evaluated[sample] = (correspondences, empty)

    def sentences(self) -> list[str]:
        """All of it."""
        if not self._evaluated:
            return self._said
        done = len(self._evaluated)
        correspondences, empty = (sum(column) for column in zip(*self._evaluated.values(), strict=True))
        part = "" if done >= self._count else f" in the {done} source views of the last attempt"
        counted = f"{correspondences} correspondences{part}; {empty} pairs without any are left out."
        return [*self._said[:1], counted, *self._said[1:]]


def _truth(sets: Sequence[ViewSet], settings: EquivarianceSettings) -> list[str]:
    kinds = {s.truth for s in sets}
    said = []
    if "depth" in kinds:
        said.append(
            "Correspondences come from depth maps: they are as good as depths and cameras, and points at edges of "
            "surfaces and on steeply slanted ones are left out where the depth map differs."
        )
    if "tracks" in kinds:
        said.append(
            "Correspondences are points that a reconstruction tracked through both views: sparse, on texture that "
            "matched once already, hence easier than an average point of the surface."
        )
    if settings.tolerance is not None or settings.relative_tolerance is not None:
        said.append("The tolerance of the visibility test is not the data set's own.")
    return said


def _masks(sets: Sequence[ViewSet]) -> list[str]:
    views = [v for s in sets for v in s.views]
    masked = sum(v.mask is not None for v in views)
    return [f"{masked} of {len(views)} views have masks."] if 0 < masked < len(views) else []


def _missing(sets: Sequence[ViewSet]) -> list[str]:
    counts: dict[str, int] = {}
    for views in sets:
        for key, value in views.attributes.items():
            if key.startswith(("missing", "invalid")) and isinstance(value, int) and value:
                counts[key] = counts.get(key, 0) + value
    return [f"{key.replace('_', ' ')}: {count}, left out." for key, count in sorted(counts.items())]
