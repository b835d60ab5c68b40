"""Depth to world points and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench3d.contracts import PosedView
from bench3d.geometry.rotations import so3_exp
from bench3d.geometry.unproject import depth_between, project, unproject, visible


def view(distortion: tuple[float, float, float, float] | None = None, turn: float = 0.0) -> PosedView:
    camera = np.eye(4)
    camera[:3, :3] = so3_exp(np.array([0.1, turn, -0.2]) if turn else np.zeros(3))
    camera[:3, 3] = (0.0, 0.0, 2.0)
    intrinsics = np.array([[100.0, 0, 50], [0, 100.0, 40], [0, 0, 1]])
    return PosedView("0", Path("x.png"), (100, 80), intrinsics, camera, distortion)


def test_a_pixel_by_hand() -> None:
    # 30 pixels right of the principal point at depth 2: 0.6 to the right; the world's origin lies 2 in front.
    np.testing.assert_allclose(unproject(view(), np.array([[80.0, 40.0]]), np.array([2.0])), [[0.6, 0.0, 0.0]])
    xy, depth = project(view(), np.array([[0.6, 0.2, 0.0]]))
    np.testing.assert_allclose(xy, [[80.0, 50.0]])
    np.testing.assert_allclose(depth, [2.0])


@pytest.mark.parametrize("distortion", [None, (0.1, -0.05, 0.01, -0.02)])
@given(seed=st.integers(0, 100))
def test_there_and_back(distortion: tuple[float, float, float, float] | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy, depth = rng.uniform(0, [100, 80], (20, 2)), rng.uniform(0.5, 4, 20)
    camera = view(distortion, turn=0.7)
    again, z = project(camera, unproject(camera, xy, depth))
    np.testing.assert_allclose(again, xy, atol=1e-6)
    np.testing.assert_allclose(z, depth, atol=1e-9)


def test_visible_is_what_the_depth_map_shows() -> None:
    depth = np.full((80, 100), 2.0, dtype=np.float32)
    depth[40, 80] = 1.0  # something in front of the second point
    world = np.array([[0.0, 0.0, 0.0], [0.605, 0.005, 0.0], [0.0, 0.0, -0.1], [5.0, 0.0, 0.0], [0.0, 0.0, -9.0]])
    xy, shown = visible(view(), world, depth, 0.05)
    np.testing.assert_allclose(xy[0], [50.0, 40.0])
    assert shown.tolist() == [True, False, False, False, False]
    assert visible(view(), world, depth, 0.05, relative_tolerance=0.03)[1].tolist() == [True, False, True, False, False]


def test_depth_between_four_pixels() -> None:
    depth = np.array([[1.0, 2.0], [3.0, 0.0]])
    assert depth_between(depth, np.array([[0.75, 0.5]])) == pytest.approx(0.0)  # the unknown pixel is one of the four
    depth[1, 1] = 4.0
    np.testing.assert_allclose(depth_between(depth, np.array([[0.75, 0.5], [1.0, 1.0], [0.0, 0.0]])), [1.25, 2.5, 1.0])
