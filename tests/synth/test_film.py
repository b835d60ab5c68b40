import numpy as np
import pytest

from bench3d.geometry.camera import viewpoint_pose
from bench3d.synth.film import NOTHING, Actor, Backdrop, Film, TrackPoint
from bench3d.synth.instances import make_instance

SIZE = (96, 64)
KEY = (0, 2, 2, 900)


def placed(place, scale=1.0, yaw=0.0):
    pose = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    pose[:3, :3] = scale * np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    pose[:3, 3] = place
    return pose


@pytest.fixture(scope="module")
def film():
    """A car that turns, and a chair that stands before it in the second frame only; the camera moves."""
    car, chair = make_instance("car", KEY), make_instance("chair", (0, 3, 2, 901))
    stage = Backdrop(car, KEY)
    cameras = np.stack([viewpoint_pose(30.0 + 5 * t, 18.0, 0.0, 4.5) for t in range(2)])
    eyes = [-c[:3, :3].T @ c[:3, 3] for c in cameras]
    paths = [
        np.stack([placed((0.1 * t, 0, 0), yaw=0.2 * t) for t in range(2)]),
        np.stack([placed(eyes[0] * 0.5 + cameras[0][0, :3] * 3, 0.5), placed(eyes[1] * 0.5, 0.5)]),
    ]
    intrinsics = np.array([[120.0, 0, 48], [0, 120.0, 32], [0, 0, 1]])
    actors = [Actor(car, KEY, stage), Actor(chair, (0, 3, 2, 901), stage)]
    return Film(stage, actors, paths, cameras, intrinsics, SIZE)


def test_points_come_back_to_where_they_were_picked_and_lie_on_their_surface(film):
    shot = film.shoot(0)
    rng = np.random.default_rng(0)
    for layer in (-1, 0):
        points = film.pick(shot, 0, layer, 12, rng)
        pixels, seen = film.track(points, 0, shot)
        assert len(points) == 12
        assert seen.all()
        at = np.floor(2 * pixels).astype(int)
        assert (shot.layer[at[:, 1], at[:, 0]] == layer).all()
    vertices, faces = film.actors[0].instance.vertices, film.actors[0].instance.faces
    place = film.pick(shot, 0, 0, 1, rng)[0].place
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    away = np.abs(((place - a) * normal).sum(axis=1)) / np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
    assert away.min() < 1e-4


def test_what_something_nearer_covers_is_hidden(film):
    before, after = film.shoot(0), film.shoot(1)
    assert not (before.layer == 1).any()
    assert (after.layer == 1).any()
    points = film.pick(before, 0, 0, 200, np.random.default_rng(1))
    pixels, seen = film.track(points, 1, after)
    at = np.floor(2 * pixels).astype(int)
    inside = ((at >= 1) & (at < [2 * SIZE[0] - 1, 2 * SIZE[1] - 1])).all(axis=1)
    covered = np.array(
        [inside[n] and (after.layer[y - 1 : y + 2, x - 1 : x + 2] == 1).all() for n, (x, y) in enumerate(at)]
    )
    assert covered.any()
    assert not seen[covered].any()
    assert seen[~covered].any()


def test_points_behind_the_camera_and_outside_the_image_are_not_seen(film):
    shot = film.shoot(0)
    camera = film.cameras[0]
    back = np.linalg.inv(camera)
    behind, beside = (back[:3, :3] @ np.array(p) + back[:3, 3] for p in ([0, 0, -2.0], [50.0, 0, 4.0]))
    _, seen = film.track([TrackPoint(-1, behind), TrackPoint(-1, beside)], 0, shot)
    assert not seen.any()


def test_the_floor_s_depth_is_that_of_the_floor(film):
    double = np.diag([2.0, 2.0, 1.0]) @ film.intrinsics
    depth = film.stage.floor_depth(film.cameras[0], double, (2 * SIZE[0], 2 * SIZE[1]))
    rows, columns = np.nonzero(depth < NOTHING)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))], axis=1) @ np.linalg.inv(double).T
    back = np.linalg.inv(film.cameras[0])
    world = (rays * depth[rows, columns][:, None]) @ back[:3, :3].T + back[:3, 3]
    np.testing.assert_allclose(world[:, 2], film.stage.floor, atol=1e-4)
