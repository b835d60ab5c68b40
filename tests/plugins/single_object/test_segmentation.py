"""The segmentation tasks: hand-worked masks, what the model is asked for, chance levels, pictures."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cube_samples import Knowing, make, sample
from PIL import Image

from bench3d.contracts import Model
from bench3d.errors import CapabilityError, DataError
from bench3d.geometry.camera import viewpoint_pose
from bench3d.runner import aggregate
from bench3d_plugins.single_object.masks import MaskChance, on_grid, training_masks, truth_of
from bench3d_plugins.single_object.protocol import mask_crop, soft_cad_mask


def evaluated(task, model, samples):
    task.prepare(model, "car", None)
    return [dict(v) for v in task.evaluate(model, samples, "cpu")]


def test_the_truth_is_the_cad_model_in_the_crop(tmp_path):
    """The cube's near face is a square of 106 px, whose crop it fills; half of a crop twice as wide lies beside it."""
    made = sample(tmp_path, 0, 0.0)
    truth = truth_of(made, mask_crop(made, 64), 32)
    assert truth.amodal.min() > 0.9 and truth.valid.all() and truth.modal is None
    wide = mask_crop(made, 64).resized((32, 32)).padded(16, 16, (64, 64))
    mask = soft_cad_mask(made, wide)
    assert mask.sum() == pytest.approx((1000 * 2 / 19 * 32 / 106) ** 2, rel=0.01)
    assert mask[16:48, 16:48].mean() > 0.95 and mask[:15].max() == 0


def test_iou_of_a_mask_that_covers_half_of_the_object(tmp_path):
    samples = [sample(tmp_path, n, 90.0 * n) for n in range(2)]
    model, task = Knowing(samples), make("pascal3d-seg")
    model.drawn[:, :32] = 1.0
    (one, two) = evaluated(task, model, samples)
    json.dumps([one, two], allow_nan=False)
    assert one["iou"] == pytest.approx(0.5, abs=0.01) and one["hard_iou"] == pytest.approx(0.5)
    assert one["self_iou"] == pytest.approx(1.0, abs=0.02) and one["chance_full_crop_iou"] == pytest.approx(1, abs=0.02)
    assert one["chance_ellipse_iou"] == pytest.approx(np.pi / 4, abs=0.01)
    assert one["rotation_error_deg"] == pytest.approx(0, abs=0.1) and "modal_iou" not in one
    scores = {s.metric: s.value for s in aggregate.scores(task.metrics, [one, two], 0) if s.category == "mean"}
    assert scores["IoU"] == pytest.approx(50, abs=1) and "modal IoU" not in scores
    assert {c.name for c in aggregate.chance_levels(task.metrics, [one, two], 0)} == {"full_crop", "ellipse"}
    assert any("modal IoU" in note for note in task.notes())


def test_the_mask_is_asked_for_at_the_estimated_rotation_and_the_true_translation(tmp_path):
    samples = [sample(tmp_path, 0, 0.0)]
    model = Knowing(samples, error=40.0)
    evaluated(make("pascal3d-seg"), model, samples)
    estimated, true = model.masked
    np.testing.assert_allclose(estimated.translation, [[0, 0, 20]])
    assert not np.allclose(estimated.rotation[0], samples[0].cam_T_obj[:3, :3], atol=0.1)
    np.testing.assert_allclose(true.rotation[0], samples[0].cam_T_obj[:3, :3], atol=1e-6)
    model.masked.clear()
    (value,) = evaluated(make("pascal3d-seg", "box2d"), model, samples)
    (estimated,) = model.masked
    np.testing.assert_allclose(estimated.translation, [[3, 3, 23]])  # the model's own
    assert "true_rotation_iou" not in value and model.given.translation is None
    assert value["chance_ellipse_iou"] == pytest.approx(np.pi / 4, abs=0.02)
    assert value["chance_full_crop_iou"] == pytest.approx(1 / 1.1**2, abs=0.02)


def test_only_cells_inside_the_image_count(tmp_path):
    """The camera's centre at the left edge: the right half of the object is seen, and the mask covers the left."""
    shifted = np.array([[1000.0, 0, 0], [0, 1000, 60], [0, 0, 1]])
    samples = [sample(tmp_path, 0, 0.0, intrinsics=shifted)]
    model = Knowing(samples)
    model.drawn[:, :32] = 1.0
    (value,) = evaluated(make("pascal3d-seg"), model, samples)
    assert value["iou"] == 0 and value["chance_full_crop_iou"] == pytest.approx(1, abs=0.02)


