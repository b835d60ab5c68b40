"""The twin: in the layout, deterministic, and its points lie where its views say they see them."""

import numpy as np
import pytest

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.geometry.unproject import project
from bench3d_plugins.onepose.dataset import OnePoseLowTexture
from bench3d_plugins.onepose.twin import FIRST_INDEX, NOISE, write

SPEC = TwinSpec(categories=("chair",), views=1, image_size=32, objects=2)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twin") / "onepose_lowtexture"
    write(folder, SPEC, NullProgress(), 1)
    return folder


def test_it_reads_back_clean(twin):
    data = OnePoseLowTexture(twin)
    assert list(data.check()) == []
    assert data.synthetic
    assert [o.id for o in data.objects()] == ["0700-chair0-chair", "0701-chair1-chair"]
    assert [(len(o.references), len(o.queries)) for o in data.objects()] == [(4, 20), (4, 20)]


def test_points_project_onto_the_keypoints_of_the_views_that_see_them(twin):
    for one in OnePoseLowTexture(twin).objects():
        made = one.reconstruction()
        for view, seen in zip(one.references, made.observations, strict=True):
            assert len(seen.points) > 50
            xy, _ = project(view, made.points[seen.points])
            assert 0.5 * NOISE < np.median(np.linalg.norm(xy - seen.xy, axis=1)) < 2 * NOISE
        size = np.ptp(made.points, axis=0).max()
        assert 0.09 < size < 0.26, "metres"
        assert np.abs(np.ptp(one.corners, axis=0).max() - size) < 0.1 * size


def test_the_object_is_in_the_crop_and_the_two_sequences_differ(twin):
    one = OnePoseLowTexture(twin).objects()[0]
    for view in (*one.references, *one.queries):
        xy, depth = project(view, one.corners)
        assert (depth > 0).all()
        centre = (xy.min(0) + xy.max(0)) / 2
        assert np.abs(centre - np.array(view.size) / 2).max() < 0.12 * view.size[0]
    # Another turn: no query stands exactly where a reference stood.
    a = np.stack([v.cam_T_world for v in one.references])
    b = np.stack([v.cam_T_world for v in one.queries])
    assert np.abs(a[:, None] - b[None]).max(axis=(2, 3)).min() > 1e-3


def test_the_same_spec_gives_the_same_bytes(twin, tmp_path):
    again = tmp_path / "onepose_lowtexture"
    write(again, SPEC, NullProgress(), 1)
    names = sorted(p.relative_to(twin) for p in twin.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    for name in names:
        assert (twin / name).read_bytes() == (again / name).read_bytes(), name


def test_no_other_twin_draws_its_instances():
    from bench3d_plugins.objaverse.twin import FIRST_INDEX as OBJAVERSE

    assert FIRST_INDEX - OBJAVERSE >= 100_000
