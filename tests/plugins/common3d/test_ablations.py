"""The ablations of Table 6: what each changes, and that none of it changes the whole model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from test_training import context
from toy import ColourModel, ToySource

from bench3d.morphable.stage import to_clip
from bench3d.plugins import load_registry, load_settings, renderer_for
from bench3d.records import identity_settings
from bench3d_plugins.common3d.appearance import Scene, dense, reconstruction, sparse, visible
from bench3d_plugins.common3d.model import Common3DModel
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import fit_category, new_network

RAW = {"adapter": False, "raw_channels": 4}
VARIANTS = {
    "raw": {"adapter": False},
    "raw principal": RAW,
    "reconstruction": {**RAW, "appearance_loss": "reconstruction"},
    "sparse": {"appearance_loss": "sparse"},
    "rigid": {"instance_deformation": False},
}


def test_settings_that_came_later_are_no_part_of_the_whole_models_recipe() -> None:
    registration = load_registry().get("shape-model", "common3d")
    later = {"adapter", "raw_channels", "appearance_loss", "background_samples", "instance_deformation"}
    for preset in ("paper", "released", "quick", "vitb"):
        found = identity_settings(load_settings(registration, preset), "fit")
        assert not later & set(found)
    paper = identity_settings(load_settings(registration, "paper"))
    assert identity_settings(load_settings(registration, "vitb")) == paper
    changed = {
        "paper-no-adapter": {"adapter": False, "raw_channels": 16},
        "paper-no-adapter-reconstruction": {"adapter": False, "raw_channels": 16, "appearance_loss": "reconstruction"},
        "paper-no-dense-loss": {"appearance_loss": "sparse"},
        "paper-rigid": {"instance_deformation": False},
    }
    for preset, values in changed.items():
        assert identity_settings(load_settings(registration, preset)) == {**paper, **values}


def test_what_would_make_all_features_equal_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs adapter false"):
        Common3DSettings(appearance_loss="reconstruction")
    with pytest.raises(ValidationError, match="raw_channels needs adapter false"):
        Common3DSettings(raw_channels=16)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_says_what_it_is(
    name: str, tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    settings = tiny.model_copy(update=VARIANTS[name])
    fitted = fit_category(ColourModel(), toy_source, settings, context(tmp_path))
    network, start = fitted.network, new_network(settings, 9, 0)
    names = set(network.state_dict())
    assert any(n.startswith("adapter.") for n in names) == settings.adapter
    assert any(n.startswith(("deformation.", "latent_encoder.")) for n in names) == settings.instance_deformation
    for part in ("feature_field.mlp.0.weight", "background"):  # the appearance loss reaches what is left
        assert not torch.equal(network.state_dict()[part], start.state_dict()[part])
    maps = torch.randn(2, 9, 16, 16)
    instance = network.instance(maps)
    assert instance.features.shape == (2, {"raw": 9, "raw principal": 4, "reconstruction": 4}.get(name, 16), 16, 16)
    assert torch.allclose(instance.features.norm(dim=1), torch.ones(2, 16, 16), atol=1e-5)
    moved = not torch.allclose(instance.vertices[0], network.template()[0], atol=1e-6)
    assert moved == settings.instance_deformation
    if name == "raw":
        assert torch.allclose(instance.features, F.normalize(maps, dim=1))
    history = next(entry for entry in fitted.facts["history"]["appearance"] if "app" in entry)
    assert ("cd" in history) == settings.instance_deformation


def test_variants_share_the_template_of_the_whole_model(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    """Stage 1 knows nothing of the variant: a paired comparison differs in stage 2 alone."""
    short = tiny.model_copy(update={"appearance_iterations": 1})
    whole = fit_category(ColourModel(), toy_source, short, context(tmp_path / "whole")).network.template()[0]
    for name, changes in VARIANTS.items():
        settings = short.model_copy(update=changes)
        other = fit_category(ColourModel(), toy_source, settings, context(tmp_path / name)).network.template()[0]
        assert torch.equal(whole, other), name


def test_raw_directions_are_those_of_the_training_features(
    tmp_path: Path, toy_source: ToySource, tiny: Common3DSettings
) -> None:
    network = fit_category(
        ColourModel(), toy_source, tiny.model_copy(update=RAW), context(tmp_path)
    ).network  # channels: colours, their squares, a smoother copy
    basis = network.raw_basis
    assert torch.allclose(basis @ basis.T, torch.eye(4), atol=1e-5)
    assert not torch.allclose(basis, torch.eye(9)[:4])
    assert 0.1 < network.raw_mean[0] < 0.9  # of a colour


def test_without_an_adapter_correspondence_uses_the_base_alone(tiny: Common3DSettings) -> None:
    for changes, weights in (({}, [0.8, 0.2]), ({"adapter": False}, [1.0])):
        settings = tiny.model_copy(update=changes)
        model = Common3DModel(ColourModel(), {"toy": Common3DNetwork(settings, 9)}, settings, "cpu")
        batch = toy_batch()
        assert [m.weight for m in model.features(batch)] == pytest.approx(weights)


def toy_batch():
    from bench3d.contracts import ImageBatch
    from bench3d.geometry.crops import centre_zoom

    crop = centre_zoom((64, 64), (32.0, 32.0), 1.0, 64)
    return ImageBatch(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64), (crop,), ("a",), "toy")


@pytest.fixture
def scene(tiny: Common3DSettings) -> Scene:
    """A unit sphere straight ahead, as large as the image."""
    network = new_network(tiny.model_copy(update={"grid_cells": 6}), 9, 0)
    vertices, faces = network.template()
    projection = torch.tensor([[2.5, 0, 0, 0], [0, 2.5, 0, 0], [0, 0, 1.2, 3.0], [0, 0, 1, 4.0]])[None]  # z + 4 ahead
    return Scene(
        network=network,
        renderer=renderer_for("cpu"),
        features=F.normalize(torch.randn(1, 16, 16, 16), dim=1),
        vertices=vertices,
        faces=faces,
        clip=to_clip(vertices[None], projection),
        valid=torch.ones(1, 16, 16),
        generator=torch.Generator().manual_seed(0),
    )


def test_visible_are_the_vertices_on_this_side(scene: Scene) -> None:
    seen = visible(scene)[0]
    towards = -scene.vertices[:, 2]  # a unit sphere 4 away: its near cap, z < -1/4, can be seen
    assert seen[towards > 0.4].all()
    assert not seen[towards < -0.1].any()
    half = torch.ones(1, 16, 16)
    half[:, :, 8:] = 0
    cut = visible(Scene(**{**vars(scene), "valid": half}))[0]
    assert not cut[scene.vertices[:, 0] > 0.1].any()
    assert torch.equal(cut[scene.vertices[:, 0] < -0.1], seen[scene.vertices[:, 0] < -0.1])


def test_features_that_say_where_they_are_have_the_least_loss(scene: Scene) -> None:
    """Each pixel given the feature of the surface it shows, against the mirror image of that and against noise."""
    network = scene.network
    with torch.no_grad():
        raster = scene.renderer.rasterize(scene.clip, scene.faces, (16, 16))
        own = network.vertex_features(scene.vertices) - network.background_feature()
        shown = scene.renderer.interpolate(own[None], raster, scene.faces) + network.background_feature()
        right = F.normalize(shown.permute(0, 3, 1, 2), dim=1)
        for loss in (dense, sparse, reconstruction):
            values = []
            for features in (right, right.flip(3), scene.features):
                generator = torch.Generator().manual_seed(0)
                changed = {**vars(scene), "features": features, "generator": generator}
                values.append(float(loss(Scene(**changed))))
            assert values[0] < values[1] < values[2], (loss.__name__, values)
        assert reconstruction(Scene(**{**vars(scene), "features": right})) < 0.1
