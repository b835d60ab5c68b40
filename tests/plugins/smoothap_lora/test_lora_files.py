from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import timm
import torch
from lora_models import DEPTH, TIMM, WIDTH, backbone, images, trained
from safetensors.torch import load_file, save_file

from bench3d.errors import UsageError, WeightsError
from bench3d_plugins.smoothap_lora.adapter import SmoothAPLoRA
from bench3d_plugins.smoothap_lora.artifact import write_artifact
from bench3d_plugins.smoothap_lora.export import merge
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

ADAPTER = SmoothAPLoRA(SmoothAPSettings())


def written(folder: Path, model, **settings):
    adapted, net = trained(model, **settings)
    write_artifact(folder, net, SmoothAPSettings(**settings), recipe="r" * 8, seed=7, facts={"steps": 3})
    return adapted


@pytest.fixture(scope="module")
def tiny():
    return backbone("vit")


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact")
    return folder, written(folder, tiny)


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made[0], tmp_path / "artifact"))


@torch.no_grad()
def features(model, x):
    return model.net(x)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vit", {"conv_layers": 2, "rank": 2, "blocks": 3}),
        ("dinov2", {}),
        ("dinov2-reg", {}),
        ("deit", {"conv_layers": 0}),
        ("open-clip", {"blocks": 1}),
    ],
)
def test_round_trip_and_merged_weights(tmp_path, name, settings):
    model = backbone(name)
    adapted, x = written(tmp_path, model, **settings), images(model)
    artifact = ADAPTER.load(tmp_path)
    assert (artifact.recipe, artifact.category, artifact.facts["steps"]) == ("rrrrrrrr", None, 3)
    again = ADAPTER.apply(model, {"all": artifact}, "cpu")
    expected = features(adapted, x)
    assert torch.equal(features(again, x), expected)
    assert not any(p.requires_grad for p in again.net.parameters())
    assert (features(model, x) - expected).abs().max() > 0.1

    state, conv = merge(artifact, model)
    plain = backbone(name)
    inner = plain.net.features.visual if name.startswith("open") else plain.net.model
    inner.load_state_dict(state)
    adapted.net.conv.load_state_dict(conv)
    with torch.no_grad():
        merged = adapted.net.conv(plain.net(x))
    assert (merged - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_digest_is_that_of_the_weights(made, tiny, tmp_path):
    artifact = ADAPTER.load(made[0])
    written(tmp_path / "same", tiny)
    assert ADAPTER.load(tmp_path / "same").digest == artifact.digest
    written(tmp_path / "other", tiny, conv_layers=2)
    assert ADAPTER.load(tmp_path / "other").digest != artifact.digest


@pytest.mark.parametrize("format", ["peft", "authors", "merged"])
def test_export(made, tiny, tmp_path, format):
    folder, adapted = made
    x = images(tiny)
    out = ADAPTER.export(ADAPTER.load(folder), tiny, tmp_path / "out", format)
    if format == "merged":
        model = timm.create_model(
            TIMM["vit"], embed_dim=WIDTH, depth=DEPTH, num_heads=3, num_classes=0, dynamic_img_size=True
        )
        model.eval().load_state_dict(load_file(out / "model.safetensors"))
        plain = tiny.with_net(lambda net: net, {})
        plain.net.model = model
        with torch.no_grad():
            merged = adapted.net.conv(plain.net(x))
        assert torch.allclose(merged, features(adapted, x), atol=1e-5)
        return
    artifact = ADAPTER.load(out)
    assert artifact.digest == ADAPTER.load(folder).digest
    assert torch.equal(features(ADAPTER.apply(tiny, {"all": artifact}, "cpu"), x), features(adapted, x))


def test_peft_itself_reads_the_folder(made, tiny):
    """Stock peft on a network whose q, k, v were taken apart, without any of our reading."""
    from peft import PeftModel

    from bench3d_plugins.smoothap_lora.attention import find_attention, split

    folder, adapted = made
    net = tiny.with_net(lambda net: net, {}).net
    split(net, find_attention(net)[-4:])
    x = images(tiny)
    with torch.no_grad():
        assert torch.equal(PeftModel.from_pretrained(net, str(folder))(x), adapted.net.lora(x))


def test_formats_that_cannot_hold_an_adapter(tiny, tmp_path):
    for settings, sentence in (({"conv_layers": 2}, "one convolution"), ({"blocks": 3}, "last 4 blocks")):
        written(tmp_path / sentence, tiny, **settings)
        with pytest.raises(UsageError, match=sentence):
            ADAPTER.export(ADAPTER.load(tmp_path / sentence), tiny, tmp_path / "x.ckpt", "authors")
    with pytest.raises(UsageError, match="cannot be exported as onnx"):
        ADAPTER.export(ADAPTER.load(tmp_path / sentence), tiny, tmp_path / "x", "onnx")


@pytest.mark.parametrize(
    ("other", "settings", "sentence"),
    [
        ("vit", {"width": 96}, "width 48; small-vit has 96"),
        ("vit", {"seed": 1}, "of small-vit was trained on other weights"),
        ("vit", {"layer": 4}, "running blocks .* 6; small-vit has 5"),
        ("dinov2", {}, "other weights than small-dinov2"),
    ],
)
def test_another_backbone_is_refused_in_a_sentence(made, other, settings, sentence):
    with pytest.raises((WeightsError, UsageError), match=sentence) as caught:
        ADAPTER.apply(backbone(other, **settings), {"all": ADAPTER.load(made[0])}, "cpu")
    assert caught.value.message.count("\n") == 0


def test_position_embeddings_at_another_size_do_not_matter(made):
    """A tower that is built for one input size has other embeddings where it is built for another."""
    other = backbone("vit")
    other.net.model.pos_embed.add_(1)
    assert ADAPTER.apply(other, {"all": ADAPTER.load(made[0])}, "cpu")


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_tensors(path: Path, change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def first(tensors: dict, pattern: str) -> str:
    return next(key for key in sorted(tensors) if re.search(pattern, key))


FAULTS = {
    "digest": (lambda f: change_json(f / "artifact.json", digest="0" * 64), "artifact.json: field digest"),
    "schema": (lambda f: change_json(f / "artifact.json", schema="x"), "artifact.json: field schema"),
    "rank": (lambda f: change_json(f / "artifact.json", rank=5), "artifact.json: field rank is 5.* have 4"),
    "extra": (lambda f: change_json(f / "artifact.json", more=1), "artifact.json: field more"),
    "setting": (lambda f: change_json(f / "artifact.json", settings={"rank": 0}), "field settings.rank"),
    "json": (lambda f: (f / "artifact.json").write_text("{"), "artifact.json is no readable JSON"),
    "list": (lambda f: (f / "adapter_config.json").write_text("[]"), "adapter_config.json is no JSON object"),
    "config": (lambda f: change_json(f / "adapter_config.json", r=3), "model.safetensors: .* instead of .3, 48"),
    "r": (lambda f: change_json(f / "adapter_config.json", r="4"), "field r is '4'"),
    "dora": (lambda f: change_json(f / "adapter_config.json", use_dora=True), "field use_dora is True"),
    "missing": (lambda f: (f / "adapter_model.safetensors").unlink(), "adapter_model.safetensors cannot be read"),
    "truncated": (
        lambda f: (f / "conv.safetensors").write_bytes((f / "conv.safetensors").read_bytes()[:-9]),
        "conv.safetensors cannot be read",
    ),
    "lacks": (
        lambda f: change_tensors(f / "adapter_model.safetensors", lambda t: t.pop(first(t, "4.*v_proj.lora_B"))),
        "block 4 lacks v_proj.lora_B",
    ),
    "k": (
        lambda f: change_tensors(
            f / "adapter_model.safetensors",
            lambda t: t.update({"blocks.9.qkv.k_proj.lora_A.weight": torch.ones(4, 48)}),
        ),
        "k_proj.lora_A.weight is not LoRA of q_proj or v_proj",
    ),
    "nan": (
        lambda f: change_tensors(f / "conv.safetensors", lambda t: t["0.bias"].fill_(torch.nan)),
        "conv.safetensors: 0.bias holds values that are not finite",
    ),
    "conv": (
        lambda f: change_tensors(f / "conv.safetensors", lambda t: t.update({"0.weight": torch.ones(48, 48, 1, 1)})),
        "0.weight has the shape .*no 3x3",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_artifacts_are_named(folder, fault):
    break_it, sentence = FAULTS[fault]
    break_it(folder)
    with pytest.raises(WeightsError, match=sentence):
        ADAPTER.load(folder)


def test_no_adapter_at_all(tmp_path):
    with pytest.raises(WeightsError, match=r"neither artifact\.json nor adapter_config\.json"):
        ADAPTER.load(tmp_path)
    with pytest.raises(WeightsError, match="There is no checkpoint"):
        ADAPTER.load(tmp_path / "gone")


def test_scaling_of_other_peoples_folders_is_kept(made, folder, tiny):
    """lora_alpha = 2 r doubles the change of every projection."""
    (folder / "artifact.json").unlink()
    change_json(folder / "adapter_config.json", lora_alpha=8)
    doubled = ADAPTER.apply(tiny, {"all": ADAPTER.load(folder)}, "cpu").net.weights()
    once = made[1].net.weights()
    assert torch.allclose(doubled.lora[0]["q.b"], 2 * once.lora[0]["q.b"])
    assert torch.equal(doubled.lora[0]["q.a"], once.lora[0]["q.a"])
