"""`bench3d data prepare co3d`: parallel, resumable, the same as reading; what is left out and what is broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bench3d.cli.main import app
from bench3d.contracts import NullProgress
from bench3d.data.ply import write_ply_points
from bench3d.records import Busy, Claim
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.prepare import CLAIM, prepare
from bench3d_plugins.co3d.settings import CO3DSettings


@pytest.fixture
def solid(co3d):
    """Both sequences with clouds that have a volume."""
    for name in ("1_2_3", "4_5_6"):
        points = np.random.default_rng(0).uniform(-1, 1, (400, 3)) * [2, 1, 1] + [10, 0, 0]
        write_ply_points(co3d.place / name / "pointcloud.ply", points)
    return co3d


def prepared(co3d, workers=1, categories=("bus",), **settings):
    return list(prepare(co3d.root, CO3DSettings(**settings), categories, NullProgress(), workers))


def points_of(co3d, **settings):
    return [s.points() for s in CO3D(co3d.root, CO3DSettings(extent="mesh", **settings)).sequences("bus")]


def test_two_processes_prepare_what_reading_would(solid):
    expected = points_of(solid, cache=False)
    (solid.root / "alignment.json").rename(solid.root / "later.json")  # none is needed yet
    (first,) = prepared(solid, workers=2)
    assert (first.category, first.kept, first.made, first.points, first.meshes) == ("bus", 2, 2, 800, 2)
    (second,) = prepared(solid, categories=None)
    assert (second.kept, second.made, second.points) == (2, 0, 800)
    (solid.root / "later.json").rename(solid.root / "alignment.json")
    before = {path: path.stat().st_mtime_ns for path in CO3D(solid.root).store.folder.rglob("*.npz")}
    assert len(before) == 4 and all(map(np.array_equal, points_of(solid), expected))
    assert before == {path: path.stat().st_mtime_ns for path in before}  # reading made nothing again


def test_it_goes_on_where_it_was_broken_off(solid):
    class Killed(Exception):
        pass

    class Stop(NullProgress):
        def advance(self, steps=1, **values):
            raise Killed

    with pytest.raises(Killed):
        list(prepare(solid.root, CO3DSettings(), ("bus",), Stop(), 1))
    folder = CO3D(solid.root).store.folder / "toybus"
    (folder / ".1_2_3-00.4242-0011aabb.npz").write_bytes(b"what a killed process left")
    (report,) = prepared(solid)
    assert (report.kept, report.made) == (2, 1)
    assert all(path.suffix == ".npz" and not path.name.startswith(".") for path in folder.iterdir())


def test_left_out_and_broken_are_counted_and_the_others_prepared(solid):
    solid.frames[0]["viewpoint"]["T"][0] = float("nan")
    solid.save()
    (solid.place / "4_5_6/masks/frame000001.png").write_bytes(b"no image")
    (report,) = prepared(solid)
    assert report.kept == 0 and report.left_out == {
        "cameras that are none (NaN or no rotation)": 1,
        "broken files": 1,
    }
    assert len(report.problems) == 1 and "frame000001.png is no readable image" in report.problems[0]


def test_published_filters_stop_at_what_is_wanted_as_reading_does(solid):
    loose = {"filters": "published", "min_viewpoint_coverage": 0.0, "min_centred": 0.0, "max_sequences": 1}
    write_ply_points(solid.place / "1_2_3/pointcloud.ply", np.full((20, 3), [10.0, 0, 0]))
    (report,) = prepared(solid, **loose)
    reader = CO3D(solid.root, CO3DSettings(**loose))
    assert report.kept == len(reader.sequences("bus")) == 1
    assert report.left_out == reader.skipped("bus") == {"a point cloud without extent": 1}


def test_who_comes_second_hears_of_the_first(solid):
    folder = CO3D(solid.root).store.folder / "toybus"
    with Claim.take(folder / CLAIM), pytest.raises(Busy, match="toybus"):
        prepared(solid)


def test_command(solid):
    run = CliRunner()
    common = ["data", "prepare", "co3d", "--data", str(solid.root.parent), "--workers", "1"]
    done = run.invoke(app, [*common, "--category", "bus", "--json"])
    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.stdout)["categories"]
    assert (report["category"], report["kept"], report["made"], report["points"]) == ("bus", 2, 2, 800)
    shown = run.invoke(app, [*common, "--set", "data.min_frames=4"])
    assert shown.exit_code == 0 and "bus: left out 2 with fewer than 4 frames" in shown.stdout
    (solid.place / "4_5_6/masks/frame000001.png").write_bytes(b"no image")
    broken = run.invoke(app, common)
    assert broken.exit_code == 3 and "frame000001.png" in broken.stdout
