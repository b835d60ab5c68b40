"""The task pascal3d-pose: crops, oracles, values, metrics and chance on hand-made samples."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench3d.contracts import FeatureMesh, Model, PoseEstimate, PoseSample
from bench3d.data.batches import ASSUMED_FOCAL, BOX_MARGIN
from bench3d.errors import UsageError
from bench3d.geometry.camera import project, start_rotations, viewpoint_pose, viewpoint_rotation
from bench3d.plugins import load_registry
from bench3d.runner import aggregate
from bench3d_plugins.single_object.chance import Chance, training_rotations
from bench3d_plugins.single_object.pictures import chosen
from bench3d_plugins.single_object.protocol import cad_mask, mask_crop
from bench3d_plugins.single_object.settings import Pascal3DPoseSettings
from bench3d_plugins.single_object.task import create

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], dtype=np.int32,
)  # fmt: skip


def sample(folder: Path, n: int, azimuth: float, **changes) -> PoseSample:
    """A cube 20 units away seen by a 1000 px camera with its origin at (70, 50) of a 160x120 image: 100 px wide."""
    path = folder / f"{n}.png"
    pixels = np.full((120, 160, 3), 40, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    pose = viewpoint_pose(azimuth, 0.0, 0.0, 20.0)
    values = {
        "id": f"s{n}", "category": "car", "image": path, "size": (160, 120),
        "intrinsics": np.array([[1000.0, 0, 70], [0, 1000, 50], [0, 0, 1]]), "cam_T_obj": pose,
        "box": np.array([20.0, 0.0, 120.0, 100.0]), "cluster": f"c{n}", "mesh": lambda: (CUBE, FACES),
        "attributes": {"truncated": n % 2 == 0, "occluded": False},
    }  # fmt: skip
    return PoseSample(**(values | changes))


class Oracle(Model):
    """Answers the true pose turned by `error` degrees about z, and keeps what it was given."""

    capabilities = frozenset({"features", "pose", "shape"})
    canvas = 64

    def __init__(self, samples, error=0.0, start=20.0):
        self.poses = {s.id: s.cam_T_obj for s in samples}
        self.error, self.start = error, start
        self.given = None

    def pose(self, batch, given):
        self.given, self.batch = given, batch
        true = torch.from_numpy(np.stack([self.poses[i] for i in batch.ids]))

        def turned(degrees):
            turn = torch.from_numpy(viewpoint_rotation(degrees, 0.0, 0.0).T @ viewpoint_rotation(0.0, 0.0, 0.0))
            return (true[:, :3, :3] @ turn).float()

        return PoseEstimate(
            rotation=turned(self.error), translation=true[:, :3, 3].float(), score=torch.ones(len(true)),
            start_rotation=turned(self.start), extra={"starts_ms": torch.full((len(true),), 3.0)},
        )  # fmt: skip

    def shape(self, batch, given):
        return torch.from_numpy(CUBE)[None].expand(len(batch), -1, -1), torch.from_numpy(FACES)

    def template(self, category):
        return FeatureMesh(torch.from_numpy(CUBE), torch.from_numpy(FACES))


def task(protocol="paper", **settings):
    registration = load_registry().get("task", "pascal3d-pose")
    chosen_protocol = next(p for p in registration.protocols if p.name == protocol)
    return create(Pascal3DPoseSettings(**settings), chosen_protocol)


def test_the_crop_of_the_paper_is_centred_on_the_object_and_fitted_to_its_mask(tmp_path):
    """The cube's near face spans 1000 * 2 / 19 = 105.3 px around (70, 50); of it the image shows y >= 0 only."""
    made = sample(tmp_path, 0, 0.0)
    mask = cad_mask(made)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (rows[0], rows[-1]) == (0, 102) and (columns[0], columns[-1]) == (17, 122)
    crop = mask_crop(made, 64)
    assert crop.original_to_input(np.array([70.0, 50.0])) == pytest.approx([32, 32])
    assert crop.scale[0] == pytest.approx(64 / 106)


