"""Pictures: coverage, light, composition and axes at pixels whose values are known."""

from __future__ import annotations

import numpy as np
import pytest

from bench3d.geometry.camera import viewpoint_pose
from bench3d.render.shade import AXIS_COLOURS, draw_axes, overlay, panel, shaded

K = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])
SIZE = (64, 48)
SQUARE = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def facing(distance=10.0, shift=0.0):
    pose = np.eye(4)
    pose[:3, 3] = (shift * distance / 100, 0, distance)
    return pose


def test_alpha_is_the_coverage():
    """The square spans x 22..42 and y 14..34; moved by a quarter pixel its columns 22 and 42 are partly covered."""
    rgba = shaded(SQUARE, FACES, facing(shift=0.25), K, SIZE, supersample=4)
    assert rgba.shape == (48, 64, 4)
    assert (rgba[14:34, 23:42, 3] == 255).all()
    assert rgba[20, 22, 3] == pytest.approx(255 * 0.75, abs=1)
    assert rgba[20, 42, 3] == pytest.approx(255 * 0.25, abs=1)
    assert (rgba[:14, :, 3] == 0).all()
    assert (rgba[:, :22, 3] == 0).all()
    # Colour does not darken towards a half-covered edge: it is not premultiplied.
    assert np.abs(rgba[20, 22, :3].astype(int) - rgba[20, 23, :3]).max() <= 2


def test_both_sides_are_lit_and_the_colour_is_kept():
    front = shaded(SQUARE, FACES, facing(), K, SIZE, colour=(0.8, 0.2, 0.1))
    back = shaded(SQUARE, FACES[:, ::-1], facing(), K, SIZE, colour=(0.8, 0.2, 0.1))
    assert (front == back).all()
    red, green, blue = front[24, 32, :3].astype(int)
    assert red > 150
    assert red > 2 * green > 2 * blue


def test_vertex_colours_vary_over_the_surface():
    colours = np.where(SQUARE[:, :1] < 0, [[0.9, 0.1, 0.1]], [[0.1, 0.1, 0.9]])
    rgba = shaded(SQUARE, FACES, facing(), K, SIZE, colour=colours).astype(int)
    assert rgba[24, 23, 0] > rgba[24, 23, 2] + 80
    assert rgba[24, 40, 2] > rgba[24, 40, 0] + 80


def test_a_round_surface_is_smooth_and_a_box_has_edges():
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)

    def prism(corners):
        ring = np.stack([np.cos(corners), np.sin(corners), 0 * corners], axis=1)
        points = np.concatenate([ring - [0, 0, 1], ring + [0, 0, 1]])
        n = len(corners)
        i, j = np.arange(n), (np.arange(n) + 1) % n
        return points, np.concatenate([np.stack([i, j, i + n], 1), np.stack([j, j + n, i + n], 1)])

    def largest_step(points, faces, azimuth):
        pose = viewpoint_pose(azimuth, 0, 0, 10.0)
        row = shaded(points, faces, pose, K * [[4], [4], [1]], (256, 192), supersample=1)[96].astype(int)
        inside = row[row[:, 3] == 255][3:-3, 0]
        return np.abs(np.diff(inside)).max()

    for azimuth in (-30, 60):
        assert largest_step(*prism(angles), azimuth) <= 6
        assert largest_step(*prism(angles[::6]), azimuth) >= 12


def test_nothing_in_view_is_transparent():
    assert not shaded(SQUARE, FACES, facing(-5.0), K, SIZE)[..., 3].any()


def test_overlay_by_hand():
    image = np.full((1, 3, 3), 100, dtype=np.uint8)
    rgba = np.array([[[200, 0, 50, 255], [200, 0, 50, 0], [200, 0, 50, 51]]], dtype=np.uint8)
    assert overlay(image, rgba).tolist() == [[[200, 0, 50], [100, 100, 100], [120, 80, 90]]]
    assert overlay(image, rgba, 0.5)[0, 0].tolist() == [150, 50, 75]


def test_axes_go_where_the_object_goes():
    """From the front, x (left) points to the image's right, z up, and y (back) away from the viewer."""
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    pose = viewpoint_pose(0, 0, 0, 10.0)
    out = draw_axes(image, pose, K, 1.5)
    assert (image == 0).all()
    # The lines run between two rows or columns, so that their pixels are mixed with the white rim.
    assert np.abs(out[24, 40].astype(int) - AXIS_COLOURS[0]).max() < 80
    assert np.abs(out[14, 32].astype(int) - AXIS_COLOURS[2]).max() < 80
    assert not out[24, 16:24].any()
    assert not out[34:40, 32].any()
    behind = pose.copy()
    behind[2, 3] = -10
    assert (draw_axes(image, behind, K) == 0).all()


def test_panel_lays_out_tiles_with_labels():
    tiles = [np.full((20, 60, 3), v, dtype=np.uint8) for v in (0, 90, 180)]
    plain = panel(tiles, columns=2, gap=4)
    assert plain.shape == (4 + 2 * 24, 4 + 2 * 64, 3)
    assert plain[14, 34].tolist() == [0] * 3
    assert plain[14, 98].tolist() == [90] * 3
    assert plain[38, 34].tolist() == [180] * 3
    assert plain[38, 98].tolist() == [255] * 3
    labelled = panel(tiles, ["one", "a label much longer than the tile is wide", ""], columns=2, gap=4)
    head = (labelled.shape[0] - plain.shape[0]) // 2
    assert head >= 11
    assert labelled[4 : 4 + head, 4:64].min() < 150  # ink
    assert labelled[4 : 4 + head, 128:].min() == 255  # does not run out of its tile
    with pytest.raises(ValueError, match="labels"):
        panel(tiles, ["one"])


def test_panel_takes_transparent_pictures():
    tile = np.zeros((10, 10, 4), dtype=np.uint8)
    assert (panel([tile], gap=2) == 255).all()
