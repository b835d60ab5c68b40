from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scene import INTRINSICS, SIZE, CoordinateModel, Videos, picture

from bench3d.contracts import Artifact, FitContext, Given, ImageBatch, Model
from bench3d.errors import CapabilityError, DataError, UsageError, WeightsError
from bench3d.geometry.camera import viewpoint_pose
from bench3d.geometry.pixels import PixelGeometry
from bench3d.metrics.rotation import rotation_error_deg
from bench3d_plugins.zsp.artifact import FILE, load_references
from bench3d_plugins.zsp.reference import spaced_frames
from bench3d_plugins.zsp.settings import ZSPSettings
from bench3d_plugins.zsp.shape_model import create

SETTINGS = ZSPSettings(canvas=SIZE, pairs=20, trials=300, inlier_distance=0.15)


def context(out: Path, **changes: object) -> FitContext:
    out.mkdir(exist_ok=True, parents=True)
    return FitContext(**{"out": out, "recipe": "r", "seed": 0, "category": "box", **changes})


def fit(out: Path, videos: object, settings: ZSPSettings = SETTINGS, **changes: object) -> Artifact:
    return create(settings).fit(CoordinateModel(), videos, context(out, **changes))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, videos: Videos) -> Artifact:
    return fit(tmp_path_factory.mktemp("fit"), videos)


@pytest.fixture
def model(artifact: Artifact) -> Model:
    return create(SETTINGS).apply(CoordinateModel(), {"box": artifact}, "cpu")


def query(poses: list[np.ndarray], scale: float = 1.0) -> tuple[ImageBatch, Given]:
    shown = [picture(pose, scale) for pose in poses]
    count = len(poses)
    batch = ImageBatch(
        images=torch.from_numpy(np.stack([rgb for rgb, _ in shown])).permute(0, 3, 1, 2).float() / 255,
        valid=torch.ones(count, 1, SIZE, SIZE),
        geometry=tuple(PixelGeometry.identity((SIZE, SIZE)) for _ in poses),
        ids=tuple(f"image{n}" for n in range(count)),
        category="box",
    )
    given = Given(
        category="box",
        intrinsics=torch.from_numpy(INTRINSICS).float().expand(count, 3, 3),
        depth=torch.from_numpy(np.stack([depth for _, depth in shown])),
    )
    return batch, given


def test_poses_between_the_reference_views_are_found(model: Model) -> None:
    poses = [viewpoint_pose(a, e, t, d) for a, e, t, d in ((47, 15, 5, 4.2), (190, 30, -10, 3.8), (282, 5, 0, 4.0))]
    estimate = model.pose(*query(poses, scale=0.8))
    found = estimate.rotation.double().numpy()
    errors = [float(rotation_error_deg(r, p[:3, :3])) for r, p in zip(found, poses, strict=True)]
    assert max(errors) < 6
    assert np.allclose(estimate.translation, np.stack([p[:3, 3] for p in poses]), atol=0.15)
    assert np.allclose(estimate.extra["scale"], 0.8, atol=0.08)
    starts = estimate.start_rotation.double().numpy()
    assert max(float(rotation_error_deg(r, p[:3, :3])) for r, p in zip(starts, poses, strict=True)) < 60


def test_a_pose_does_not_depend_on_its_batch(model: Model) -> None:
    poses = [viewpoint_pose(a, 20, 0, 4) for a in (10, 130)]
    batch, given = query(poses)
    both = model.pose(batch, given).rotation
    alone = ImageBatch(batch.images[1:], batch.valid[1:], batch.geometry[1:], batch.ids[1:], "box")
    one = model.pose(alone, replace(given, intrinsics=given.intrinsics[1:], depth=given.depth[1:])).rotation
    assert torch.equal(both[1], one[0])