def test_the_paper_gives_its_four_oracles_in_crop_coordinates(tmp_path):
    samples = [sample(tmp_path, n, 30.0 * n) for n in range(2)]
    model, pose_task = Oracle(samples), task()
    pose_task.prepare(model, "car", None)
    pose_task.evaluate(model, samples, "cpu")
    given = model.given
    assert (given.category, given.box, given.rotation) == ("car", None, None)
    np.testing.assert_allclose(given.translation, [[0, 0, 20]] * 2)
    assert given.intrinsics[:, 0, 2].tolist() == pytest.approx([32, 32])
    crop = mask_crop(samples[1], 64)
    corner = np.array([[1.0, 1.0, 1.0]])
    seen, _ = project(corner, samples[1].cam_T_obj, samples[1].intrinsics)
    in_crop, _ = project(corner, samples[1].cam_T_obj, given.intrinsics[1].double().numpy())
    np.testing.assert_allclose(in_crop, crop.original_to_input(seen), atol=1e-3)
    assert model.batch.images.shape == (2, 3, 64, 64) and model.batch.category == "car"
    assert model.batch.images[0, :, 32, 32].tolist() == pytest.approx([40 / 255] * 3)
    assert 0 < model.batch.valid.mean() < 1, "the crop reaches beyond the image's top"


def test_box2d_gives_the_category_and_the_box_and_assumes_a_camera(tmp_path):
    samples = [sample(tmp_path, 0, 0.0)]
    model, pose_task = Oracle(samples), task("box2d", focal=4.0, box_margin=1.0)
    pose_task.prepare(model, "car", None)
    pose_task.evaluate(model, samples, "cpu")
    assert model.given.translation is None
    np.testing.assert_allclose(model.given.box, [[0, 0, 64, 64]], atol=1e-4)
    np.testing.assert_allclose(model.given.intrinsics[0], [[256, 0, 32], [0, 256, 32], [0, 0, 1]])


def test_a_photo_of_ones_own_is_cropped_like_box2d():
    settings = Pascal3DPoseSettings()
    assert (settings.focal, settings.box_margin) == (ASSUMED_FOCAL, BOX_MARGIN)


def test_values_and_metrics_are_hand_worked(tmp_path):
    """Every rotation is off by 12 degrees, every start by 35: 100 / 0 % at 30 and 10 degrees, starts 0 / 0."""
    samples = [sample(tmp_path, n, 90.0 * n) for n in range(4)]
    model, pose_task = Oracle(samples, error=12.0, start=35.0), task()
    pose_task.prepare(model, "car", None)
    values = [*pose_task.evaluate(model, samples[:3], "cpu"), *pose_task.evaluate(model, samples[3:], "cpu")]
    json.dumps(values, allow_nan=False)
    assert [v["rotation_error_deg"] for v in values] == pytest.approx([12] * 4, abs=1e-3)
    assert [v["true_azimuth"] for v in values] == pytest.approx([0, 90, 180, 270])
    assert values[0]["groups"] == {"azimuth": "345-015", "truncated": "yes", "occluded": "no"}
    assert values[1]["groups"]["azimuth"] == "075-105"
    assert (values[0]["id"], values[0]["cluster"], values[0]["starts_ms"]) == ("s0", "c0", 3.0)
    scores = {s.metric: s.value for s in aggregate.scores(pose_task.metrics, values, 0) if s.category == "mean"}
    assert scores == pytest.approx(
        {
            "accuracy@30deg": 100, "accuracy@10deg": 0, "median error": 12, "start accuracy@30deg": 0,
            "start accuracy@10deg": 0, "symmetric accuracy@30deg": 100, "symmetric accuracy@10deg": 0,
            "symmetric median error": 12, "half-turn flips": 0,
        }, abs=1e-3,
    )  # fmt: skip


def test_a_pose_that_is_not_finite_counts_as_wrong_and_stays_json(tmp_path):
    samples = [sample(tmp_path, 0, 0.0)]
    model, pose_task = Oracle(samples), task()
    model.poses["s0"] = np.full((4, 4), np.nan)
    pose_task.prepare(model, "car", None)
    (value,) = pose_task.evaluate(model, samples, "cpu")
    assert value["rotation_error_deg"] == 180 and value["predicted_azimuth"] is None
    json.dumps(value, allow_nan=False)


