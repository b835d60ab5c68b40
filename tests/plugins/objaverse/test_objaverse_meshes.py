"""Meshes rendered in the layout of Objaverse renderings: read back, resumed, in parallel, with faults."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from textured_cube import SIDES, write_glb, write_obj

from bench3d.contracts import NullProgress
from bench3d.data.images import load_rgb
from bench3d.errors import DataError, UsageError
from bench3d.geometry.camera import project
from bench3d_plugins.objaverse.dataset import Objaverse
from bench3d_plugins.objaverse.meshes import MARK, write

SAMPLES = os.environ.get("BENCH3D_REAL_SAMPLES")
SIDE = 96


def render(root, meshes, workers=1, size=SIDE, **options):
    return write(root, meshes, NullProgress(), workers, size=size, **options)


def tree(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    return {"cube": write_obj(folder), "glass": write_glb(folder / "glass.glb")}


@pytest.fixture(scope="module")
def written(tmp_path_factory, meshes):
    root = tmp_path_factory.mktemp("rendered") / "objaverse_renderings"
    assert render(root, meshes).rendered == ("cube", "glass")
    return root


def unprojected(view):
    """World points (N, 3) of all pixels with depth."""
    depth = view.depth()
    rows, columns = np.nonzero(depth)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))]) * depth[rows, columns]
    camera = np.linalg.inv(view.intrinsics) @ rays
    return (camera.T - view.cam_T_world[:3, 3]) @ view.cam_T_world[:3, :3]


def disagreement(one, other):
    """Depth differences where `other` sees the surface that `one` sees, between its pixel centres; front minus back."""
    pixels, depth = project(unprojected(one), other.cam_T_world, other.intrinsics)
    seen = other.depth()
    column, row = np.floor(pixels - 0.5).astype(int).T
    fx, fy = (pixels - 0.5 - np.stack([column, row], axis=1)).T
    around = np.stack([seen[row + i, column + j] for i in (0, 1) for j in (0, 1)])
    # Perspective is linear in 1/z: exact on planes. A jump among the four is the border of something.
    smooth = (around > 0).all(0) & (np.ptp(around, axis=0) < 0.03)
    weights = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy])[:, smooth]
    return 1 / (weights / around[:, smooth]).sum(0) - depth[smooth]


def agreement(one, other):
    """(share of the co-visible within the reader's 5e-3, share that floats in front of what the other sees)."""
    gap = disagreement(one, other)
    near = np.abs(gap) < 0.02  # farther behind is hidden from the other
    return (np.abs(gap[near]) < 5e-3).mean(), (gap > 5e-3).mean()


def test_the_reader_takes_them_for_whole_renderings_of_unit_size(written):
    dataset = Objaverse(written)
    assert list(dataset.check()) == [] and dataset.skipped() == {} and not dataset.synthetic
    sets = dataset.view_sets()
    assert [(one.id, len(one.views)) for one in sets] == [("cube", 42), ("glass", 42)]
    points = np.concatenate([unprojected(view) for view in sets[0].views])
    assert np.allclose(points.min(0), (-0.5, -0.25, -0.25), atol=2e-3)
    assert np.allclose(points.max(0), (0.5, 0.25, 0.25), atol=2e-3)


def test_depths_of_neighbouring_views_agree(meshes, tmp_path):
    render(tmp_path, {"cube": meshes["cube"]}, size=256)
    (views,) = (one.views for one in Objaverse(tmp_path).view_sets())
    for a, b in [(17, 18), (16, 17), (27, 28), (36, 41), (11, 6), (30, 33), (0, 1), (20, 21)]:
        within, floating = agreement(views[a], views[b])
        # Nothing may float; what lies a little behind is at the edge that hides it.
        assert within > 0.96 and floating < 0.002


def test_every_side_has_its_colour_where_the_mesh_has_it(written):
    """The box of the glb file is y-up: its +y side is seen from above."""
    turned = {(0, 0): "+x", (0, 1): "-x", (2, 0): "+y", (2, 1): "-y", (1, 1): "+z", (1, 0): "-z"}
    seen = set()
    for one in Objaverse(written).view_sets():
        for view in one.views:
            points, colours = unprojected(view), load_rgb(view.image)[view.mask()].astype(int)
            shares = points / (0.5, 0.25, 0.25)
            inner = np.sort(np.abs(shares), axis=1)[:, 1] < 0.85
            axes = np.abs(shares).argmax(axis=1)
            for (axis, below), name in turned.items():
                mine = inner & (axes == axis) & ((points[:, axis] < 0) == bool(below))
                if mine.sum() > 30:
                    hue = colours[mine].mean(0) / colours[mine].mean(0).max()
                    order = np.array(SIDES[name]) / max(SIDES[name])
                    assert np.abs(hue - order).max() < 0.12, (view.id, name)
                    seen.add(name)
    assert seen == set(SIDES)


def test_whole_objects_stay_and_killed_ones_are_completed_to_the_same_bytes(written, meshes, tmp_path):
    root = tmp_path / "again"
    one = {"cube": meshes["cube"]}
    render(root, one)
    before = tree(root)
    assert render(root, one).there == ("cube",)
    for name in ("color_000003.png", "mask_000003.png", "depth_000041.png"):
        (root / "cube" / name).unlink()
    stamp = (root / "cube" / "color_000007.png").stat().st_mtime_ns
    assert render(root, one).rendered == ("cube",) and tree(root) == before
    assert (root / "cube" / "color_000007.png").stat().st_mtime_ns == stamp  # what was there was not drawn again
    mark = json.loads((root / "cube" / MARK).read_text())
    (root / "cube" / MARK).write_text(json.dumps({**mark, "whole": False}))
    assert render(root, one).rendered == ("cube",) and tree(root) == before
    assert render(root, one, force=True).rendered == ("cube",) and tree(root) == before
    assert {k: v for k, v in tree(written).items() if k.startswith("cube/")} == before


def test_two_meshes_never_mix_in_one_folder(meshes, tmp_path):
    render(tmp_path, {"thing": meshes["cube"]})
    other = {"thing": meshes["glass"]}
    report = render(tmp_path, other)
    assert report.there == ("thing",) and "--force" in report.notes["thing"][0]
    assert "--force" in render(tmp_path, {"thing": meshes["cube"]}, size=48).notes["thing"][0]
    (tmp_path / "thing" / "color_000000.png").unlink()
    assert render(tmp_path, other).rendered == ("thing",)
    render(tmp_path / "fresh", other)
    assert tree(tmp_path / "thing") == tree(tmp_path / "fresh" / "thing")


def test_published_renderings_that_are_whole_are_left_alone(written, meshes, tmp_path):
    render(tmp_path, {"cube": meshes["cube"]})
    (tmp_path / "cube" / MARK).unlink()
    before = tree(tmp_path)
    report = render(tmp_path, {"cube": meshes["glass"]})
    assert report.there == ("cube",) and report.notes == {} and tree(tmp_path) == before


def test_workers_change_no_byte(written, meshes, tmp_path):
    assert render(tmp_path, meshes, workers=2).rendered == ("cube", "glass")
    assert tree(tmp_path) == tree(written)


def test_what_cannot_be_read_is_named_and_the_rest_is_rendered(meshes, tmp_path):
    (tmp_path / "bad.obj").write_text("v nan nan nan\nf 1 1 1\n")
    bare = write_obj(tmp_path, "bare", image="gone.png", save=False)
    root = tmp_path / "out"
    report = render(root, {"bad": tmp_path / "bad.obj", "bare": bare, "gone": tmp_path / "gone.glb"}, size=32)
    assert report.rendered == ("bare",) and report.notes == {"bare": ("'gone.png' is missing",)}
    assert set(report.failed) == {"bad", "gone"} and "no face with an area" in report.failed["bad"]
    assert sorted(path.name for path in root.iterdir()) == ["bare"]
    assert render(root, {"bare": bare}, size=32).notes == report.notes  # still known when it is there already


def test_wrong_sizes_and_folders_with_other_poses_are_refused(meshes, tmp_path):
    with pytest.raises(UsageError, match="--size 5"):
        render(tmp_path, meshes, size=5)
    np.save(tmp_path / "obj_poses.npy", np.eye(4)[None])
    with pytest.raises(DataError, match="poses of its own"):
        render(tmp_path, meshes)


@pytest.mark.skipif(not SAMPLES, reason="BENCH3D_REAL_SAMPLES is not set")
def test_real_meshes(tmp_path):
    folder = Path(SAMPLES or "") / "meshes"
    with zipfile.ZipFile(folder / "spot" / "spot.zip") as archive:
        for name in ("spot_texture.png", "spot_triangulated.obj"):
            (tmp_path / name).write_bytes(archive.read(f"spot/{name}"))
    text = (tmp_path / "spot_triangulated.obj").read_text()  # it names no material: its texture must be given to it
    (tmp_path / "spot.obj").write_text("mtllib spot.mtl\nusemtl spot\n" + text)
    (tmp_path / "spot.mtl").write_text("newmtl spot\nmap_Kd spot_texture.png\n")
    report = render(tmp_path / "out", {"fuze": folder / "fuze" / "fuze.obj", "spot": tmp_path / "spot.obj"}, size=256)
    assert report.rendered == ("fuze", "spot") and report.notes == {}
    dataset = Objaverse(tmp_path / "out")
    assert list(dataset.check()) == []
    for one in dataset.view_sets():
        shares = [agreement(one.views[a], one.views[b]) for a, b in [(17, 18), (16, 17), (27, 28), (36, 41), (30, 33)]]
        assert min(within for within, _ in shares) > 0.97 and max(floating for _, floating in shares) < 0.01
