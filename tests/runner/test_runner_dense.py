"""Tasks on dense features: the encoder, data sets without categories, folders of any layout, the chosen layer."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench3d.errors import CapabilityError, DataError, UsageError
from bench3d.runner import RunSpec, execute, plan_run


@pytest.fixture
def dense(install, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH3D_CACHE", str(tmp_path / "cache"))
    install("dense", (Path(__file__).parent / "dense_plugin.py").read_text())
    module = importlib.import_module("dense_plugin")
    module.ENCODED.clear()
    return module


def pictures(folder):
    for split, seed in (("test", 0), ("val", 1)):
        rng = np.random.default_rng(seed)
        (folder / split).mkdir(parents=True)
        for n in range(5):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / split / f"{n}.png")


@pytest.fixture
def spec(dense, tmp_path):
    pictures(tmp_path / "data" / "official")
    return RunSpec(
        backbone="layered", task="brightness", data=tmp_path / "data", results=tmp_path / "results", device="cpu",
        batch=2,
    )  # fmt: skip


def test_every_image_is_encoded_once_in_batches(spec, dense, go):
    plan, record = go(spec)
    assert plan.categories == ("all",) and record.notes == ["Only brightness."]
    assert sum(dense.ENCODED) == 5 and max(dense.ENCODED) == 2
    assert record.score("error").value == pytest.approx(0.1, abs=0.02)


def test_a_second_task_takes_the_features_from_the_cache(spec, dense, go, tmp_path):
    _, first = go(spec)
    dense.ENCODED.clear()
    _, second = go(spec, results=tmp_path / "other")
    assert dense.ENCODED == [] and second.scores == first.scores
    _, third = go(spec, results=tmp_path / "third", cache=False, batch=8, workers=1)
    assert sum(dense.ENCODED) == 5 and third.score("error").value == pytest.approx(first.score("error").value, abs=1e-6)


def test_the_protocol_wishes_and_the_user_decides(spec):
    assert plan_run(spec).resolved.backbone.settings.grid == 2
    assert plan_run(replace(spec, settings={"backbone": {"grid": "4"}})).resolved.backbone.settings.grid == 4


def test_a_folder_of_another_layout_is_recognised(spec, tmp_path, go):
    mine = tmp_path / "my holiday"
    pictures(mine)
    with pytest.raises(DataError):
        execute(plan_run(replace(spec, data=mine)), None)
    (mine / "capture.txt").touch()
    plan, record = go(spec, data=mine)
    assert plan.resolved.test.component.name == "captured" and record.samples == 5
    assert any(str(mine) in step.detail for step in plan.steps)
    assert str(tmp_path) not in record.model_dump_json()


def test_categories_of_a_data_set_without_any_are_a_mistake(spec):
    with pytest.raises(UsageError, match="no categories"):
        plan_run(replace(spec, categories=("car",)))


def test_the_layer_is_chosen_on_validation_data(spec, dense, go):
    plan, record = go(spec, layer="auto")
    (choice,) = record.choices
    assert (choice.chosen, choice.data["split"], choice.data["samples"]) == (dense.OPTIMUM, "val", 5)
    assert choice.scores[0][0] == dense.OPTIMUM and len(choice.scores) == 4
    assert record.score("error").value < 0.01
    assert plan.identity != plan_run(spec).identity
    again, _ = go(spec, layer="auto")
    assert again.already_done


def test_a_layer_cannot_be_chosen_without_layers(spec):
    with pytest.raises(CapabilityError, match="no layers"):
        plan_run(replace(spec, backbone="hog", layer="auto"))
