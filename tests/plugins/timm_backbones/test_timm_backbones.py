import re

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from bench3d.contracts import ImageBatch
from bench3d.errors import UnknownNameError, UsageError, WeightsError
from bench3d.features import weights
from bench3d.features.settings import BackboneSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry
from bench3d_plugins.timm_backbones.model import create
from bench3d_plugins.timm_backbones.names import MODELS

TINY = "vit_tiny_patch16_224.augreg_in21k"
SETTINGS = BackboneSettings(grid=4)


def make(source="random", settings=SETTINGS, variant=TINY):
    return create(str(source), settings, "cpu", variant)


def images(side=64, count=2):
    pixels = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    geometry = (PixelGeometry.identity((side, side)),) * count
    return ImageBatch(pixels, torch.ones(count, 1, side, side), geometry, tuple(map(str, range(count))))


def values(model, side=64):
    return model.features(images(side))[0].map.values


def donor(seed=5, **options):
    torch.manual_seed(seed)
    return timm.create_model("vit_tiny_patch16_224", **options).eval()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_registrations_tell_the_truth(name):
    registration = load_registry().get("backbone", name)
    with torch.device("meta"):
        model = timm.create_model(MODELS[name].timm, num_classes=0)
    assert registration.params == sum(p.numel() for p in model.parameters())
    assert registration.patch == model.patch_embed.patch_size[0]
    assert registration.dim == model.num_features
    assert registration.weights.id == model.pretrained_cfg["hf_hub_id"]
    assert registration.licence.lower() == (model.pretrained_cfg["license"] if name != "clip" else "mit")


def test_names_stand_for_sizes():
    assert MODELS["dinov2"] is MODELS["dinov2-s"]
    assert MODELS["dinov2-reg"] is MODELS["dinov2-reg-s"]
    assert MODELS["clip"].timm != MODELS["clip-iclr25"].timm


def test_random_weights_come_from_their_seed_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = make()
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(2)
    assert torch.equal(values(first), values(make()))
    other = make(settings=BackboneSettings(grid=4, seed=1))
    assert not torch.allclose(values(first), values(other), atol=1e-2)
    assert first.random_weights
    assert first.describe()["weights"] == {"source": "random", "seed": 0}


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_gives_the_network_that_was_saved(tmp_path, suffix):
    source = donor()
    path = tmp_path / f"tiny.{suffix}"
    if suffix == "pth":
        torch.save({"model": source.state_dict(), "epoch": 7}, path)
    else:
        save_file(source.state_dict(), path)
    model = make(path)
    batch = images()
    mean, std = torch.full((1, 3, 1, 1), 0.5), torch.full((1, 3, 1, 1), 0.5)
    dynamic = donor(dynamic_img_size=True)
    dynamic.load_state_dict(source.state_dict())
    with torch.inference_mode():
        tokens = dynamic.forward_features((batch.images - mean) / std)[:, 1:]
    expected = tokens.transpose(1, 2).reshape(2, 192, 4, 4)
    assert torch.allclose(values(model), expected, atol=1e-5)
    facts = model.describe()
    assert not model.random_weights
    assert facts["weights"]["file"] == path.name
    assert re.fullmatch("[0-9a-f]{64}", facts["weights_sha256"])
    assert (facts["params"], facts["patch"], facts["dim"], facts["layer"]) == (5524416, 16, 192, 11)


def test_positions_of_another_size_are_resampled(tmp_path):
    larger = donor(img_size=384)
    save_file(larger.state_dict(), tmp_path / "large.safetensors")
    net = make(tmp_path / "large.safetensors").net.model
    expected = timm.layers.resample_abs_pos_embed(larger.pos_embed, [14, 14], num_prefix_tokens=1)
    assert torch.allclose(net.pos_embed, expected, atol=1e-6)
    assert torch.equal(net.blocks[3].mlp.fc1.weight, larger.blocks[3].mlp.fc1.weight)


