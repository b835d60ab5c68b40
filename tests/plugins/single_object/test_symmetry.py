"""Symmetry of CAD models about the up axis, and the pose metrics that follow from it."""

import numpy as np
import pytest
from cube_samples import CUBE, FACES, Knowing, make, sample

from bench3d.geometry.camera import start_rotations
from bench3d.metrics import symmetric_rotation_error_deg
from bench3d_plugins.single_object.symmetry import symmetry_of


def prism(sides, height=1.0, reach=lambda angle: 1.0):
    """An upright prism: its vertices lie at `reach(angle)` from the axis."""
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array([reach(a) for a in angles])[:, None]
    low, high = (np.c_[ring, np.full(sides, z)] for z in (-height, height))
    faces = []
    for i in range(sides):
        j = (i + 1) % sides
        faces += [
            [i, j, sides + i],
            [j, sides + j, sides + i],
            [2 * sides, j, i],
            [2 * sides + 1, sides + i, sides + j],
        ]
    return np.concatenate([low, high, [[0, 0, -height], [0, 0, height]]]), np.array(faces)


@pytest.mark.parametrize(("sides", "turns"), [(3, [0, 120, 240]), (4, [0, 90, 180, 270]), (5, [0, 72, 144, 216, 288])])
def test_a_prism_looks_the_same_after_each_of_its_sides(sides, turns):
    assert symmetry_of(*prism(sides)).turns.tolist() == turns


def test_a_can_is_a_body_of_revolution_and_a_cup_with_a_handle_is_not():
    assert symmetry_of(*prism(64)).turns is None and symmetry_of(*prism(64)).order == np.inf
    handle = symmetry_of(*prism(64, reach=lambda a: 1.6 if a < 0.3 or a > 6.0 else 1.0))
    assert handle.turns.tolist() == [0]


def test_a_brick_has_two_and_one_with_a_slanted_front_has_one():
    brick = CUBE * [0.5, 1.0, 0.4]
    assert symmetry_of(brick, FACES).turns.tolist() == [0, 180]
    slanted = brick.copy()
    slanted[(CUBE[:, 1] < 0) & (CUBE[:, 2] > 0), 1] += 0.8
    assert symmetry_of(slanted, FACES).turns.tolist() == [0]
    assert symmetry_of(np.zeros((8, 3)), FACES).turns.tolist() == [0], "nothing to measure"


def brick_sample(folder, n, shape):
    return sample(folder, n, 0.0, mesh=lambda: (CUBE * shape, FACES))


def test_a_half_turn_of_a_brick_costs_nothing_up_to_symmetry(tmp_path):
    """Off by 170 degrees: 10 up to a brick's symmetry, a half-turn flip either way."""
    slanted = CUBE * [0.5, 1.0, 0.4]
    slanted[(CUBE[:, 1] < 0) & (CUBE[:, 2] > 0), 1] += 0.8
    samples = [brick_sample(tmp_path, 0, [0.5, 1.0, 0.4]), sample(tmp_path, 1, 0.0, mesh=lambda: (slanted, FACES))]
    model, task = Knowing(samples, error=170.0), make("pascal3d-pose")
    task.prepare(model, "car", None)
    brick, one_way = task.evaluate(model, samples, "cpu")
    assert (brick["symmetry_order"], one_way["symmetry_order"]) == (2, 1)
    for value, symmetric in ((brick, 10), (one_way, 170)):
        assert value["rotation_error_deg"] == pytest.approx(170, abs=0.01)
        assert value["symmetric_error_deg"] == pytest.approx(symmetric, abs=0.01) and value["half_turn_flip"] == 1


def test_chance_up_to_symmetry_counts_every_pose_that_looks_the_same(tmp_path):
    samples = [brick_sample(tmp_path, 0, [0.5, 1.0, 0.4])]
    model, task = Knowing(samples), make("pascal3d-pose")
    task.prepare(model, "car", None)
    (value,) = task.evaluate(model, samples, "cpu")
    errors = symmetric_rotation_error_deg(
        start_rotations(), np.broadcast_to(samples[0].cam_T_obj[:3, :3], (144, 3, 3)), np.array([0.0, 180.0])
    )
    assert value["chance_random_start_symmetric_30"] == pytest.approx((errors < 30).mean())
    assert value["chance_random_start_symmetric_30"] == pytest.approx(2 * value["chance_random_start_30"])
    assert value["chance_random_start_symmetric_median"] <= value["chance_random_start_median"]
