"""The whole path with the real plugins on the tiniest twin: every part is called, nothing is learnt."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bench3d.contracts import NullProgress
from bench3d.records import read_samples
from bench3d.runner import PredictSpec, RunSpec, execute, plan_run, predict

TINY = {
    "data": {
        "categories": "[tv]", "train_instances": "3", "views": "2", "test_images": "3", "hard_images": "1",
        "image_size": "64",
    },
    "shape": {
        "template_iterations": "3", "appearance_iterations": "3", "validate_every": "3", "batch": "4",
        "template_batch": "2", "eikonal_points": "50", "chamfer_points": "50",
    },
    "task": {"batch": "2"},
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def spec(folders):
    return RunSpec(
        backbone="hog", task="pascal3d-pose", shape_model="common3d", synthetic=True, data=folders[0],
        results=folders[1], settings=TINY, visualize=True, device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(spec):
    plan = plan_run(spec)
    return plan, execute(plan, NullProgress())


def test_hog_common3d_leaves_a_whole_record(finished):
    plan, record = finished
    assert record.status == "finished" and record.marks.synthetic_data
    assert {s.metric for s in record.scores} >= {"accuracy@30deg", "accuracy@10deg", "median error"}
    assert {s.category for s in record.scores} == {"tv", "mean"}
    assert {c.name for c in record.chance} == {"random_start", "training_pose", "constant_pose"}
    assert record.oracles == ["translation", "intrinsics", "crop-mask:cad", "category"]
    assert {"crop", "pose", "features", "starts", "refine"} <= set(record.cost.seconds_per_image)
    samples = read_samples(plan.record_path.parent / "samples.jsonl")
    assert len(samples) == 3 and len({s["cluster"] for s in samples}) == 3


def test_its_pictures_show_something(finished):
    plan, record = finished
    names = [name.rsplit("/", 1)[1] for name in record.pictures]
    assert len(names) == 5 and names[-2:] == ["contact-sheet.png", "template.png"]
    for name in record.pictures:
        assert np.asarray(Image.open(plan.record_path.parent / name)).std() > 10


def test_a_second_call_finds_everything(spec, finished):
    again = plan_run(spec)
    assert again.already_done and {step.state for step in again.steps} == {"done"}
    assert execute(again, NullProgress()) == finished[1]


def test_box2d_uses_the_same_fit_and_a_camera_of_its_own(spec, finished):
    plan = plan_run(replace(spec, protocol="box2d", visualize=False))
    assert [job.recipe for job in plan.jobs] == [job.recipe for job in finished[0].jobs]
    assert plan.identity != finished[0].identity
    record = execute(plan, NullProgress())
    assert record.oracles == ["category", "box"]
    for sample in read_samples(plan.record_path.parent / "samples.jsonl"):
        assert sample["translation"] != sample["true_translation"]


def test_predict_uses_it_on_any_photo(spec, finished, folders, tmp_path):
    photo = next(iter(sorted(folders[0].rglob("tvmonitor_imagenet/*.JPEG"))))
    found = predict(
        PredictSpec(
            photo=photo, category="tv", backbone="hog", shape_model="common3d", out=tmp_path / "o.png",
            synthetic=True, data=folders[0], results=folders[1], settings=TINY, device="cpu",
        ),
        NullProgress(),
    )  # fmt: skip
    rotation = np.array(found["rotation"])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    assert found["translation"][2] > 0
    assert np.asarray(Image.open(tmp_path / "o.png")).std() > 10
