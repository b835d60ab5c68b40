"""RANSAC of similarities: the score by hand, recovery, seeds, refinement, faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench3d.errors import DataError
from bench3d.geometry.rotations import geodesic_angle, random_rotations
from bench3d.geometry.similarity import apply_similarity, split_similarity, umeyama
from bench3d.morphable.alignment_ransac import Pairing, hypotheses, ransac, refine, score, weighted_similarity
from bench3d.morphable.alignment_settings import AlignmentSettings

# Corners of a unit square and a point above: the diameter is sqrt(3), the smallest distance 1.
POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
ALIKE = 1.0 - np.eye(5)  # every vertex looks like its own copy


def similarity(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.eye(4)
    out[:3, :3] = random_rotations(1, rng)[0] * np.exp(rng.uniform(-1, 1))
    out[:3, 3] = rng.normal(size=3) * 3
    return out


def shift(*by: float) -> np.ndarray:
    out = np.eye(4)
    out[:3, 3] = by
    return out[None]


def test_the_score_of_the_right_similarity_is_nought_and_of_a_small_shift_the_shift():
    pairing = Pairing.of(POINTS, POINTS, ALIKE)
    exact, _, _ = score(pairing, shift(0, 0, 0), AlignmentSettings())
    assert exact == pytest.approx([0.0], abs=1e-7)
    # Every nearest neighbour and every twin in appearance is then 0.1 away; in diameters 0.1 / sqrt(3).
    moved, geometry, appearance = score(pairing, shift(0, 0, 0.1), AlignmentSettings())
    assert moved == pytest.approx([-0.1 / 3**0.5], rel=1e-5)
    assert geometry == pytest.approx([0.1 / 3**0.5], rel=1e-5) and appearance == pytest.approx([0.1 / 3**0.5])


def test_appearance_and_geometry_are_weighed_and_cycles_count_down_by_hand():
    # Two points each, 2 apart; both of a look like the first of b: the second of a comes back 2 away, one diameter.
    a = np.array([[0.0, 0, 0], [2, 0, 0]])
    pairing = Pairing.of(a, a.copy(), np.array([[0.0, 3.0], [1.0, 2.0]]))
    assert pairing.to_b.tolist() == [0, 0] and pairing.to_a.tolist() == [0, 1]
    assert pairing.cycle_a.tolist() == [0, 1] and pairing.cycle_b.tolist() == [0, 1]
    w0, w1 = 2 / (1 + np.exp(-2.0)), 2 * np.exp(-2.0) / (1 + np.exp(-2.0))
    chosen = AlignmentSettings(appearance_weight=0.25, appearance_temperature=0.5)
    total, geometry, appearance = score(pairing, shift(0, 0, 0), chosen)
    # Geometry is exact. In appearance only a's second point is wrong, by one diameter, of four terms.
    assert geometry == pytest.approx([0.0], abs=1e-7)
    assert appearance == pytest.approx([w1 / 4]) and total == pytest.approx([-0.25 * w1 / 4])
    assert pairing.weights(0.5)[0] == pytest.approx([w0, w1])


def test_the_score_is_the_sum_over_pairs_written_plainly():
    rng = np.random.default_rng(3)
    a, b, distance = rng.normal(size=(9, 3)), rng.normal(size=(7, 3)) * 2, rng.random((9, 7))
    distance[2], distance[:, 4] = np.inf, np.inf
    chosen = AlignmentSettings(appearance_weight=0.3, geometry_temperature=0.7, appearance_temperature=0.4)
    pairing = Pairing.of(a, b, distance)
    transform = similarity(1)
    moved = apply_similarity(transform, a)
    diameter = max(np.linalg.norm(p - q) for p in b for q in b)
    own = max(np.linalg.norm(p - q) for p in a for q in a)
    rows = []  # geometric distance, appearance distance, cycle
    for i in range(9):
        j = int(distance[i].argmin())
        cycle = np.inf if i == 2 else np.linalg.norm(a[i] - a[distance[:, j].argmin()]) / own
        rows.append((min(np.linalg.norm(moved[i] - q) for q in b), np.linalg.norm(moved[i] - b[j]), cycle))
    for j in range(7):
        i = int(distance[:, j].argmin())
        cycle = np.inf if j == 4 else np.linalg.norm(b[j] - b[distance[i].argmin()]) / diameter
        rows.append((min(np.linalg.norm(p - b[j]) for p in moved), np.linalg.norm(moved[i] - b[j]), cycle))
    near, alike, cycles = np.array(rows).T
    near_weight, alike_weight = np.exp(-cycles / 0.7), np.exp(-cycles / 0.4)
    expected = 0.7 * (near * near_weight / near_weight.mean()).mean()
    expected += 0.3 * (alike * alike_weight / alike_weight.mean()).mean()
    assert score(pairing, transform[None], chosen)[0] == pytest.approx([-expected / diameter], rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_similarity_is_found_again(seed):
    rng = np.random.default_rng(seed)
    points, truth = rng.normal(size=(40, 3)), similarity(seed)
    fit = ransac(points, apply_similarity(truth, points), 1.0 - np.eye(40), AlignmentSettings(hypotheses=50), [seed])
    assert fit.transform == pytest.approx(truth, abs=1e-6 * np.abs(truth).max())
    assert fit.score == pytest.approx(0, abs=1e-6) and fit.spread == pytest.approx(0, abs=1e-3)


def test_most_appearances_may_be_wrong():
    rng = np.random.default_rng(0)
    points, truth = rng.normal(size=(150, 3)) * [3, 2, 1], similarity(5)
    target = apply_similarity(truth, points + rng.normal(size=points.shape) * 0.05)
    distance = 1.0 - np.eye(150)
    wrong = rng.permutation(150)[:90]
    distance[wrong, rng.integers(150, size=90)] = -1
    plain = AlignmentSettings()
    for chosen in (plain, plain.model_copy(update={"refine_best": 5})):
        found = ransac(points, target, distance, chosen, [0])
        error = geodesic_angle(split_similarity(found.transform)[1], split_similarity(truth)[1])
        assert np.rad2deg(error) < 5
    assert found.score > ransac(points, target, distance, plain, [0]).score


def test_the_same_seed_gives_the_same_answer_and_another_seed_other_hypotheses():
    rng = np.random.default_rng(1)
    a, b, distance = rng.normal(size=(30, 3)), rng.normal(size=(25, 3)), rng.random((30, 25))
    distance[4] = np.inf
    one, two, other = (ransac(a, b, distance, AlignmentSettings(), [seed, 7]) for seed in (0, 0, 1))
    assert one.transform.tobytes() == two.transform.tobytes() and one.score == two.score
    assert one.transform.tobytes() != other.transform.tobytes()


def test_a_symmetric_object_has_a_rival_half_a_turn_away():
    # A flat rectangle of points whose appearances say nothing about which end is which.
    x, y = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-1, 1, 5))
    points = np.stack([x.ravel(), y.ravel(), 0.05 * np.abs(x.ravel())], axis=1)
    mirrored = np.array([int(np.linalg.norm(points - p * [-1, -1, 1], axis=1).argmin()) for p in points])
    distance = np.ones((45, 45))
    odd = np.arange(45) % 2 == 1
    distance[np.arange(45), np.where(odd, mirrored, np.arange(45))] = 0
    fit = ransac(points, points, distance, AlignmentSettings(), [0])
    assert fit.rival_angle is not None and fit.rival_score is not None
    assert fit.rival_angle == pytest.approx(180, abs=15)


def test_refining_never_makes_a_score_worse():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(60, 3)) * [3, 2, 1]
    pairing = Pairing.of(points, apply_similarity(similarity(3), points), rng.random((60, 60)) - np.eye(60))
    for rough in hypotheses(pairing, AlignmentSettings(hypotheses=20), np.random.default_rng(0)):
        before, after = (
            score(pairing, t[None], AlignmentSettings())[0][0]
            for t in (rough, refine(pairing, rough, AlignmentSettings()))
        )
        assert after >= before


def test_weighted_similarity_is_umeyama_of_the_points_that_count():
    rng = np.random.default_rng(4)
    source, target = rng.normal(size=(12, 3)), rng.normal(size=(12, 3))
    assert weighted_similarity(source, target, np.full(12, 3.0)) == pytest.approx(umeyama(source, target))
    weights = np.array([1.0] * 8 + [0.0] * 4)
    assert weighted_similarity(source, target, weights) == pytest.approx(umeyama(source[:8], target[:8]))
    doubled = weighted_similarity(source, target, np.array([2.0] + [1.0] * 11))
    twice = np.r_[0, np.arange(12)]
    assert doubled == pytest.approx(umeyama(source[twice], target[twice]))


def test_what_cannot_be_aligned_is_said():
    same = np.ones((5, 5))
    same[:, 2] = 0  # everything looks like one vertex: no hypothesis is a similarity
    for distance, message in (
        (np.full((5, 5), np.inf), "No vertex has an appearance"),
        (same, "No hypothesis is a similarity"),
        (ALIKE[:3], "too few vertices"),
    ):
        with pytest.raises(DataError, match=message):
            ransac(POINTS[: len(distance)], POINTS, distance, AlignmentSettings(hypotheses=30), [0])
