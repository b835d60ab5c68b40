"""Metrics against hand-worked values, scipy and their own properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bench3d.geometry.camera import viewpoint_rotation
from bench3d.geometry.rotations import random_rotations
from bench3d.metrics import (
    Rows,
    across_bootstrap,
    best_constant_rotation,
    bootstrap_draws,
    cluster_bootstrap,
    fraction_within_strict,
    median_error_deg,
    pairwise_rotation_error_deg,
    ratio_draws,
    rotation_error_deg,
)


def turn(degrees: float) -> np.ndarray:
    return Rotation.from_euler("z", degrees, degrees=True).as_matrix()


def test_rotation_error_of_a_quarter_turn_and_of_nonsense():
    assert rotation_error_deg(turn(90), np.eye(3)) == pytest.approx(90)
    assert rotation_error_deg(turn(180), np.eye(3)) == pytest.approx(180)
    assert rotation_error_deg(np.full((3, 3), np.nan), np.eye(3)) == 180
    assert rotation_error_deg(np.zeros((3, 3)), np.eye(3)) == 180
    broken = np.eye(3)
    broken[0, 0] = np.inf
    assert rotation_error_deg(broken, np.eye(3)) == 180


def test_rotation_error_ignores_the_length_of_rows():
    assert rotation_error_deg(turn(20) * 3.0, turn(50)) == pytest.approx(30)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_rotation_error_agrees_with_scipy_and_is_invariant(seed: int):
    rng = np.random.default_rng(seed)
    a, b, c = random_rotations(3, rng)
    expected = np.rad2deg((Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)).magnitude())
    assert rotation_error_deg(a, b) == pytest.approx(expected, abs=1e-6)
    assert rotation_error_deg(b, a) == pytest.approx(expected, abs=1e-6)
    assert rotation_error_deg(c @ a, c @ b) == pytest.approx(expected, abs=1e-6)
    assert pairwise_rotation_error_deg(a[None], b[None])[0, 0] == pytest.approx(expected, abs=1e-4)


def test_bootstrap_medians_are_the_medians_of_the_resamples():
    values, clusters = np.array([5.0, 1.0, 3.0, 9.0, 7.0]), ["a", "a", "b", "c", "c"]
    fast = bootstrap_draws(values, clusters, "median", np.random.default_rng(3), 200)
    weights = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, size=200)
    member = np.array([0, 0, 1, 2, 2])
    slow = [np.median(np.repeat(values, row[member])) for row in weights]
    np.testing.assert_array_equal(fast, slow)


def test_bootstrap_resamples_clusters_not_values():
    """Four clusters of 250 equal values: the spread is that of four coin flips, not of a thousand."""
    values = np.repeat([0.0, 1.0, 0.0, 1.0], 250)
    clustered = cluster_bootstrap(values, np.repeat(list("abcd"), 250).tolist(), "mean", seed=0)
    single = cluster_bootstrap(values, [str(i) for i in range(1000)], "mean", seed=0)
    assert clustered == (0.0, 1.0)
    assert single[1] - single[0] < 0.08


def test_bootstrap_interval_covers_at_its_level():
    """400 experiments of 40 clusters with a shared effect: 95 % intervals hold the truth in 90 to 98 % of them."""
    rng = np.random.default_rng(7)
    hit = 0
    for trial in range(400):
        effect = np.repeat(rng.standard_normal(40), 3)
        values = 2.0 + effect + rng.standard_normal(120)
        low, high = cluster_bootstrap(
            values, np.repeat(np.arange(40), 3).astype(str).tolist(), "mean", trial, draws=400
        )
        hit += low <= 2.0 <= high
    assert 0.90 <= hit / 400 <= 0.98


def test_bootstrap_is_deterministic_and_silent_without_clusters():
    values, names = np.arange(10.0), [str(i) for i in range(10)]
    assert cluster_bootstrap(values, names, "mean", 5) == cluster_bootstrap(values, names, "mean", 5)
    assert cluster_bootstrap(values, ["one"] * 10, "mean", 5) is None
    assert across_bootstrap({"car": Rows(values, names), "bus": Rows(values, ["one"] * 10)}, "mean", 0) is None


def test_macro_interval_is_narrower_than_its_categories_and_blind_to_their_order():
    rng = np.random.default_rng(0)
    groups = {name: Rows(rng.random(60) < 0.7, [str(i) for i in range(60)]) for name in ("car", "bus", "tv", "chair")}
    low, high = across_bootstrap(groups, "mean", 0)
    one = cluster_bootstrap(*groups["car"][:2], "mean", 0)
    assert 0.3 < (high - low) / (one[1] - one[0]) < 0.8
    assert across_bootstrap(dict(reversed(groups.items())), "mean", 0) == (low, high)


def test_weights_and_ways_across_categories():
    """By hand: weighted means 1.5 and 4 of weights 4 and 1; macro 2.75, by 3 and 1 samples 2.125, pooled 2."""
    rows = {
        "bus": Rows(np.array([1.0, 3.0, 1.0]), ["a", "b", "a"], np.array([2.0, 1.0, 1.0])),
        "car": Rows(np.array([4.0]), ["c"], np.array([1.0])),
    }
    numerator, denominator = ratio_draws(*rows["bus"][:2], np.random.default_rng(0), 50, rows["bus"].weights)
    assert set(np.unique(numerator / denominator)) <= {1.0, 1.5, 3.0}
    two = {
        name: Rows(np.repeat(r.values, 2), ["x", "y"] * len(r.values), np.repeat(r.weights, 2))
        for name, r in rows.items()
    }
    for across, value in (("macro", 2.75), ("samples", 2.125), ("pooled", 2.0)):
        assert across_bootstrap(two, "mean", 0, across=across, samples={"bus": 3, "car": 1}) == (value, value)


def test_chance_of_the_144_starts_is_about_three_in_a_hundred():
    """quick_preset.md, row (a): 3.3 to 3.5 % at 30 degrees and 0.2 to 0.3 % at 10."""
    a, e, t = np.meshgrid(np.arange(0, 360, 30), [-30, 0, 30, 60], [-30, 0, 30], indexing="ij")
    starts = viewpoint_rotation(a.ravel(), e.ravel(), t.ravel())
    rng = np.random.default_rng(0)
    gt = viewpoint_rotation(rng.uniform(0, 360, 500), rng.uniform(-10, 50, 500), rng.normal(0, 4, 500))
    assert 0.03 < fraction_within_strict(gt, starts, 30.0).mean() < 0.037
    assert 0.001 < fraction_within_strict(gt, starts, 10.0).mean() < 0.004
    assert 90 < median_error_deg(gt, starts).mean() < 130


def test_best_constant_is_the_mode_of_the_training_poses():
    training = np.stack([turn(d) for d in (0, 10, 20, 170)])
    rotation, accuracy = best_constant_rotation(np.stack([turn(100), turn(10), turn(170)]), training, 30.0)
    np.testing.assert_allclose(rotation, turn(10))
    assert accuracy == 0.75