def test_the_modal_iou_takes_what_is_seen(tmp_path):
    """Of the object's crop the upper half is seen, the model says the lower half and the seen one."""
    path = tmp_path / "seen.png"
    Image.fromarray((np.arange(120)[:, None] < 60).repeat(160, axis=1).astype(np.uint8) * 255).save(path)
    samples = [sample(tmp_path, 0, 0.0, mask=path)]
    model, task = Knowing(samples), make("pascal3d-seg")
    model.drawn[:] = 1.0
    (value,) = evaluated(task, model, samples)
    assert value["modal_iou"] == pytest.approx(0.5, abs=0.01) and value["iou"] > 0.95 and not task.notes()
    with pytest.raises(DataError, match="missing"):
        evaluated(task, model, [sample(tmp_path, 0, 0.0, mask=tmp_path / "none.png")])


def test_a_pose_that_is_not_finite_has_no_mask(tmp_path):
    samples = [sample(tmp_path, 0, 0.0), sample(tmp_path, 1, 0.0)]
    model, task = Knowing(samples), make("pascal3d-seg")
    model.drawn[:] = 1.0
    model.poses["s0"] = np.full((4, 4), np.nan)
    lost, found = evaluated(task, model, samples)
    assert lost["iou"] == 0 and lost["rotation_error_deg"] == 180 and found["iou"] > 0.95
    assert model.masked[0].rotation.isfinite().all(), "no renderer sees what is not finite"
    json.dumps(lost, allow_nan=False)
    assert len(list(task.pictures(model, samples, [lost, found], tmp_path / "out", "cpu"))) == 3


def test_masks_of_another_grid_keep_their_place():
    coarse = torch.zeros(1, 8, 8)
    coarse[:, :, 4:] = 1.0
    fine = on_grid(coarse, 16)[0]
    assert fine[:, :7].max() == 0 and fine[:, 9:].min() == 1 and fine[0, 7:9].tolist() == [0.25, 0.75]
    assert on_grid(on_grid_tensor(fine), 8)[0, 0].tolist() == pytest.approx([0, 0, 0, 0.125, 0.875, 1, 1, 1])
    assert on_grid(torch.full((1, 8, 8), torch.nan), 8).max() == 0


def on_grid_tensor(mask):
    return torch.from_numpy(mask)[None]


def source(tmp_path, widths):
    """One sequence a width: a square mask of that share of a 64 px image around the object's origin."""
    sequences = []
    for n, width in enumerate(widths):
        path = tmp_path / f"mask{n}.png"
        mask = np.zeros((64, 64), dtype=np.uint8)
        mask[32 - width : 32 + width, 16:48] = 255
        Image.fromarray(mask).save(path)
        frame = SimpleNamespace(
            mask=path, size=(64, 64), cam_T_obj=viewpoint_pose(0.0, 0.0, 0.0, 5.0),
            intrinsics=np.array([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]]),
        )  # fmt: skip
        sequences.append(SimpleNamespace(frames=(frame,)))
    return SimpleNamespace(sequences=lambda category: sequences)


def test_the_constant_mask_is_chosen_on_training_masks_that_are_cropped_alike(tmp_path):
    """Masks as wide as their crop and half as high, three times, and one that fills it; the last one is held out."""
    task = make("pascal3d-seg", grid=16)
    training = source(tmp_path, [8, 8, 8, 16, 8, 8, 8, 8, 8, 16])
    masks = training_masks(training, "car", task.protocol, task.settings)
    assert masks.shape == (9, 16, 16)
    assert masks[0].sum() == pytest.approx(128) and masks[3].sum() == pytest.approx(256)
    chance = MaskChance.of(training, "car", task.protocol, task.settings)
    assert chance.constant is not None and chance.constant.sum() == 128
    boxed = training_masks(training, "car", make("pascal3d-seg", "box2d").protocol, task.settings)
    assert boxed[3].sum() == pytest.approx(256 / 1.1**2, rel=0.02)


def test_a_model_without_masks_or_with_wishes_is_refused():
    with pytest.raises(CapabilityError, match="gives masks"):
        model = Model()
        model.capabilities = frozenset({"pose"})
        make("pascal3d-seg").prepare(model, "car", None)
    model = Knowing([])
    model.oracles = frozenset({"depth"})
    with pytest.raises(CapabilityError, match="true depth, which the protocol box2d does not give"):
        make("pascal3d-seg", "box2d").prepare(model, "car", None)


def test_pictures_go_from_the_best_to_the_worst(tmp_path):
    samples = [sample(tmp_path, n, 40.0 * n) for n in range(3)]
    model, task = Knowing(samples), make("pascal3d-seg")
    model.drawn[8:56, 8:56] = 1.0
    values = evaluated(task, model, samples)
    made = [p.name for p in task.pictures(model, samples, values, tmp_path / "out", "cpu")]
    assert made[-1] == "contact-sheet.png" and len(made) == 4
    shares = [int(name.split("-")[2]) for name in made[:3]]
    assert shares == sorted(shares, reverse=True)
    tile = (
        np.asarray(Image.open(tmp_path / "out" / made[0]))[60:-30, 264 + 60 : 2 * 264 - 60].reshape(-1, 3).astype(int)
    )
    assert (tile[:, 0] - tile[:, 2] > 60).mean() > 0.5, "the model's mask is drawn in orange"