def test_without_an_object_the_error_is_pi(model: Model) -> None:
    batch, given = query([viewpoint_pose(0, 20, 0, 4)] * 2)
    few = torch.zeros_like(given.depth)
    few[1, 60:68, 60:68] = given.depth[1, 60:68, 60:68]
    estimate = model.pose(batch, replace(given, depth=few))
    assert rotation_error_deg(estimate.rotation.double().numpy(), np.eye(3)[None]).tolist() == [180.0, 180.0]
    assert estimate.score.tolist() == [0.0, 0.0]
    moved = torch.ones(2, 3)
    assert torch.equal(model.pose(batch, replace(given, translation=moved)).translation, moved)


def test_without_depth_it_says_who_gives_it(model: Model) -> None:
    batch, given = query([viewpoint_pose(0, 20, 0, 4)])
    assert model.oracles == {"depth"}
    with pytest.raises(CapabilityError, match="depth") as caught:
        model.pose(batch, replace(given, depth=None))
    assert "pascal3d-pose" in str(caught.value.hint)
    with pytest.raises(CapabilityError, match="intrinsics"):
        model.pose(batch, replace(given, intrinsics=None))
    with pytest.raises(CapabilityError, match="no mask"):
        model.mask(batch, given, model.pose(batch, given))


def test_frames_are_spaced_as_published(videos: Videos, artifact: Artifact) -> None:
    twelve = videos.list[1]
    picked = [int(f.id[-2:]) for f in spaced_frames(twelve, 10)]
    assert picked == [0, 1, 2, 3, 4, 6, 7, 8, 9, 11]  # floor(11 n / 9)
    assert len(spaced_frames(twelve, 50)) == 12
    lost = np.full((4, 4), np.nan)
    broken = replace(twelve, frames=(replace(twelve.frames[0], cam_T_obj=lost), *twelve.frames[1:3]))
    assert [f.id[-2:] for f in spaced_frames(broken, 10)] == ["01", "02"]
    assert artifact.facts["reference_sequences"] == ["round"]
    assert list(artifact.facts["references_skipped"]) == ["flat"]


def test_references_lie_on_the_box(artifact: Artifact) -> None:
    found = load_references(artifact.path)
    off = (found.points.abs() / torch.tensor([0.6, 1.0, 0.4])).max(dim=1).values - 1
    assert off.abs().median() < 0.01
    assert off.abs().max() < 0.1  # depth is that of the nearest pixel, faces are slanted
    assert found.rotations.shape == (10, 3, 3)


def test_what_cannot_be_collected_is_refused(tmp_path: Path, videos: Videos) -> None:
    with pytest.raises(UsageError, match="seq99"):
        fit(tmp_path, videos, SETTINGS.model_copy(update={"reference_sequences": ("seq99",)}))
    with pytest.raises(DataError, match="flat"):
        fit(tmp_path, videos, SETTINGS.model_copy(update={"reference_sequences": ("flat",)}))
    without = Videos(videos.list, {name: 0 * depth for name, depth in videos.depths.items()})
    with pytest.raises(DataError, match="shows the object"):
        fit(tmp_path, without)

    class NoDepth:
        sequences, fingerprint = videos.sequences, videos.fingerprint

    with pytest.raises(CapabilityError, match="depth"):
        fit(tmp_path, NoDepth())
    assert not list(tmp_path.iterdir())


def test_references_that_do_not_fit_are_refused(tmp_path: Path, videos: Videos) -> None:
    fit(tmp_path, videos, SETTINGS.model_copy(update={"frames": 2}))
    whole = load_file(tmp_path / FILE)
    changed = {
        "points": whole["points"][:-1],
        "frame": whole["frame"] + 2,
        "features": whole["features"][:0],
        "rotations": whole["rotations"] * float("inf"),
        "more": whole["seed"] + 1,
    }
    for name, value in changed.items():
        save_file({**whole, name: value.contiguous()}, tmp_path / FILE)
        with pytest.raises(WeightsError, match=FILE):
            load_references(tmp_path)
