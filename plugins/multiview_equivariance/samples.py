"""Source views with their targets: which pairs there are, their view angles, and which a limit keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench3d.contracts import ViewSet
from bench3d.geometry.rotations import geodesic_angle
from bench3d_plugins.multiview_equivariance.settings import EquivarianceSettings

WIDE_ABOVE, WIDE_BIN, NARROW_BIN = 60.0, 15, 5
GOLDEN = 0.6180339887498949
ROUNDING = 1e-6  # degrees


@dataclass(frozen=True, eq=False)
class SourceView:
    """One view whose points are looked for in others of its set.

    Attributes:
        cluster: the set, or the view itself where the data set has a single set.
        source: index of the view in `views.views`.
        targets: indices of the other views, `angles` their view angles in degrees and `bins` the names of these.
    """

    id: str
    category: str
    cluster: str
    views: ViewSet
    source: int
    targets: tuple[int, ...]
    angles: tuple[float, ...]
    bins: tuple[str, ...]


def source_views(
    sets: Sequence[ViewSet], category: str, settings: EquivarianceSettings, limit: int | None
) -> list[SourceView]:
    """Every view of every set that has a target, set by set; `limit` of them evenly spread over the sets.

    The bins depend on the whole data set, never on the limit.
    """
    angles = [view_angles(s, settings.angle) for s in sets]
    reach = settings.max_angle + ROUNDING
    widest = max((float(np.max(a, initial=0.0, where=a <= settings.max_angle)) for a in angles), default=0.0)
    width = bin_width(settings, widest)
    found = []
    for n, index in ((n, index) for n, kept in enumerate(_spread(sets, limit)) for index in kept):
        row = angles[n][index]
        targets = [t for t in range(len(row)) if t != index and row[t] <= reach]
        if targets:
            name = f"{sets[n].id}/{sets[n].views[index].id}"
            found.append(
                SourceView(
                    id=name,
                    category=category,
                    cluster=sets[n].id if len(sets) > 1 else name,
                    views=sets[n],
                    source=index,
                    targets=tuple(targets),
                    angles=tuple(float(row[t]) for t in targets),
                    bins=tuple(bin_name(float(row[t]), width) for t in targets),
                )
            )
    return found


def view_angles(views: ViewSet, kind: str) -> np.ndarray:
    """(V, V) degrees between the views of a set: of their optical axes ("axes"), or of the "rotation" between them."""
    if not views.views:
        return np.zeros((0, 0))
    rotations = np.stack([v.cam_T_world[:3, :3] for v in views.views])
    if kind == "rotation":
        return np.rad2deg(geodesic_angle(rotations[:, None], rotations[None]))
    axes = rotations[:, 2]
    cross = np.linalg.norm(np.cross(axes[:, None], axes[None]), axis=-1)
    return np.rad2deg(np.arctan2(cross, axes @ axes.T))


def bin_width(settings: EquivarianceSettings, widest: float) -> int:
    """Degrees per bin, by the widest pair of the data set where the setting is "auto"."""
    if settings.angle_bin != "auto":
        return settings.angle_bin
    return WIDE_BIN if widest > WIDE_ABOVE else NARROW_BIN


def bin_name(angle: float, width: int) -> str:
    """Such as "030-045". Regular views lie exactly on a bin's edge, where rounding must not choose: they go up."""
    last = -(-180 // width) - 1
    low = min(int((angle + ROUNDING) // width), last) * width
    return f"{low:03d}-{min(low + width, 180):03d}"


def _spread(sets: Sequence[ViewSet], limit: int | None) -> list[list[int]]:
    """View indices to keep of every set.

    With fewer than one view a set, sets are taken evenly; the views then follow the golden ratio, so that not every
    set gives its first one.
    """
    counts = [len(s.views) for s in sets]
    if limit is None or limit >= sum(counts):
        return [list(range(count)) for count in counts]
    kept: list[list[int]] = [[] for _ in sets]
    shares = [-(-limit * (n + 1) // len(sets)) + (-limit * n // len(sets)) for n in range(len(sets))]
    for n, (count, share) in enumerate(zip(counts, shares, strict=True)):
        wanted = min(share, count)
        phase = (n * GOLDEN) % 1.0
        kept[n] = sorted({int((k + phase) * count / wanted) for k in range(wanted)})
    return kept
