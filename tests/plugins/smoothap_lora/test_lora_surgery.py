from __future__ import annotations

import copy
import re

import pytest
import torch
from lora_models import DEPTH, TIMM, WIDTH, backbone, images, trained
from torch import nn

from bench3d.contracts import Model
from bench3d.errors import UsageError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d.plugins import load_registry
from bench3d_plugins.smoothap_lora.adapter import SmoothAPLoRA, untrained
from bench3d_plugins.smoothap_lora.attention import SplitAttention, SplitProjection
from bench3d_plugins.smoothap_lora.conv import empty_refine, initialise
from bench3d_plugins.smoothap_lora.lora import AdaptedNet, last_sites
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings


@pytest.mark.parametrize("name", TIMM)
def test_untrained_adapter_with_identity_convolution_changes_nothing(name):
    model = backbone(name)
    adapted, _ = untrained(model, SmoothAPSettings(conv_layers=3), seed=0)
    x = images(model)
    with torch.no_grad():
        assert torch.equal(adapted.net(x), model.net(x))


def test_split_projection_is_exact():
    fused = nn.Linear(96, 288)
    x = torch.randn(2, 17, 96)
    assert torch.equal(SplitProjection(fused.weight, fused.bias)(x), fused(x))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_split_attention_answers_as_torchs(batch_first, masked):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(64, 4, batch_first=batch_first).eval()
    nn.init.normal_(attention.in_proj_bias)
    x = torch.randn(3, 11, 64)
    mask = torch.randn(len(x[0]) if batch_first else len(x), 11 if batch_first else 3) if masked else None
    with torch.no_grad():
        expected, _ = attention(x, x, x, need_weights=False, attn_mask=mask)
        answer, _ = SplitAttention(attention)(x, x, x, need_weights=False, attn_mask=mask)
    assert (answer - expected).abs().max() <= 1e-6