def test_limit_spreads_evenly_over_the_split():
    dataset = SimpleNamespace(samples=lambda category, split: list(range(10)) if split == "hard" else [])
    pose_task = task(split="hard")
    assert pose_task.samples(dataset, "car", 4) == [0, 2, 5, 7]
    assert pose_task.samples(dataset, "car", 99) == list(range(10))


def source(azimuths):
    """A MultiviewSource of one-frame sequences."""
    frames = [SimpleNamespace(cam_T_obj=viewpoint_pose(a, 0.0, 0.0, 5.0)) for a in azimuths]
    return SimpleNamespace(sequences=lambda category: [SimpleNamespace(frames=(f,)) for f in frames])


def test_chance_never_looks_at_the_held_out_tenth():
    azimuths = [*range(0, 90, 10), 200]
    assert len(training_rotations(source(azimuths), "car")) == 9
    with_other_tail = Chance.of(source([*range(0, 90, 10), 100]), "car")
    for name, draws in Chance.of(source(azimuths), "car").draws.items():
        np.testing.assert_array_equal(draws, with_other_tail.draws[name])


def test_chance_is_exact():
    """Training azimuths 0, 9, ..., 72 and the truth at 1: four lie closer than 30, two closer than 10.

    27, 36 and 45 each have seven training poses closer than 30; the first of them is the constant answer. Of the
    starts only azimuth 0 and 30, upright and level, are closer than 30.
    """
    values = Chance.of(source([*range(0, 81, 9), 200]), "car").values(viewpoint_rotation(1.0, 0.0, 0.0))
    assert values["chance_training_pose_30"] == pytest.approx(4 / 9)
    assert values["chance_training_pose_10"] == pytest.approx(2 / 9)
    assert values["chance_training_pose_median"] == pytest.approx(35)
    assert values["chance_constant_pose_median"] == pytest.approx(26, abs=1e-4)
    assert (values["chance_constant_pose_30"], values["chance_constant_pose_10"]) == (1, 0)
    assert values["chance_random_start_30"] == pytest.approx(2 / 144)
    assert start_rotations().shape == (144, 3, 3)


def test_without_a_pose_the_task_says_what_to_add():
    with pytest.raises(UsageError, match="--shape-model"):
        task().prepare(Model(), "car", None)


def test_pictures_show_right_and_wrong_ones(tmp_path):
    samples = [sample(tmp_path, n, 40.0 * n) for n in range(3)]
    model, pose_task = Oracle(samples, error=12.0), task()
    pose_task.prepare(model, "car", None)
    values = [dict(v) for v in pose_task.evaluate(model, samples, "cpu")]
    for value, error in zip(values, (12.0, 90.0, 13.0), strict=True):
        value["rotation_error_deg"] = error
    values[2]["rotation"] = [[None] * 3] * 3
    made = [p.name for p in pose_task.pictures(model, samples, values, tmp_path / "out", "cpu")]
    assert made == ["01-right-s0.png", "02-right-s2.png", "03-wrong-s1.png", "contact-sheet.png", "template.png"]
    row = np.asarray(Image.open(tmp_path / "out" / "01-right-s0.png"))
    assert row.shape[1] > 4 * 256
    truth = row[60:-20, 2 * 264 + 20 : 3 * 264 - 20].reshape(-1, 3).astype(int)
    assert (truth[:, 2] - truth[:, 0] > 40).mean() > 0.3, "the ground truth is drawn in blue"


def test_chosen_samples_are_spread_over_both_kinds():
    errors = [*range(20), *[90.0] * 20]
    picked = chosen(errors)
    assert len(picked) == 8 and sum(errors[n] < 30 for n in picked) == 5
    assert {0, 19} <= set(picked)
    assert chosen([5.0, 50.0]) == [0, 1]
    assert len(chosen([90.0] * 9)) == 8
