"""Rotations against SciPy and by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bench3d.geometry.rotations import geodesic_angle, nearest_rotation, random_rotations, so3_exp

vectors = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)


@given(vectors)
def test_exponential_agrees_with_scipy(vector: np.ndarray) -> None:
    np.testing.assert_allclose(so3_exp(vector), Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@given(vectors, vectors)
def test_angle_agrees_with_scipy(a: np.ndarray, b: np.ndarray) -> None:
    ra, rb = Rotation.from_rotvec(a), Rotation.from_rotvec(b)
    expected = (ra.inv() * rb).magnitude()
    np.testing.assert_allclose(geodesic_angle(ra.as_matrix(), rb.as_matrix()), expected, atol=1e-7)


def test_angle_is_exact_where_arccos_is_not() -> None:
    tiny, half = so3_exp(np.array([0, 0, 1e-9])), so3_exp(np.array([0, np.pi, 0]))
    np.testing.assert_allclose(geodesic_angle(np.eye(3), tiny), 1e-9, rtol=1e-6)
    np.testing.assert_allclose(geodesic_angle(np.eye(3), half), np.pi)


def test_non_finite_counts_as_the_worst() -> None:
    broken = np.stack([np.eye(3), np.full((3, 3), np.nan)])
    np.testing.assert_allclose(geodesic_angle(broken, np.eye(3)), [0, np.pi])


def test_random_rotations_are_uniform() -> None:
    """Mean angle between uniform rotations is pi/2 + 2/pi = 126.5 degrees."""
    rotations = random_rotations(4000, np.random.default_rng(0))
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (4000, 3, 3)), atol=1e-12
    )
    angles = geodesic_angle(rotations[:2000], rotations[2000:])
    assert abs(angles.mean() - (np.pi / 2 + 2 / np.pi)) < 0.03


def test_nearest_rotation_undoes_noise_and_never_mirrors() -> None:
    rng = np.random.default_rng(1)
    rotations = random_rotations(50, rng)
    noisy = nearest_rotation(rotations + 0.01 * rng.standard_normal(rotations.shape))
    assert geodesic_angle(rotations, noisy).max() < 0.05
    np.testing.assert_allclose(np.linalg.det(nearest_rotation(-rotations)), 1)
