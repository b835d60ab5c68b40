"""Textured renderings: hand-worked colours, depth, holes, filtering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench3d.render.mipmaps import DECODED, encode, mip_tables
from bench3d.render.textured import Surface, TexturedMesh, TexturedScene, smooth_normals

SIZE = (64, 64)
LENS = np.array([[70.0, 0, 32], [0, 70, 32], [0, 0, 1]])
POSE = np.eye(4)
POSE[2, 3] = 2.0


def card(texture=None, repeat=1.0, **look):
    """A square of side 1 at the origin, in the camera's frame: x right, y down; the texture stands upright."""
    vertices = np.array([[-0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, -0.5, 0], [-0.5, -0.5, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return TexturedMesh(
        vertices=vertices,
        faces=faces,
        normals=smooth_normals(vertices, faces),
        uv=np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * repeat,
        colours=np.ones((4, 3)),
        owner=np.zeros(2, dtype=int),
        surfaces=(Surface((1.0, 1.0, 1.0), texture, **look),),
    )


def plain(colour, alpha=255, side=16):
    return np.full((side, side, 4), (*colour, alpha), dtype=np.uint8)


def test_depth_and_mask_at_pixel_centres():
    view = TexturedScene(card()).render(POSE, LENS, SIZE)
    rows, columns = np.nonzero(view.mask)
    # The square spans 35 pixels around the centre, 14.5 to 49.5: centres from 14.5 to 49.5, the upper and left kept.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (14, 48, 14, 48) and view.mask.sum() == 35**2
    assert np.allclose(view.depth[view.mask], 2.0, atol=1e-6) and not view.depth[~view.mask].any()
    assert not view.rgb[~view.mask].any() and view.rgb[view.mask].min() > 100
    tilted = POSE.copy()
    tilted[:3, :3] = [[1, 0, 0], [0, np.cos(1), -np.sin(1)], [0, np.sin(1), np.cos(1)]]
    view = TexturedScene(card()).render(tilted, LENS, SIZE)
    v = (np.nonzero(view.mask)[0] + 0.5 - 32) / 70  # the plane z = 2 + tan(1) y, seen along the ray y = v z
    assert view.depth[view.mask] == pytest.approx(2 / (1 - np.tan(1) * v), rel=1e-5)


def test_the_texture_stands_upright_and_is_not_mirrored():
    picture = np.concatenate([np.concatenate([plain((200, 0, 0)), plain((0, 200, 0))], axis=1)] * 2)
    picture[:16, :16] = (0, 0, 200, 255)  # upper left
    rgb = TexturedScene(card(picture)).render(POSE, LENS, SIZE).rgb
    assert [int(rgb[row, column].argmax()) for row, column in ((22, 22), (22, 42), (42, 22), (42, 42))] == [2, 1, 0, 1]
    behind = POSE.copy()
    behind[:3, :3] = np.diag([-1.0, 1.0, -1.0])  # both sides are lit and painted; from behind left is right
    back = TexturedScene(card(picture)).render(behind, LENS, SIZE).rgb
    assert [int(back[row, column].argmax()) for row, column in ((22, 22), (22, 42), (42, 42))] == [1, 2, 0]


def test_light_is_as_worked_by_hand_and_nothing_is_blown_out():
    """The normal faces the camera: cosines to the lamps 1/sqrt 3, 3/sqrt 11, 1/sqrt 2 at squared distances 3, 11, 2."""
    irradiance = 3 * (1 / 3 / np.sqrt(3) + 3 / 11 / np.sqrt(11) + 0.1 / 2 / np.sqrt(2)) + 0.11
    light = 1 - np.exp(-1.75 * irradiance)
    view = TexturedScene(card(plain((128, 255, 60)))).render(POSE, LENS, SIZE)
    assert view.rgb[32, 32] == pytest.approx(encode(light * DECODED[[128, 255, 60]]), abs=1)
    close = POSE.copy()
    close[:3, 3] = (0.9, -0.9, 1.05)  # all but touches a lamp
    wide = np.diag([0.3, 0.3, 1.0]) @ LENS + np.array([[0, 0, 22.4], [0, 0, 22.4], [0, 0, 0]])
    near = TexturedScene(card(plain((128, 250, 60)))).render(close, wide, SIZE)
    assert near.mask.any() and (near.rgb <= (128, 250, 60)).all()


def test_vertex_colours_and_glow():
    mesh = card(plain((255, 255, 255)), glow=(0.0, 0.25, 0.0), glow_texture=plain((255, 188, 255)))
    dark = replace(mesh, colours=np.zeros((4, 3)))
    assert TexturedScene(dark).render(POSE, LENS, SIZE).rgb[32, 32].tolist() == [0, encode(0.25 * DECODED[188]), 0]
    halves = replace(mesh, colours=np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]]))
    rgb = TexturedScene(halves).render(POSE, LENS, SIZE).rgb.astype(int)
    assert rgb[32, 16, 0] > rgb[32, 46, 0] + 60 and rgb[32, 46, 2] > rgb[32, 16, 2] + 60


