"""Distances between surfaces on shapes whose answer is known, and rotations up to symmetry."""

import numpy as np
import pytest

from bench3d.geometry.camera import viewpoint_rotation
from bench3d.geometry.rotations import random_rotations
from bench3d.metrics import (
    SurfaceDistances,
    about_up,
    canonical_box,
    half_turn_flip,
    rotation_error_deg,
    sample_surface,
    symmetric_rotation_error_deg,
)

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_points_spread_over_a_mesh_by_area():
    """The square beside one four times as large: a fifth of the points, evenly over both of its triangles."""
    vertices = np.concatenate([SQUARE, 2 * SQUARE + [5, 0, 0]])
    points = sample_surface(vertices, np.concatenate([FACES, FACES + 4]), 5000, np.random.default_rng(0))
    small = points[points[:, 0] < 2]
    assert len(small) == 1000 and np.abs(points[:, 2]).max() == 0
    assert small[:, :2].mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.02)
    assert (small[:, 0] > small[:, 1]).mean() == pytest.approx(0.5, abs=0.01)
    assert small[:, 0].std() == pytest.approx(np.sqrt(1 / 12), abs=0.01)
    again = sample_surface(vertices, np.concatenate([FACES, FACES + 4]), 5000, np.random.default_rng(0))
    np.testing.assert_array_equal(points, again)


@pytest.mark.parametrize("vertices", [np.zeros((4, 3)), np.full((4, 3), np.nan)])
def test_a_mesh_without_area_has_no_points(vertices):
    with pytest.raises(ValueError, match="no area"):
        sample_surface(vertices, FACES, 10, np.random.default_rng(0))


def test_chamfer_and_f_score_are_hand_worked():
    """Predicted points lie 0 and 3 from the truth, true ones 0, 1 and 1 from the prediction."""
    predicted, truth = np.array([[0.0, 0, 0], [0, 0, 4]]), np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = SurfaceDistances.of(predicted, truth)
    assert found.to_truth.tolist() == [0, 3] and found.to_predicted.tolist() == [0, 1, 1]
    assert found.chamfer() == pytest.approx((1.5 + 2 / 3) / 2)
    assert found.f_score(1.0) == pytest.approx(2 * 0.5 * (1 / 3) / (0.5 + 1 / 3)), "1 is not below 1"
    assert found.f_score(2.0) == pytest.approx(2 * 0.5 / 1.5)
    assert found.f_score(1e-9) == pytest.approx(2 * 0.5 * (1 / 3) / (0.5 + 1 / 3))


def test_parallel_squares_lie_as_far_apart_as_they_do():
    rng = np.random.default_rng(0)
    below, above = (sample_surface(SQUARE + [0, 0, z], FACES, 20_000, rng) for z in (0, 0.3))
    assert SurfaceDistances.of(below, above).chamfer() == pytest.approx(0.3, abs=1e-3)
    lost = SurfaceDistances.of(np.full((3, 3), np.nan), above)
    assert lost.chamfer() == np.inf and lost.f_score(1.0) == 0


def test_the_canonical_box_has_its_longest_side_from_minus_one_to_one():
    centre, half = canonical_box(np.array([[0.0, 0, 0], [4, 1, 2]]))
    assert centre.tolist() == [2, 0.5, 1] and half == 2


def test_a_turn_that_the_object_does_not_show_costs_nothing():
    gt = viewpoint_rotation(20.0, 15.0, 5.0)
    turned = gt @ about_up(np.array(170.0))
    assert rotation_error_deg(turned, gt) == pytest.approx(170)
    assert symmetric_rotation_error_deg(turned, gt, np.array([0.0, 180.0])) == pytest.approx(10)
    assert symmetric_rotation_error_deg(turned, gt, np.zeros(1)) == pytest.approx(170)
    assert symmetric_rotation_error_deg(turned, gt, None) == pytest.approx(0, abs=1e-4)
    assert symmetric_rotation_error_deg(np.full((3, 3), np.nan), gt, None) == 180


def test_the_closed_form_of_a_body_of_revolution_is_the_least_over_all_turns():
    pred, gt = random_rotations(50, np.random.default_rng(1)), random_rotations(50, np.random.default_rng(2))
    steps = symmetric_rotation_error_deg(pred, gt, np.arange(0, 360, 0.25))
    exact = symmetric_rotation_error_deg(pred, gt, None)
    assert (exact <= steps + 1e-6).all() and np.abs(exact - steps).max() < 0.05


def test_azimuth_and_up_axis_agree():
    """A camera that goes round by 40 degrees sees what an object turned by -40 shows."""
    np.testing.assert_allclose(
        viewpoint_rotation(70.0, 10.0, 3.0), viewpoint_rotation(30.0, 10.0, 3.0) @ about_up(np.array(-40.0)), atol=1e-12
    )


def test_a_half_turn_flip_takes_front_for_back():
    gt = viewpoint_rotation(20.0, 15.0, 5.0)
    turns = about_up(np.array([0.0, 100.0, 149.0, 151.0, 180.0, 209.0]))
    assert half_turn_flip(gt @ turns, np.broadcast_to(gt, turns.shape)).tolist() == [False] * 3 + [True] * 3
