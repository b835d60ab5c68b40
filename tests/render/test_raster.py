"""The CPU rasteriser against hand-worked values and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from bench3d.render.raster import rasterize


def to_clip(pixels, size, w=1.0, z=0.0):
    """Pixel coordinates (V, 2) and z/w to clip space (1, V, 4) with the given w."""
    h, width = size
    pixels = np.asarray(pixels, dtype=np.float64)
    ndc = np.stack([2 * pixels[:, 0] / width - 1, 2 * pixels[:, 1] / h - 1], axis=1)
    w = np.broadcast_to(w, len(pixels))
    z = np.broadcast_to(z, len(pixels))
    return np.concatenate([ndc * w[:, None], (z * w)[:, None], w[:, None]], axis=1).astype(np.float32)[None]


CORNER = [(0, 0), (4, 0), (0, 4)]


def test_one_triangle_by_hand():
    clip = to_clip(CORNER, (4, 4), z=np.array([0.0, 0.5, 0.25]))
    raster = rasterize(clip, np.array([[0, 1, 2]]), (4, 4))
    assert raster.shape == (1, 4, 4, 4)
    assert raster.dtype == np.float32
    # The centres with x + y = 4 lie on the hypotenuse, a right edge: they are not covered.
    inside = np.add.outer(np.arange(4), np.arange(4)) < 3
    assert (raster[0, ..., 3] == inside).all()
    assert (raster[0, ~inside] == 0).all()
    assert raster[0, 0, 0] == pytest.approx([0.75, 0.125, 0.125 * 0.5 + 0.125 * 0.25, 1])
    assert raster[0, 0, 2] == pytest.approx([0.25, 0.625, 0.625 * 0.5 + 0.125 * 0.25, 1])  # row 0, column 2
    assert raster[0, 2, 0] == pytest.approx([0.25, 0.125, 0.125 * 0.5 + 0.625 * 0.25, 1])


def test_the_other_half_has_the_hypotenuse():
    raster = rasterize(to_clip([(4, 0), (4, 4), (0, 4)], (4, 4)), np.array([[0, 1, 2]]), (4, 4))
    assert (raster[0, ..., 3] == (np.add.outer(np.arange(4), np.arange(4)) >= 3)).all()


def test_perspective_weights_by_hand():
    raster = rasterize(to_clip(CORNER, (4, 4), w=np.array([1.0, 2.0, 4.0])), np.array([[0, 1, 2]]), (4, 4))
    shares = np.array([0.75, 0.125 / 2, 0.125 / 4])
    assert raster[0, 0, 0, :2] == pytest.approx(shares[:2] / shares.sum(), rel=1e-6)


@pytest.mark.parametrize("face", [[0, 1, 2], [2, 1, 0]])
def test_orientation_does_not_cull(face):
    assert (rasterize(to_clip(CORNER, (4, 4)), np.array([face]), (4, 4))[..., 3] > 0).sum() == 6


def test_nearest_wins_and_ties_go_to_the_lower_id():
    near, far = to_clip(CORNER, (4, 4), z=-0.5), to_clip(CORNER, (4, 4), z=0.5)
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    covered = rasterize(near, faces[:1], (4, 4))[..., 3] > 0
    assert (rasterize(np.concatenate([far, near], axis=1), faces, (4, 4))[covered][:, 3] == 2).all()
    assert (rasterize(np.concatenate([near, far], axis=1), faces, (4, 4))[covered][:, 3] == 1).all()
    assert (rasterize(np.concatenate([near, near], axis=1), faces, (4, 4))[covered][:, 3] == 1).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), perspective=st.booleans())
def test_neighbours_cover_every_pixel_exactly_once(seed, perspective):
    """A triangulated plane whose vertices and edges hit pixel centres: no gap, no pixel twice."""
    rng = np.random.default_rng(seed)
    points = np.unique(rng.integers(0, 33, size=(40, 2)) / 2, axis=0)
    points = np.concatenate([points, [[-3, -3], [20, -4], [-5, 19], [21, 22]]])
    w = rng.uniform(0.5, 3, size=len(points)) if perspective else 1.0
    clip = to_clip(points, (16, 16), w=w)
    count = np.zeros((16, 16))
    for face in Delaunay(points).simplices:
        count += rasterize(clip, face[None], (16, 16))[0, ..., 3]
    assert (count == 1).all()


def soup(rng, vertices=40, faces=60, batch=1, size=(32, 32)):
    clip = np.concatenate(
        [
            to_clip(
                rng.uniform(-4, 36, (vertices, 2)),
                size,
                rng.uniform(0.5, 4, vertices),
                rng.uniform(-0.9, 0.9, vertices),
            )
            for _ in range(batch)
        ]
    )
    return clip, np.array([rng.choice(vertices, 3, replace=False) for _ in range(faces)], dtype=np.int32)


@pytest.mark.parametrize("size", [(32, 32), (17, 200)])
def test_a_batch_is_its_single_images(size):
    clip, faces = soup(np.random.default_rng(0), batch=5, size=size)
    together = rasterize(clip, faces, size)
    assert (together[..., 3] > 0).any()
    for b in range(5):
        assert (rasterize(clip[b : b + 1], faces, size)[0] == together[b]).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), dx=st.integers(-9, 9), dy=st.integers(-9, 9))
def test_whole_pixel_translation_shifts_the_raster(seed, dx, dy):
    """Vertices on a 1/8 pixel grid: all arithmetic is exact, so ids agree to the bit, weights to float32 rounding."""
    rng = np.random.default_rng(seed)
    points = rng.integers(10 * 8, 54 * 8, size=(20, 2)) / 8
    faces = np.array([rng.choice(20, 3, replace=False) for _ in range(15)])
    z = rng.integers(-8, 8, size=20) / 16
    first = rasterize(to_clip(points, (64, 64), z=z), faces, (64, 64))[0]
    second = rasterize(to_clip(points + [dx, dy], (64, 64), z=z), faces, (64, 64))[0]
    shifted = np.roll(first, (dy, dx), axis=(0, 1))
    assert (second[..., 3] == shifted[..., 3]).mean() > 0.999  # depths of crossing faces may tie differently
    same = second[..., 3] == shifted[..., 3]
    assert np.abs(second - shifted)[same].max() < 1e-5


def test_what_cannot_be_drawn_is_dropped():
    face = np.array([[0, 1, 2]])
    good = to_clip(CORNER, (4, 4))
    for vertex, value in ((0, 0.0), (1, -1.0), (2, np.nan), (2, np.inf)):
        bad = good.copy()
        bad[0, vertex, 3] = value
        assert not rasterize(bad, face, (4, 4)).any()
    bad = good.copy()
    bad[0, 1, 0] = np.nan
    assert not rasterize(bad, face, (4, 4)).any()
    assert not rasterize(to_clip(CORNER, (4, 4), z=1.5), face, (4, 4)).any()
    assert not rasterize(to_clip([(0, 0), (4, 4), (2, 2)], (4, 4)), face, (4, 4)).any()
    assert not rasterize(good, np.zeros((0, 3), dtype=np.int32), (4, 4)).any()
    assert rasterize(good[:0], face, (4, 4)).shape == (0, 4, 4, 4)


def test_a_huge_triangle_covers_everything():
    raster = rasterize(to_clip([(-1e6, -1e6), (3e6, -1e6), (-1e6, 3e6)], (8, 8)), np.array([[0, 1, 2]]), (8, 8))
    assert (raster[..., 3] == 1).all()


def test_wrong_input_is_refused():
    good = to_clip(CORNER, (4, 4))
    with pytest.raises(ValueError, match="face indices"):
        rasterize(good, np.array([[0, 1, 3]]), (4, 4))
    with pytest.raises(ValueError, match="face indices"):
        rasterize(good, np.array([[0, 1, -1]]), (4, 4))
    with pytest.raises(ValueError, match="clip must be"):
        rasterize(good[0], np.array([[0, 1, 2]]), (4, 4))
    with pytest.raises(ValueError, match="faces must be"):
        rasterize(good, np.array([[0, 1]]), (4, 4))