def test_a_hole_shows_what_is_behind():
    image = plain((200, 0, 0))
    image[:, :8, 3] = 40  # the left half
    front = card(image, cutout=0.5)
    back = card(plain((0, 200, 0)))
    both = TexturedMesh(
        vertices=np.concatenate([front.vertices, back.vertices + (0, 0, 0.3)]),
        faces=np.concatenate([front.faces, back.faces + 4]),
        normals=np.concatenate([front.normals, back.normals]),
        uv=np.concatenate([front.uv, back.uv]),
        colours=np.ones((8, 3)),
        owner=np.array([0, 0, 1, 1]),
        surfaces=(*front.surfaces, *back.surfaces),
    )
    view = TexturedScene(both).render(POSE, LENS, SIZE)
    assert (view.rgb[32, 22].argmax(), view.rgb[32, 42].argmax()) == (1, 0)
    assert (view.depth[32, 22], view.depth[32, 42]) == pytest.approx((2.3, 2.0), abs=1e-5)
    alone = TexturedScene(front).render(POSE, LENS, SIZE)
    assert not alone.mask[32, 22] and alone.mask[32, 42]
    assert TexturedScene(card(plain((9, 9, 9), alpha=10))).render(POSE, LENS, SIZE).mask[32, 32]  # no cut-out asked for


def test_a_fine_pattern_is_averaged_in_linear_light():
    """Black and white texels far below a pixel: every pixel is half of the light, not one or the other."""
    chess = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    image = np.dstack([chess] * 3 + [np.full_like(chess, 255)])
    fine = TexturedScene(card(image, repeat=40.0)).render(POSE, LENS, SIZE).rgb[16:46, 16:46]
    grey = TexturedScene(card(plain((188, 188, 188)), repeat=40.0)).render(POSE, LENS, SIZE).rgb[16:46, 16:46]
    assert np.abs(fine.astype(int) - grey).max() <= 3
    texels, table = mip_tables([image])
    assert table[0, :8, 1:].tolist() == [[2**k, 2**k] for k in (6, 5, 4, 3, 2, 1, 0, 0)]
    assert texels[table[0, 1, 0], 0] == 188  # half of the light in sRGB


def test_edges_stay_sharp_and_seams_do_not_show():
    angles = np.linspace(0, 2 * np.pi, 33)[:-1]
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices = np.concatenate([np.c_[ring, np.zeros(32)], np.c_[ring, np.ones(32)], [[0, 0, 1]]])
    k = np.arange(32)
    after = (k + 1) % 32
    side = np.concatenate([np.stack([k, after, k + 32], 1), np.stack([after, after + 32, k + 32], 1)])
    lid = np.stack([k + 32, after + 32, np.full(32, 64)], 1)
    faces = np.concatenate([side, lid])
    torn = vertices[faces].reshape(-1, 3)  # every corner a vertex of its own
    normals = smooth_normals(torn, np.arange(len(torn)).reshape(-1, 3))
    assert np.allclose(normals[64:], (0, 0, 1)) and np.allclose(normals[:64, :, 2], 0)
    outward = torn[: 64 * 3].reshape(64, 3, 3) * (1, 1, 0)
    assert (normals[:64] * outward).sum(axis=2).min() > 0.99


def test_a_million_faces_cost_seconds_and_leave_no_gap():
    n = 720
    grid = np.stack([*np.meshgrid(np.linspace(-0.5, 0.5, n), np.linspace(-0.5, 0.5, n)), np.zeros((n, n))], axis=-1)
    at = np.arange(n * n).reshape(n, n)
    faces = np.concatenate(
        [
            np.stack([at[:-1, :-1], at[:-1, 1:], at[1:, 1:]], -1).reshape(-1, 3),
            np.stack([at[:-1, :-1], at[1:, 1:], at[1:, :-1]], -1).reshape(-1, 3),
        ]
    )
    vertices = grid.reshape(-1, 3)
    mesh = TexturedMesh(
        vertices=vertices,
        faces=faces,
        normals=np.broadcast_to(np.float32([0, 0, 1]), (len(faces), 3, 3)),
        uv=np.zeros((len(vertices), 2)),
        colours=np.ones((len(vertices), 3)),
        owner=np.zeros(len(faces), dtype=int),
    )
    assert len(faces) > 10**6
    assert TexturedScene(mesh).render(POSE, LENS, SIZE).mask.sum() == 35**2
