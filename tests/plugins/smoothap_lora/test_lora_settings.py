from __future__ import annotations

import pytest
import timm
import torch

from bench3d.errors import UsageError
from bench3d.plugins import load_registry
from bench3d.plugins.settings import load_settings, preset_names
from bench3d_plugins.smoothap_lora.attention import find_attention
from bench3d_plugins.timm_backbones.names import MODELS


def test_presets_are_valid_and_train_at_their_size():
    registration = load_registry().get("adapter", "smoothap-lora")
    assert preset_names(registration) == ["paper", "quick"]
    for name, grid in (("paper", 80), ("quick", 16)):
        assert load_settings(registration, name).grid == grid
    paper = load_settings(registration, "paper")
    assert (paper.conv_init, paper.iterations, paper.learning_rate, paper.as_published) == (
        "published",
        10_000,
        1e-5,
        False,
    )


def test_wrong_values_are_refused():
    registration = load_registry().get("adapter", "smoothap-lora")
    for wrong, sentence in (({"positive": 0.2}, "smaller than negative"), ({"ranks": 4}, "adapter.rank")):
        with pytest.raises(UsageError, match=sentence):
            load_settings(registration, overrides=wrong)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_named_backbone_has_its_blocks_found(name):
    with torch.device("meta"):
        model = timm.create_model(MODELS[name].timm, num_classes=0, dynamic_img_size=True)
    sites = find_attention(model)
    assert [site.name for site in sites] == [f"blocks.{i}.attn" for i in range(len(model.blocks))]
    assert {site.dim for site in sites} == {MODELS[name].dim}
