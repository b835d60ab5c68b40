"""Instances of the synthetic twins: determinism, canonical frame, front and back, closed meshes, keypoints, clouds."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from bench3d.errors import UsageError
from bench3d.synth import CATEGORIES
from bench3d.synth.cloud import surface_points
from bench3d.synth.instances import instance_seed, make_instance
from bench3d.synth.seeds import SPLITS, rng_of

EVERY = [(c, i) for c in CATEGORIES for i in range(8)]


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def samples(instance, count=12000):
    """Points on all faces, the hidden ones too."""
    rng = np.random.default_rng(0)
    v = instance.vertices[instance.faces].astype(float)
    area = np.linalg.norm(np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    return np.einsum("nk,nkc->nc", rng.dirichlet((1, 1, 1), count), v[face])


@pytest.mark.parametrize("category", CATEGORIES)
def test_same_seed_same_bytes_and_other_seed_other_shape(category):
    seeds = [instance_seed(category, "train", i, 3) for i in range(4)]
    first = [make_instance(category, s) for s in seeds]
    again = [make_instance(category, s) for s in seeds]
    sums = [digest(x.vertices, x.faces, x.face_material, *x.keypoints.values()) for x in first]
    assert sums == [digest(x.vertices, x.faces, x.face_material, *x.keypoints.values()) for x in again]
    assert [repr([m.colour for m in x.materials]) for x in first] == [
        repr([m.colour for m in x.materials]) for x in again
    ]
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize(("category", "index"), EVERY)
def test_canonical_frame_and_closed_mesh(category, index):
    x = make_instance(category, (17, index))
    assert x.vertices.dtype == np.float32 and x.faces.dtype == np.int32
    np.testing.assert_allclose(x.vertices.min(0), -x.vertices.max(0), atol=1e-5)
    assert np.abs(x.vertices).max() == pytest.approx(1.0, abs=1e-6)
    assert x.faces.min() == 0 and x.faces.max() == len(x.vertices) - 1
    assert x.face_material.min() >= 0 and x.face_material.max() < len(x.materials)
    assert all(d.material < len(x.materials) for m in x.materials for d in m.decals)
    edges = np.sort(np.stack([x.faces, np.roll(x.faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}, "every edge has two faces"
    # Every closed part looks outwards: its signed volume is positive.
    ends = x.faces.ravel(), np.roll(x.faces, 1, axis=1).ravel()
    graph = coo_matrix((np.ones(len(ends[0])), ends), shape=(len(x.vertices),) * 2)
    label = connected_components(graph, directed=False)[1][x.faces[:, 0]]
    v = x.vertices[x.faces].astype(float)
    volume = np.bincount(label, np.einsum("fi,fi->f", v[:, 0], np.cross(v[:, 1], v[:, 2])))
    assert volume.min() > -1e-9


@pytest.mark.parametrize("category", CATEGORIES)
def test_keypoints_lie_on_the_surface(category):
    for index in range(8):
        x = make_instance(category, (17, index))
        tree = cKDTree(np.concatenate([samples(x), x.vertices]))
        far = {k: tree.query(p)[0] for k, p in x.keypoints.items()}
        assert max(far.values()) < 0.1, (x.name, far)


def pairs(x, left, right):
    return x.keypoints[left], x.keypoints[right]


@pytest.mark.parametrize("index", range(10))
def test_front_is_minus_y_left_is_plus_x_and_up_is_plus_z(index):
    car = make_instance("car", (5, index)).keypoints
    assert car["left_front_light"][1] < -0.8 and car["left_back_trunk"][1] > 0.8
    assert all(car[f"{s}_{e}_wheel"][2] < 0 for s in ("left", "right") for e in ("front", "back"))
    assert car["left_front_wheel"][1] < 0 < car["left_back_wheel"][1]
    assert car["left_front_wheel"][0] > 0 > car["right_front_wheel"][0]
    assert car["upper_left_windshield"][2] > 0
    bus = make_instance("bus", (5, index)).keypoints
    assert bus["front_left_lower"][1] < -0.5 and bus["back_left_upper"][1] > 0.5
    assert bus["front_left_upper"][2] > 0 > bus["front_left_lower"][2]
    for category in ("bicycle", "motorcycle"):
        bike = make_instance(category, (5, index)).keypoints
        assert bike["left_front_wheel"][1] < 0 < bike["left_back_wheel"][1] and bike["head_center"][1] < 0
    chair = make_instance("chair", (5, index)).keypoints
    assert chair["back_upper_left"][1] > 0 and chair["back_upper_left"][2] > chair["seat_upper_left"][2]
    assert chair["leg_lower_left"][1] < chair["leg_upper_left"][1] and chair["leg_lower_left"][2] < -0.9
    couch = make_instance("couch", (5, index)).keypoints
    assert couch["seat_top_left"][1] > couch["seat_bottom_left"][1] and couch["top_left_corner"][2] > 0
    tv = make_instance("tv", (5, index)).keypoints
    assert tv["front_top_left"][1] < tv["back_top_left"][1] and tv["front_top_left"][0] > 0


@pytest.mark.parametrize("category", ["car", "bus", "tv", "chair", "bicycle", "motorcycle"])
def test_left_mirrors_right(category):
    for index in range(4):
        x = make_instance(category, (5, index))
        points = samples(x, 30000)
        distance = cKDTree(points).query(points[:4000] * (-1, 1, 1))[0]
        # Single parts (doors, chains, exhausts) may stand on one side only.
        assert np.quantile(distance, 0.85) < 0.05, x.name
        centre = {k: v for k, v in x.keypoints.items() if "left" not in k and "right" not in k}
        assert all(abs(v[0]) < 1e-2 for v in centre.values()) or category in ("bicycle", "motorcycle")


def test_a_category_has_several_kinds():
    for category in CATEGORIES:
        assert len({make_instance(category, (9, i)).name for i in range(24)}) >= 4


def test_unknown_category_is_a_usage_error():
    with pytest.raises(UsageError, match="aeroplane"):
        make_instance("aeroplane", 0)
    with pytest.raises(UsageError, match="dev"):
        instance_seed("car", "dev", 0, 0)


seed_arguments = st.tuples(
    st.sampled_from(CATEGORIES), st.sampled_from(SPLITS), st.integers(0, 10**6), st.integers(0, 10**6)
)


@given(seed_arguments, seed_arguments)
def test_two_instances_never_share_a_seed(a, b):
    same_stream = instance_seed(*a) == instance_seed(*b)
    assert same_stream == (a == b)
    if a != b:
        assert rng_of(instance_seed(*a)).integers(2**62) != rng_of(instance_seed(*b)).integers(2**62)


def test_streams_of_one_seed_are_apart():
    draws = {rng_of(*key).integers(2**62) for key in (((1,),), ((1, 0),), ((1,), 0), ((1, 0), 0), ((0, 1),), (1, 0, 0))}
    assert len(draws) == 6


def test_cloud_lies_on_the_outside():
    x = make_instance("car", (5, 1))
    points = surface_points(x, 6000, np.random.default_rng(0))
    assert points.shape == (6000, 3) and points.dtype == np.float32
    assert cKDTree(samples(x, 200000)).query(points)[0].max() < 0.03
    # The inside of the body (floor of the cabin, hidden ends of lofts) has no points: nothing is deep within.
    hull_core = np.abs(points) < 0.5 * np.abs(x.vertices).max(0)
    assert (hull_core.all(axis=1) & (points[:, 2] < 0.1 * x.vertices[:, 2].max())).mean() < 0.02
    spread = np.histogramdd(points, bins=4, range=[(-1, 1)] * 3)[0]
    assert (spread > 0).sum() >= 16
    np.testing.assert_array_equal(points, surface_points(x, 6000, np.random.default_rng(0)))
    noisy = surface_points(x, 6000, np.random.default_rng(0), noise=0.01)
    assert 0.005 < np.abs(noisy - points).mean() < 0.012
