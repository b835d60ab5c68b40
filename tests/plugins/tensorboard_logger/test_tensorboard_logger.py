import socket
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from bench3d.plugins import load_registry
from bench3d_plugins.tensorboard_logger.board import create, settings_of

RECIPE = "0123456789abcdef" * 4


def read(folder):
    shown = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    shown.Reload()
    return shown


def points(shown, tag):
    return [(event.step, event.value) for event in shown.Scalars(tag)]


def test_it_is_registered_with_what_it_needs():
    registration = load_registry().find("logger", "tensorboard")
    assert registration.extras == ("tensorboard",) and registration.install == "pip install 'bench3d[tensorboard]'"


def test_a_run_is_one_file_that_tensorboard_reads(logged, tmp_path):
    record = logged()
    board = create(str(tmp_path))
    board.run_finished(record)
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"noise-image-{record.identity.hash[:12]}"
    shown = read(folder)
    assert points(shown, "PCK@0.1/car") == [(0, 50.0)]
    assert points(shown, "low of PCK@0.1/mean") == [(0, 12.25)]
    assert points(shown, "high of PCK@0.1/mean") == [(0, 62.75)]
    assert points(shown, "chance point of PCK@0.1/mean") == [(0, 1.5)]
    assert points(shown, "cost/evaluate_seconds") == [(0, 1.5)]
    assert "low of PCK@0.1/bus" not in shown.Tags()["scalars"]
    (text,) = shown.Tensors("record/text_summary")
    assert b"synthetic_data: True, limited: 5" in text.tensor_proto.string_val[0]
    assert b"secret-folder" not in text.tensor_proto.string_val[0]
    about = shown.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    chosen = plugin_data_pb2.HParamsPluginData.FromString(about).session_start_info.hparams
    assert chosen["backbone"].string_value == "noise" and chosen["backbone.grid"].number_value == 60
    assert chosen["seed"].number_value == 3 and chosen["backbone.native"].bool_value is False


def test_the_same_run_again_replaces_its_file(logged, tmp_path):
    board = create(str(tmp_path))
    for value in (1.0, 2.0):
        score = {**logged().scores[2].model_dump(), "value": value}
        board.run_finished(logged(scores=[score]))
    (path,) = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert points(read(path.parent), "PCK@0.1/mean") == [(0, 2.0)]
    assert socket.gethostname() not in path.name


def test_pictures_of_the_run_are_shown_as_they_are(logged, tmp_path):
    record = logged(pictures=["pictures/car/one.png", "pictures/car/gone.png"])
    spec = SimpleNamespace(results=tmp_path / "results", task="pf-willow")
    plan = SimpleNamespace(spec=spec, label=record.label, identity=record.identity.hash)
    place = tmp_path / "results" / "runs" / "pf-willow" / f"noise-image-{record.identity.hash[:12]}"
    (place / "pictures" / "car").mkdir(parents=True)
    Image.fromarray(np.full((4, 6, 3), 9, np.uint8)).save(place / "pictures" / "car" / "one.png")
    board = create(str(tmp_path / "tb"))
    board.run_started(plan)
    board.run_finished(record)
    shown = read(next((tmp_path / "tb").iterdir()))
    assert shown.Tags()["images"] == ["pictures/car/one.png"]
    (image,) = shown.Images("pictures/car/one.png")
    assert (image.width, image.height) == (6, 4)
    assert image.encoded_image_string == (place / "pictures" / "car" / "one.png").read_bytes()


def test_a_fit_is_readable_while_it_runs_and_one_that_went_on_shows_no_step_twice(tmp_path):
    first = create(str(tmp_path))
    for step in (50, 100, 150):
        first.fit_step("common3d", "car", RECIPE, "car template", step, {"loss": 1 / step})
    folder = tmp_path / "fits" / "common3d-car-0123456789ab" / "car_template"
    assert [s for s, _ in points(read(folder), "loss")] == [50, 100, 150]  # not closed yet
    again = create(str(tmp_path))  # another process, from a state saved at 100
    again.fit_step("common3d", "car", RECIPE, "car template", 150, {"loss": 2.0})
    again.fit_step("common3d", "car", RECIPE, "car template", 200, {"loss": 3.0, "score": 0.5})
    again.fit_step("common3d", "car", RECIPE, "car appearance", 50, {"loss": 4.0})
    again.fit_finished()
    shown = read(folder)
    assert [s for s, _ in points(shown, "loss")] == [50, 100, 150, 200]
    assert points(shown, "loss")[2:] == [(150, 2.0), (200, 3.0)] and points(shown, "score") == [(200, 0.5)]
    assert points(read(folder.with_name("car_appearance")), "loss") == [(50, 4.0)]


def test_settings_are_flat(logged):
    assert settings_of(logged().identity.measurement) == {
        "backbone": "noise", "backbone.grid": 60, "backbone.native": False, "task": "pf-willow",
        "task.alphas": "[0.1, 0.05]", "task.fill": 0.5, "protocol": "image", "categories": "bus, car", "seed": 3,
    }  # fmt: skip
