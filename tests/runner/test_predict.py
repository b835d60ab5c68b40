"""`predict` on a photograph that is a cube, with a model that knows the answer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bench3d.runner.photo as photo_module
from bench3d.contracts import Model, NullProgress, PoseEstimate
from bench3d.errors import CapabilityError, DataError, UsageError, WeightsError
from bench3d.geometry.camera import viewpoint_rotation
from bench3d.runner import PredictSpec, predict

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], dtype=np.int32,
)  # fmt: skip


class Known(Model):
    """Sees azimuth 40 in every box, at the distance where a cube fills it; from another start, it stays there."""

    capabilities = frozenset({"features", "pose", "shape"})
    canvas = 64

    def __init__(self):
        self.calls = []

    def pose(self, batch, given):
        self.calls.append((batch, given))
        rotation = torch.from_numpy(viewpoint_rotation(40.0, 10.0, 0.0))[None].float()
        score = 2.0
        if given.rotation is not None:
            rotation, score = given.rotation, 1.0
        distance = float(given.intrinsics[0, 0, 0]) * 2 / 64
        return PoseEstimate(rotation, torch.tensor([[0.0, 0.0, distance]]), torch.tensor([score]))

    def shape(self, batch, given):
        return torch.from_numpy(CUBE)[None], torch.from_numpy(FACES)


@pytest.fixture
def known(monkeypatch):
    model = Known()
    monkeypatch.setattr(photo_module, "_model", lambda spec, device: model)
    return model


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "mine.png"
    Image.fromarray(np.full((80, 120, 3), 90, dtype=np.uint8)).save(path)
    return path


def ask(photo, tmp_path, **changes):
    values = {"category": "car", "backbone": "b", "shape_model": "s", "out": tmp_path / "o.png", "device": "cpu"}
    return predict(PredictSpec(photo=photo, **(values | changes)), NullProgress())


def test_the_box_becomes_the_crop_and_the_picture_shows_the_mesh_there(photo, tmp_path, known):
    found = ask(photo, tmp_path, box=(20, 20, 60, 60), out_json=tmp_path / "o.json")
    batch, given = known.calls[0]
    assert batch.geometry[0].original_to_input(np.array([40.0, 40.0])) == pytest.approx([32, 32])
    margin = 64 / 1.1
    np.testing.assert_allclose(
        given.box[0], [32 - margin / 2, 32 - margin / 2, 32 + margin / 2, 32 + margin / 2], rtol=1e-5
    )
    assert (given.category, given.translation) == ("car", None)
    assert found["azimuth"] == pytest.approx(40, abs=1e-3) and found["elevation"] == pytest.approx(10, abs=1e-3)
    assert json.loads((tmp_path / "o.json").read_text()) == found
    picture = np.asarray(Image.open(tmp_path / "o.png")).astype(int)
    tile = picture[-8 - 267 : -8, 8 + 400 + 8 : 8 + 400 + 8 + 400]
    orange = np.argwhere(tile[..., 0] - tile[..., 2] > 60)
    centre = orange.mean(axis=0) / (400 / 120)
    assert centre == pytest.approx([40, 40], abs=4), "row, column of the box's centre"


def test_quarter_turns_are_named_as_alternatives(photo, tmp_path, known):
    found = ask(photo, tmp_path)
    assert sorted(round(a["azimuth"]) for a in found["alternatives"]) == [130, 220, 310]
    assert {a["score"] for a in found["alternatives"]} == {1.0}


def test_a_known_focal_length_is_taken_in_pixels_of_the_photo(photo, tmp_path, known):
    found = ask(photo, tmp_path, box=(20, 20, 60, 60), focal=500.0)
    scale = known.calls[0][0].geometry[0].scale[0]
    assert float(known.calls[0][1].intrinsics[0, 0, 0]) == pytest.approx(500 * scale)
    assert found["focal_pixels"] == pytest.approx(500) and not found["focal_assumed"]


def test_the_orientation_that_the_camera_noted_is_applied(tmp_path, known):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(np.zeros((40, 90, 3), dtype=np.uint8)).save(tmp_path / "p.jpg", exif=exif)
    assert ask(tmp_path / "p.jpg", tmp_path)["box"] == [0, 0, 40, 90]


@pytest.mark.parametrize(
    ("box", "words"), [((10, 10, 10, 40), "empty"), ((200, 0, 300, 50), "outside"), ((0, 0, float("nan"), 9), "empty")]
)
def test_a_useless_box_is_a_sentence(photo, tmp_path, known, box, words):
    with pytest.raises(UsageError, match=words):
        ask(photo, tmp_path, box=box)


def test_a_photo_that_is_none_is_a_sentence(tmp_path, known):
    (tmp_path / "p.jpg").write_bytes(b"not an image")
    for name, words in (("p.jpg", "no readable image"), ("absent.jpg", "There is no photo")):
        with pytest.raises(DataError, match=words):
            ask(tmp_path / name, tmp_path)
    assert not (tmp_path / "o.png").exists()


def test_an_untrained_category_names_the_command(spec, photo, tmp_path):
    with pytest.raises(WeightsError, match=r"bench3d train --backbone fake-net --adapter fake-shape --category car"):
        ask(photo, tmp_path, backbone="fake-net", shape_model="fake-shape", data=spec.data, results=tmp_path / "r")


def test_a_checkpoint_brings_its_settings_and_refuses_another_backbone(spec, photo, tmp_path, go, fakes, monkeypatch):
    plan, _ = go(spec, settings={"shape": {"rate": "0.125"}, "backbone": {"layer": "3"}})
    folder = Path(plan.jobs[0].folder)
    seen = {}
    monkeypatch.setattr(
        fakes, "create_shape", lambda settings, make=fakes.create_shape: seen.update(s=settings) or make(settings)
    )
    made = photo_module._model(
        PredictSpec(
            photo=photo, category="car", backbone="fake-net", shape_model="fake-shape", out=tmp_path / "o.png",
            checkpoint=folder, data=tmp_path / "nowhere",
        ),
        "cpu",
    )  # fmt: skip
    assert "pose" in made.capabilities and seen["s"].rate == 0.125
    with pytest.raises(WeightsError, match="fitted on the backbone fake-net"):
        ask(photo, tmp_path, backbone="fake-floor", shape_model="fake-shape", checkpoint=folder)
    with pytest.raises(WeightsError, match="trained for car"):
        ask(photo, tmp_path, backbone="fake-net", shape_model="fake-shape", checkpoint=folder, category="chair")


def test_mesh_and_mask_are_the_objects(photo, tmp_path, known):
    import trimesh

    found = ask(photo, tmp_path, box=(20, 20, 60, 60), mesh=tmp_path / "o.ply", mask=tmp_path / "m.png")
    mesh = trimesh.load(found["mesh"], process=False)
    np.testing.assert_allclose(mesh.vertices, CUBE, atol=1e-6)
    mask = np.asarray(Image.open(found["mask"])).astype(float) / 255
    assert mask.shape == (80, 120), "the photograph's size"
    rows, columns = np.nonzero(mask > 0.5)
    assert [rows.mean() + 0.5, columns.mean() + 0.5] == pytest.approx([40, 40], abs=1.5)
    assert 44 < np.ptp(columns) < 85 and mask.max() == 1


def test_a_model_without_a_shape_writes_no_mesh(photo, tmp_path, known):
    known.capabilities = frozenset({"features", "pose"})
    with pytest.raises(CapabilityError, match="no shape"):
        ask(photo, tmp_path, mesh=tmp_path / "o.ply")
    assert not (tmp_path / "o.ply").exists()
