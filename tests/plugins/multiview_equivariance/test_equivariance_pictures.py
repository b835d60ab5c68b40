"""Pictures of multiview equivariance: what they are drawn from, and that they are drawn."""

import numpy as np
import pytest
from equivariance_scenes import PointEncoder, Sets, opened, plane_set, values_of
from PIL import Image

from bench3d_plugins.multiview_equivariance.curve import gather, score, short
from bench3d_plugins.multiview_equivariance.pictures import spread, typical


def value(source, cluster, rows):
    """A value whose parts are (bin, n, ape, chance)."""
    bins, n, ape, chance = (list(column) for column in zip(*rows, strict=True))
    return {
        "id": source, "cluster": cluster, "set": cluster,
        "parts": {"n": n, "ape": ape, "chance_ape": chance, "groups": {"angle": bins}},
    }  # fmt: skip


def test_a_bin_is_pooled_over_correspondences():
    rows = gather([value("a", "x", [("000-015", 10, 0.1, 0.5), ("015-030", 1, 0.9, 0.5)]),
                   value("b", "y", [("000-015", 30, 0.3, 0.7)])])  # fmt: skip
    point = score(rows, "000-015", "ape")
    assert (point.value, point.chance) == pytest.approx((25.0, 65.0))
    assert point.interval is not None and 10 <= point.interval[0] <= 25 <= point.interval[1] <= 30
    assert score(rows, "015-030", "ape").interval is None, "one cluster"


def test_drawn_points_are_far_apart_and_all_different():
    cloud = np.concatenate([np.random.default_rng(0).normal(0, 0.01, (500, 2)), [[9.0, 9], [9, -9], [-9, 0]]])
    chosen = spread(cloud, 5)
    assert len(set(chosen.tolist())) == 5 and {500, 501, 502} <= set(chosen.tolist())
    assert spread(cloud[:2], 5).tolist() in ([0, 1], [1, 0]) and len(spread(cloud[:0], 5)) == 0


def test_counts_are_short():
    assert [short(n) for n in (0, 950, 12_300, 4_520_000)] == ["0", "950", "12.3k", "4.5M"]


def test_a_plot_and_typical_pairs_are_drawn(tmp_path):
    views = plane_set(tmp_path, angles=(-30.0, -10.0, 0.0, 25.0))
    task = opened(PointEncoder(views), search_stride=4, query_stride=8)
    values = values_of(task, views)
    samples = task.samples(Sets(views), "all", None)
    chosen = typical(samples, values)
    assert [p.bin for p in chosen] == ["010-015", "025-030", "030-035", "055-060"]
    assert [(p.sample.views.views[p.sample.source].id, p.target) for p in chosen[-1:]] in ([("v0", 3)], [("v3", 0)])
    made = list(task.pictures(None, samples, values, tmp_path / "out", "cpu"))
    assert [p.name for p in made[:2]] == ["error-against-angle.png", "01-matches-010-015.png"] and len(made) == 5
    for path in made:
        with Image.open(path) as image:
            assert min(image.size) > 500 and len(image.convert("RGB").getcolors(1 << 24)) > 100


def test_no_values_no_pictures(tmp_path):
    assert list(opened(PointEncoder()).pictures(None, [], [], tmp_path, "cpu")) == []
