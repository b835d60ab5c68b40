"""Labelled rotations: matrices, clicked points, and what is wrong with a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from bench3d.errors import DataError
from bench3d.geometry.rotations import random_rotations
from bench3d.morphable.alignment_labels import advice, read_labels, rotation_of_points


def points_of(rotation: np.ndarray, noise: float = 0.0) -> dict[str, list[float]]:
    """Clicked points of an object that stands turned: its axes are the rows of `rotation`."""
    rng = np.random.default_rng(0)
    names = (("left", "right"), ("back", "front"), ("top", "bottom"))
    found = {}
    for axis, pair in enumerate(names):
        for name, sign in zip(pair, (1, -1), strict=True):
            found[name] = (
                np.array([5.0, -2, 1]) + sign * (axis + 1) * rotation[axis] + rng.normal(size=3) * noise
            ).tolist()
    return found


def write(path, table, form=json.dumps):
    path.write_text(form(table))
    return path


def test_points_give_the_rotation_into_left_back_top(tmp_path):
    # Raw frame: left is +y, back is +z, top is +x.
    rotation = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    table = {"car": {"1_2": points_of(rotation), "3_4": rotation.tolist(), "5_6": np.diag([2.0, 2, 2, 1]).tolist()}}
    for name, form in (("a.json", json.dumps), ("a.yaml", yaml.safe_dump)):
        found = read_labels(write(tmp_path / name, table, form))["car"]
        assert found["1_2"] == pytest.approx(rotation) and found["3_4"] == pytest.approx(rotation)
        assert found["5_6"] == pytest.approx(np.eye(3))  # a scale is taken off


def test_clicks_that_are_off_give_the_nearest_rotation():
    rotation = random_rotations(1, np.random.default_rng(1))[0]
    found = rotation_of_points(np.array(list(points_of(rotation, 0.05).values())).reshape(3, 2, 3), "x")
    assert found @ found.T == pytest.approx(np.eye(3)) and np.linalg.det(found) == pytest.approx(1)
    assert np.abs(found - rotation).max() < 0.1 and np.abs(found - rotation).max() > 1e-4


def test_advice_can_be_filled_in_and_read():
    text = advice("car", ["1_2", "3_4"])
    found = yaml.safe_load(text.replace("[x, y, z]", "[1, 2, 3]"))
    assert list(found["car"]) == ["1_2", "3_4"] and set(found["car"]["1_2"]) == set(points_of(np.eye(3)))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({**points_of(np.eye(3)), "left": [4.0, -2, 1], "right": [6.0, -2, 1]}, "left-handed"),
        ({k: v for k, v in points_of(np.eye(3)).items() if k != "top"}, "no point top"),
        ({**points_of(np.eye(3)), "top": [1, 2]}, "top in .* is not three numbers"),
        ({**points_of(np.eye(3)), "left": [5, -2, 1], "right": [5, -2, 1]}, "the same"),
        (np.diag([1.0, 1, -1]).tolist(), "mirrors"),
        (np.diag([1.0, 1, 2]).tolist(), "shears or stretches"),
        ([[1, 2], [3, 4]], "neither a 3x3"),
        ("front", "neither a 3x3"),
    ],
)
def test_a_wrong_label_is_named(tmp_path, label, message):
    with pytest.raises(DataError, match=message) as error:
        read_labels(write(tmp_path / "l.json", {"car": {"1_2": label}}))
    assert "l.json, car, 1_2" in str(error.value)


def test_a_wrong_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no label file"):
        read_labels(tmp_path / "none.yaml")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(tmp_path / "a.json")
    with pytest.raises(DataError, match="is no table"):
        read_labels(write(tmp_path / "b.json", {"car": [1]}))
    (tmp_path / "c.yaml").write_text("car: {1_2: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}")
    with pytest.raises(DataError, match="12, which is no text"):
        read_labels(tmp_path / "c.yaml")
