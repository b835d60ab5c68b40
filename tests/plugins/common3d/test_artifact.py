from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench3d.errors import WeightsError
from bench3d.plugins import load_registry, load_settings
from bench3d_plugins.common3d.artifact import INDEX, WEIGHTS, load_network, read_artifact, write_artifact
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import new_network


@pytest.fixture
def network(tiny: Common3DSettings) -> Common3DNetwork:
    return new_network(tiny, 9, seed=0)


@pytest.fixture
def folder(tmp_path: Path, network: Common3DNetwork) -> Path:
    last = {name: value.contiguous() + 1 for name, value in network.state_dict().items()}
    write_artifact(tmp_path, network, last, category="car", recipe="abc", seed=3, facts={"seconds": 1.5})
    return tmp_path


def change_index(folder: Path, **changes: object) -> None:
    raw = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**raw, **changes}))


def test_round_trip(folder: Path, network: Common3DNetwork) -> None:
    artifact = read_artifact(folder)
    assert (artifact.category, artifact.recipe, artifact.facts) == ("car", "abc", {"seconds": 1.5})
    loaded = load_network(folder, "cpu")
    assert loaded.settings == network.settings
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in loaded.state_dict().items())
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_missing_and_unreadable_index(folder: Path) -> None:
    (folder / INDEX).write_text("{")
    with pytest.raises(WeightsError, match=INDEX):
        read_artifact(folder)
    (folder / INDEX).unlink()
    with pytest.raises(WeightsError, match=f"holds no {INDEX}"):
        read_artifact(folder)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema": "other/1"}, "schema"),
        ({"channels": "many"}, "channels"),
        ({"settings": {"canvas": -1}}, r"settings\.canvas"),
        ({"settings": {"unheard_of": 1}}, r"settings\.unheard_of"),
        ({"files": {}}, "files"),
        ({"files": {WEIGHTS: "0" * 64, "../../elsewhere": "0" * 64}}, "files"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_wrong_fields_are_named(folder: Path, changes: dict, field: str) -> None:
    change_index(folder, **changes)
    with pytest.raises(WeightsError, match=f"{INDEX}: field {field}"):
        read_artifact(folder)


def test_changed_truncated_and_missing_weights_are_named(folder: Path) -> None:
    path = folder / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match=rf"{WEIGHTS} is not the file .* \(files\.{WEIGHTS}\)"):
        read_artifact(folder)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=WEIGHTS):
        load_network(folder, "cpu")
    path.unlink()
    with pytest.raises(WeightsError, match=WEIGHTS):
        read_artifact(folder)


def test_weights_of_another_shape_or_not_finite_are_refused(folder: Path) -> None:
    change_index(folder, channels=10)
    with pytest.raises(WeightsError, match="does not fit the settings"):
        load_network(folder, "cpu")
    change_index(folder, channels=9)
    tensors = load_file(folder / WEIGHTS)
    tensors["background"][0] = float("nan")
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(WeightsError, match="background"):
        load_network(folder, "cpu")


def settings_of(preset: str) -> Common3DSettings:
    registration = load_registry().get("shape-model", "common3d")
    return load_settings(registration, preset)


def test_paper_preset_is_table_7() -> None:
    s = settings_of("paper")
    weights = (s.weight_appearance, s.weight_chamfer, s.weight_mask, s.weight_distance, s.weight_eikonal)
    assert weights == (0.1, 0.1, 1, 100, 0.01)
    assert (s.weight_deformation, s.weight_smoothness) == (0.1, 0.01)
    assert (s.label_sigma, s.temperature, s.surface_samples, s.blend) == ("eq14", 0.07, 150, 0.2)
    assert (s.batch, s.accumulate, s.learning_rate, s.weight_decay) == (12, 2, 1e-4, 1e-4)
    assert (s.template_epochs, s.appearance_epochs, s.canvas, s.render_size) == (20, 20, 512, 64)
    assert s == Common3DSettings()


def test_released_preset_differs_from_the_paper_where_the_page_says() -> None:
    paper, released = settings_of("paper").model_dump(), settings_of("released").model_dump()
    assert {key: value for key, value in released.items() if value != paper[key]} == {
        "weight_chamfer": 0.01,
        "weight_mask": 2.0,
        "weight_distance": 200.0,
        "weight_deformation": 0.075,
        "weight_smoothness": 0.0075,
        "label_sigma": 0.01,
        "blend": 0.1,
    }


def test_quick_preset_is_small() -> None:
    quick = settings_of("quick")
    assert (quick.adapter_dilation, quick.adapter_upsample, quick.views) == ((2, 5, 10), False, "cached")
    assert sum(p.numel() for p in Common3DNetwork(quick, 84).parameters()) < 600_000
