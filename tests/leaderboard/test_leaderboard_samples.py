"""Columns give the rows that the runner's own aggregation gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.contracts import MetricSpec
from bench3d.leaderboard.judge import aligned
from bench3d.leaderboard.samples import Columns, metric_rows
from bench3d.runner.rows import score_rows

NUMBERS = st.one_of(st.none(), st.floats(0, 100, allow_nan=False).map(lambda v: round(v, 3)))


@st.composite
def samples(draw):
    """Samples of two categories with a number of their own, or with parts, weights and perhaps clusters of parts."""
    with_parts, with_clusters = draw(st.booleans()), draw(st.booleans())
    found = []
    for i in range(draw(st.integers(1, 12))):
        sample = {
            "id": f"s{i}",
            "category": draw(st.sampled_from(["bus", "car"])),
            "cluster": f"c{draw(st.integers(0, 3))}",
        }
        if with_parts:
            count = draw(st.integers(0, 4))
            parts = {
                "error": draw(st.lists(NUMBERS, min_size=count, max_size=count)),
                "mass": draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)),
            }
            if with_clusters:
                parts["cluster"] = [f"p{draw(st.integers(0, 2))}" for _ in range(count)]
            sample["parts"] = parts
        else:
            sample["error"] = draw(NUMBERS)
            sample["mass"] = 1
        found.append(sample)
    return found


def spec(reduce, over, weight):
    return MetricSpec(
        name="m", value="error", reduce=reduce, unit="%", higher_is_better=True, threshold=30.0, over=over,
        weight=weight,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    samples(),
    st.sampled_from(["mean", "fraction_below", "fraction_at_most", "median"]),
    st.sampled_from(["samples", "parts", "clusters"]),
    st.sampled_from([None, "mass"]),
)
def test_every_category_scores_as_the_runner_does(values, reduce, over, weight):
    if reduce == "median":
        weight = None
    metric = spec(reduce, over, weight)
    rows = metric_rows(metric, Columns.of(values))
    assert len(set(rows.keys)) == len(rows.keys)
    for category in ("bus", "car"):
        expected = score_rows(metric, [v for v in values if v["category"] == category])
        mine = rows.categories == category
        assert bool(mine.any()) == bool(len(expected.values))
        if not mine.any():
            continue
        assert set(rows.clusters[mine]) == set(expected.clusters)
        if reduce == "median":
            assert np.median(rows.values[mine]) == pytest.approx(np.median(expected.values))
        else:
            got = np.average(rows.values[mine], weights=rows.weights[mine])
            assert got == pytest.approx(np.average(expected.values, weights=expected.weights), abs=1e-9)


def test_rows_of_two_runs_stand_side_by_side_by_their_ids():
    metric = spec("mean", "samples", None)
    one = [{"id": i, "category": "car", "cluster": i, "error": e} for i, e in (("a", 1.0), ("b", 2.0))]
    other = [{"id": i, "category": "car", "cluster": i, "error": e} for i, e in (("c", 5.0), ("b", 4.0))]
    groups = aligned([metric_rows(metric, Columns.of(s)) for s in (one, other)])
    table = dict(zip(groups["car"].clusters, groups["car"].values.tolist(), strict=True))
    assert table["b"] == [2.0, 4.0]
    assert table["a"][0] == 1.0 and np.isnan(table["a"][1]) and np.isnan(table["c"][0]) and table["c"][1] == 5.0


def test_a_sample_without_a_cluster_is_named():
    with pytest.raises(KeyError, match="cluster"):
        Columns.of([{"id": "a", "category": "car"}])


def test_weights_that_do_not_fit_are_an_error():
    sample = {"id": "a", "category": "car", "cluster": "a", "parts": {"error": [1.0, 2.0], "mass": [1]}}
    with pytest.raises(ValueError, match="mass"):
        metric_rows(spec("mean", "parts", "mass"), Columns.of([sample]))