def test_the_naming_of_the_dinov2_hub_files(tmp_path):
    variant = MODELS["dinov2-reg"].timm
    torch.manual_seed(3)
    source = timm.create_model(variant, num_classes=0)
    state = source.state_dict()
    # The official file: positions include the class token's, registers under another name, a mask token on top.
    position = torch.randn(1, 1, 384) * 0.02
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - position
    state["mask_token"] = torch.zeros(1, 384)
    torch.save(state, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    net = make(tmp_path / "dinov2_vits14_reg4_pretrain.pth", variant=variant).net.model
    for name, value in source.state_dict().items():
        assert torch.allclose(net.state_dict()[name], value, atol=1e-6), name


def test_files_that_do_not_fit_are_explained(tmp_path):
    state = donor().state_dict()
    cases = {
        "missing": (
            {k: v for k, v in state.items() if k != "blocks.2.attn.qkv.bias"},
            "1 missing (blocks.2.attn.qkv.bias)",
        ),
        "extra": ({**state, "decoder.weight": torch.zeros(2)}, "1 unexpected (decoder.weight)"),
        "shape": ({**state, "norm.weight": torch.ones(7)}, "norm.weight (7,) instead of (192,)"),
        "other": (timm.create_model("resnet18").state_dict(), "missing (cls_token"),
    }
    for name, (content, expected) in cases.items():
        save_file(content, tmp_path / f"{name}.safetensors")
        with pytest.raises(WeightsError, match=re.escape(expected)):
            make(tmp_path / f"{name}.safetensors")
    with pytest.raises(WeightsError, match=r"no weights file .*nowhere"):
        make("nowhere.pth")


def test_a_conv_net_from_a_file(tmp_path):
    torch.manual_seed(0)
    source = timm.create_model("resnet18").eval()
    save_file(source.state_dict(), tmp_path / "resnet.safetensors")
    model = make(tmp_path / "resnet.safetensors", BackboneSettings(grid=4, layer=2), "resnet18")
    assert (model.patch, model.canvas, model.origin) == (8, 32, -3.5)
    config = timm.data.resolve_model_data_config(source)
    mean, std = (torch.tensor(config[k])[None, :, None, None] for k in ("mean", "std"))
    with torch.inference_mode():
        x = source.maxpool(source.act1(source.bn1(source.conv1((images(32).images - mean) / std))))
        expected = source.layer2(source.layer1(x))
    assert torch.allclose(values(model, 32), expected, atol=1e-5)


def test_layers_and_tokens():
    last = make()
    prenorm = make(settings=BackboneSettings(grid=4, tokens="prenorm"))
    tokens = values(prenorm).permute(0, 2, 3, 1)
    normed = torch.nn.functional.layer_norm(tokens, (192,), eps=1e-6).permute(0, 3, 1, 2)
    assert torch.allclose(values(last), normed, atol=1e-4)
    assert not torch.allclose(values(last), values(prenorm), atol=1e-2)
    assert torch.equal(values(make(settings=BackboneSettings(grid=4, layer=-1))), values(last))
    assert torch.equal(
        values(make(settings=BackboneSettings(grid=4, layer=-3))),
        values(make(settings=BackboneSettings(grid=4, layer=9))),
    )
    for layer in (12, -13):
        with pytest.raises(UsageError, match="layers 0 to 11"):
            make(settings=BackboneSettings(grid=4, layer=layer))


def test_policies_decide_the_input():
    assert make(settings=BackboneSettings(input_size=100)).canvas == 96
    native = make(settings=BackboneSettings(native=True))
    assert native.canvas is None
    geometry = PixelGeometry.identity((70, 50))
    batch = ImageBatch(torch.rand(1, 3, 50, 70), torch.ones(1, 1, 50, 70), (geometry,), ("a",))
    found = native.features(batch)[0].map
    assert found.values.shape == (1, 192, 3, 4)
    assert found.geometry[0].input_size == (64, 48)
    assert found.locate(torch.tensor([[[4.0, 3.0]]])).tolist() == [[[70.0, 50.0]]]


def test_names_that_timm_does_not_know():
    with pytest.raises(UnknownNameError, match="vit_tiny_patch16_224"):
        make(variant="vit_tinny_patch16_224")
    with pytest.raises(UnknownNameError, match=r"vit_tiny_patch16_224\.augreg_in21k"):
        make(variant="vit_tiny_patch16_224.augreg_in22k")


def test_models_without_free_size_or_norm_say_so():
    beit = make(variant="beit_base_patch16_224", settings=BackboneSettings(grid=4, layer=0))
    assert values(beit).shape == (2, 768, 4, 4)
    geometry = PixelGeometry.identity((64, 32))
    wide = ImageBatch(torch.rand(1, 3, 32, 64), torch.ones(1, 1, 32, 64), (geometry,), ("a",))
    with pytest.raises(UsageError, match="refuses a 64x32 input"):
        beit.features(wide)


def test_pretrained_from_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    with pytest.raises(WeightsError, match=f"timm/{TINY}"):
        make("pretrained")
    commit = "0123456789" * 4
    folder = tmp_path / f"models--timm--{TINY}"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    source = donor()
    save_file(source.state_dict(), folder / "snapshots" / commit / "model.safetensors")
    model = make("pretrained")
    assert torch.equal(model.net.model.norm.bias, source.norm.bias)
    assert torch.equal(model.net.model.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
    assert model.describe()["weights_digest"] == f"timm/{TINY}@{commit}"
    assert not model.random_weights


def test_a_model_without_published_weights_says_so():
    with pytest.raises(WeightsError, match="publishes no weights"):
        make("pretrained", variant="mixer_s32_224")