def test_open_clip_tower_changes_only_by_rounding():
    model = backbone("open-clip")
    adapted, net = untrained(model, SmoothAPSettings(), seed=0)
    assert [site.name for site in net.sites] == [
        f"features.visual.transformer.resblocks.{i}.attn" for i in range(2, DEPTH)
    ]
    x = images(model)
    with torch.no_grad():
        expected = model.net(x)
        assert (adapted.net(x) - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_lora_sits_on_q_and_v_of_the_last_blocks_and_nowhere_else():
    model = backbone("vit")
    _, net = untrained(model, SmoothAPSettings(rank=3, blocks=2, conv_layers=0), seed=0)
    expected = {
        f"model.blocks.{block}.attn.qkv.{projection}_proj.lora_{kind}"
        for block in (4, 5)
        for projection in "qv"
        for kind in "AB"
    }
    assert {re.sub(r"^lora\.base_model\.model\.|\.default\.weight$", "", name) for name in net.trainable()} == expected
    assert {name for name, p in net.named_parameters() if p.requires_grad} == set(net.trainable())
    a, b = net.weights().lora[0]["q.a"], net.weights().lora[0]["q.b"]
    assert a.shape == (3, WIDTH) and b.shape == (WIDTH, 3) and not b.any()
    bound = WIDTH**-0.5
    assert 0.95 * bound < a.abs().max() <= bound


def test_a_backbone_of_the_registry():
    """Names and layer facts are those that the timm plugin gives; the count is the page's rule at width 192."""
    settings = BackboneSettings(grid=2, layer=-2)
    name = "timm:vit_tiny_patch16_224"
    model = load_registry().create("backbone", name, weights="random", settings=settings, device="cpu")
    _, net = untrained(model, SmoothAPSettings(), seed=0)
    assert [site.index for site in net.sites] == [7, 8, 9, 10] and net.base.blocks == 11
    assert net.base.name == "vit_tiny_patch16_224"
    assert sum(p.numel() for p in net.trainable().values()) == 4 * 2 * 2 * 4 * 192 + 9 * 192**2 + 192


@pytest.mark.slow
def test_trainable_parameters_of_size_b():
    settings = BackboneSettings(grid=2)
    model = load_registry().create("backbone", "dinov2-b", weights="random", settings=settings, device="cpu")
    _, net = untrained(model, SmoothAPSettings(), seed=0)
    count = {name: p.numel() for name, p in net.trainable().items()}
    assert sum(v for k, v in count.items() if "lora_" in k) == 49_152
    assert sum(v for k, v in count.items() if k.startswith("conv.")) == 5_309_184


def test_the_change_is_b_times_a_without_scaling_and_k_stays():
    model = backbone("vit")
    _, net = trained(model)
    projection = net.lora.base_model.model.get_submodule("model.blocks.5.attn.qkv")
    fused, x = model.net.model.blocks[5].attn.qkv, torch.randn(1, 5, WIDTH)
    block = net.weights().lora[-1]
    with torch.no_grad():
        q, k, v = (projection(x) - fused(x)).chunk(3, dim=-1)
    assert not k.any()
    for change, name in ((q, "q"), (v, "v")):
        assert torch.allclose(change, x @ block[f"{name}.a"].T @ block[f"{name}.b"].T, atol=1e-5)
        assert change.abs().max() > 0.01


def test_blocks_behind_the_layer_are_not_counted():
    model = backbone("vit", layer=3)
    assert [site.index for site in last_sites(model, 4)] == [0, 1, 2, 3]
    with pytest.raises(UsageError, match="runs only 4"):
        last_sites(model, 5)


@pytest.mark.parametrize("init", ["identity", "published"])
def test_gradients_reach_what_is_trained_and_nothing_else(init):
    model = backbone("vit")
    adapted, net = untrained(model, SmoothAPSettings(conv_init=init), seed=0)
    before = {name: value.clone() for name, value in net.named_parameters()}
    torch.nn.functional.normalize(adapted.net(images(model)), dim=1)[:, 0].sum().backward()
    optimiser = torch.optim.AdamW(net.trainable().values(), lr=1e-2)
    optimiser.step()
    moved = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
    # B is zero, so the first gradient of A is; weight decay moves it all the same.
    assert moved == set(net.trainable())


def test_the_model_that_was_given_stays_as_it_is():
    model = backbone("vit")
    fingerprint, state = model.fingerprint(), torch.random.get_rng_state()
    adapted, _ = trained(model)
    assert model.fingerprint() == fingerprint != adapted.fingerprint() is not None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert adapted.canvas == model.canvas and adapted.describe()["adapter"]["name"] == "smoothap-lora"


def test_seeds_draw_the_same_values_again():
    model = backbone("vit")
    settings = SmoothAPSettings(conv_init="published")
    drawn = [untrained(model, settings, seed)[1].weights().tensors() for seed in (0, 0, 1)]
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not torch.equal(drawn[0]["lora.0.q.a"], drawn[2]["lora.0.q.a"])
    assert not torch.equal(drawn[0]["conv.0.0"], drawn[2]["conv.0.0"])


def test_published_initialisation_is_torchs_distribution():
    refine = empty_refine(32, 2)
    initialise(refine, "published", torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    torchs = nn.Conv2d(32, 32, 3, padding=1)
    for ours, theirs in ((refine[1].weight, torchs.weight), (refine[1].bias, torchs.bias)):
        assert ours.shape == theirs.shape
        assert ours.abs().max() <= 1 / (32 * 9) ** 0.5 and theirs.abs().max() <= 1 / (32 * 9) ** 0.5
    assert refine[1].weight.std().item() == pytest.approx(torchs.weight.std().item(), rel=0.05)


class Attention(nn.Module):
    def __init__(self, width: int, q_bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.qkv, self.q_bias = nn.Linear(width, 3 * width), q_bias


def module(**children: nn.Module) -> nn.Module:
    return nn.ModuleDict(children)


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (lambda images: images, "DenseBackbone is none"),
        (nn.Conv2d(3, 8, 4), "no attention layers"),
        # Hierarchical transformers: blocks of several stages.
        (nn.ModuleList([nn.ModuleList([module(a=Attention(w))]) for w in (4, 8)]).append(nn.Identity()), None),
        (nn.ModuleDict({"s1": nn.ModuleList([Attention(4)]), "s2": nn.ModuleList([Attention(8)])}), "several stages"),
        # The weight of the layer is read past its forward.
        (nn.ModuleList([Attention(4, torch.zeros(4))]), "no attention layers"),
        # A pooling head is no block.
        (module(pool=Attention(4)), "no attention layers"),
    ],
)
def test_models_without_plain_attention_are_refused_in_a_sentence(net, sentence):
    model = DenseBackbone(net, patch=4, settings=BackboneSettings())
    with pytest.raises(UsageError, match=sentence or "several stages"):
        untrained(model, SmoothAPSettings(), seed=0)


def test_a_model_that_is_no_backbone_is_refused():
    with pytest.raises(UsageError, match="Model is none"):
        untrained(Model(), SmoothAPSettings(), seed=0)


def test_an_adapted_model_is_not_adapted_again():
    adapted, _ = trained(backbone("vit"))
    assert isinstance(copy.deepcopy(adapted).net, AdaptedNet)
    with pytest.raises(UsageError, match="already"):
        untrained(adapted, SmoothAPSettings(), seed=0)
    with pytest.raises(UsageError, match="one artifact"):
        SmoothAPLoRA(SmoothAPSettings()).apply(adapted, {}, "cpu")
