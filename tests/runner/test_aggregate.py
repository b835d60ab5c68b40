"""Scores, groups and chance levels over samples, parts and clusters, against values worked out by hand."""

import dataclasses
import math

import pytest
from scipy import stats

from bench3d.contracts import MetricSpec
from bench3d.errors import PluginError
from bench3d.records import Measure, Record
from bench3d.runner import aggregate

VALUES = [
    {
        "id": "a", "category": "bus", "cluster": "1", "groups": {"size": "big"},
        "parts": {"error": [0.1, 0.3, None], "n": [1, 3, 5], "p": [0.5, 0.5, 0.5],
                  "groups": {"angle": ["0", "15", "15"]}},
    },
    {
        "id": "b", "category": "bus", "cluster": "2", "groups": {"size": "small"},
        "parts": {"error": [0.2], "n": [4], "p": [0.25], "groups": {"angle": ["0"]}},
    },
    {"id": "c", "category": "car", "cluster": "3", "parts": {"error": [0.4, 0.2], "n": [2, 0], "p": [0.5, 0.5]}},
    {"id": "d", "category": "car", "cluster": "3", "parts": {"error": [], "n": [], "p": []}},
]  # fmt: skip


def spec(**changes):
    base = {"name": "m", "value": "error", "reduce": "mean", "unit": "", "higher_is_better": False}
    return MetricSpec(**{**base, **changes})


def worked(metric, category="mean"):
    scores = {s.category: s for s in aggregate.scores([metric], VALUES, 0)}
    return scores[category].value


@pytest.mark.parametrize(
    ("changes", "bus", "car", "over_all"),
    [
        # samples: a = 0.2 (None left out), b = 0.2, c = 0.3; d has nothing
        ({"over": "samples"}, 0.2, 0.3, 0.25),
        ({"over": "samples", "weight": "n"}, 0.225, 0.4, 0.3125),
        ({"over": "parts"}, 0.2, 0.3, 0.25),
        ({"over": "parts", "weight": "n"}, (0.1 + 0.9 + 0.8) / 8, 0.4, (0.225 + 0.4) / 2),
        ({"over": "parts", "across": "pooled"}, 0.2, 0.3, 1.2 / 5),
        ({"over": "parts", "weight": "n", "across": "pooled"}, 0.225, 0.4, 2.6 / 10),
        # bus has two samples, car two, one of them empty
        ({"over": "parts", "across": "samples"}, 0.2, 0.3, 0.25),
        ({"over": "clusters"}, 0.2, 0.3, 0.25),
        ({"over": "clusters", "weight": "n"}, 0.225, 0.4, 0.3125),
        ({"reduce": "fraction_below", "threshold": 0.2, "over": "parts"}, 1 / 3, 0.0, 1 / 6),
        ({"reduce": "fraction_at_most", "threshold": 0.2, "over": "parts"}, 2 / 3, 0.5, 3.5 / 6),
        ({"reduce": "fraction_at_most", "threshold": 0.2, "over": "samples"}, 0.75, 0.5, 0.625),
    ],
)
def test_hand_worked_scores(changes, bus, car, over_all):
    metric = spec(**changes)
    found = [worked(metric, c) for c in ("bus", "car", "mean")]
    assert found == pytest.approx([bus, car, over_all])


def test_groups_of_samples_and_of_parts():
    rows = aggregate.groups([spec(over="parts"), spec(name="hidden", grouped=False)], VALUES, 0)
    found = {(r.by, r.bin): (r.value, r.n) for r in rows}
    assert {r.metric for r in rows} == {"m"}
    assert found == {
        ("angle", "0"): (pytest.approx(0.15), 2),
        ("angle", "15"): (pytest.approx(0.3), 1),
        ("size", "big"): (pytest.approx(0.2), 2),
        ("size", "small"): (pytest.approx(0.2), 1),
    }


def test_the_margin_over_chance_is_paired():
    metric = spec(
        reduce="fraction_at_most", threshold=0.2, over="parts", unit="%", higher_is_better=True, chance={"guess": "p"}
    )
    bus, car, mean = sorted(aggregate.chance_levels([metric], VALUES, 0), key=lambda c: c.category != "bus")
    assert (bus.value, bus.n) == (pytest.approx(100 * (0.5 * 3 + 0.25) / 4), 4)
    # Differences: cluster 1 has 0.5, 0 - 0.5, and an empty part, cluster 2 has 0.75: their mean is 0.25, each cluster
    # out moves it by 0.5 and 0.25, and 9/5 effective clusters leave 0.8 degrees of freedom.
    middle, half = 25.0, 100 * stats.t.ppf(0.975, 0.8) * math.sqrt(0.5 * (0.5**2 + 0.25**2))
    assert bus.margin == pytest.approx((middle - half, middle + half))
    assert car.margin is None and mean.margin is None  # one cluster


def test_a_part_may_name_its_own_cluster():
    value = {"id": "s", "category": "all", "cluster": "s", "parts": {"error": [1.0, 2.0], "cluster": ["x", "y"]}}
    (score, _) = aggregate.scores([spec(over="parts")], [value], 0)
    # Two clusters of one value: the mean has the standard error of 1/2, and one degree of freedom.
    assert score.interval == pytest.approx((1.5 - 12.7062 / 2, 1.5 + 12.7062 / 2), rel=1e-4)
    assert (score.clusters, score.interval_method) == (2, "student-t")


def test_what_cannot_be_reduced_is_a_sentence():
    for changes in ({"reduce": "mode"}, {"reduce": "median", "across": "pooled"}, {"weight": "nowhere"}):
        with pytest.raises(PluginError):
            aggregate.scores([spec(over="parts", **changes)], VALUES, 0)
    assert not any(math.isnan(s.value) for s in aggregate.scores([spec(over="parts")], VALUES, 0))


def hits(values, count, **changes):
    rows = [{"id": str(i), "category": "bus", "cluster": str(i), "hit": v} for i, v in enumerate(values)][:count]
    metric = spec(value="hit", unit="%", higher_is_better=True, **changes)
    return aggregate.scores([metric], rows, 0)[0]


def test_a_percentage_stays_between_0_and_100_and_has_a_width_where_all_are_correct():
    always = hits([1.0] * 40, 40)
    low, high = always.interval
    quantile = stats.t.ppf(0.975, 39)
    assert (low, high) == pytest.approx((100 * 40 / (40 + quantile**2), 100.0))
    assert (always.interval_method, always.clusters) == ("wilson", 40)
    assert hits([1.0] * 10, 10).interval_method == "student-t"
    assert hits([0.1, 0.4] * 20, 40).interval_method == "wilson"
    # A mean of means of hits. An error in % may be above 100, and is none.
    errors = [{"id": str(i), "category": "c", "cluster": str(i), "error": 0.1 + i % 3} for i in range(40)]
    assert aggregate.scores([spec(unit="%")], errors, 0)[0].interval_method == "bootstrap"


def test_the_metrics_of_a_record_score_as_those_of_the_task():
    metric = spec(reduce="fraction_below", threshold=0.2, over="parts", chance={"guess": "p"}, tolerance=0.5)
    record = Record.model_construct(metrics=[Measure(**dataclasses.asdict(metric))])
    assert aggregate.specs_of(record) == [metric]
