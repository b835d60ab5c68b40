from __future__ import annotations

import pathlib
import pickle

import pytest
import torch
from lora_models import WIDTH as DIM
from lora_models import backbone, images

from bench3d.errors import WeightsError
from bench3d_plugins.smoothap_lora.adapter import SmoothAPLoRA
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

ADAPTER = SmoothAPLoRA(SmoothAPSettings())
RANK = 4


def lightning() -> dict:
    """What the published code's Trainer leaves, with the callbacks and optimiser states that lie beside the weights."""
    g = torch.Generator().manual_seed(0)
    content = {
        "epoch": 99,
        "global_step": 10_000,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": {
            "refine_conv": {
                "weight": 0.02 * torch.randn(DIM, DIM, 3, 3, generator=g),
                "bias": torch.randn(DIM, generator=g),
            }
        },
        "callbacks": {"ModelCheckpoint{}": {"best_model_score": None, "dirpath": pathlib.PurePosixPath("a").name}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-5}]}],
        "lr_schedulers": [],
        "loops": {"fit_loop": {"state_dict": {}}},
    }
    for index in range(8):
        content[f"w_a_{index:03d}"] = torch.nn.Parameter(0.5 * torch.randn(RANK, DIM, generator=g))
        content[f"w_b_{index:03d}"] = torch.nn.Parameter(0.5 * torch.randn(DIM, RANK, generator=g))
    return content


@pytest.fixture
def save(tmp_path):
    def write(content) -> pathlib.Path:
        torch.save(content, tmp_path / "dinov2_tiny.ckpt")
        return tmp_path / "dinov2_tiny.ckpt"

    return write


def test_the_published_layout_computes_what_the_published_code_computes(save):
    """q gets w_a[2i], w_b[2i] and v the next ones, from the fourth block from the end on; then the convolution."""
    content, model = lightning(), backbone("vit")
    adapted = ADAPTER.apply(model, {"all": ADAPTER.load(save(content))}, "cpu")
    x = images(model)

    def hook(index):
        def add(layer, inputs, output):
            for offset, part in ((0, slice(0, DIM)), (1, slice(2 * DIM, None))):
                a, b = (content[f"w_{k}_{2 * index + offset:03d}"] for k in "ab")
                output[..., part] += inputs[0] @ a.T @ b.T
            return output

        return add

    conv = content["state_dict"]["refine_conv"]
    with torch.no_grad():
        answer = adapted.net(x)
        plain = model.net(x)
        handles = [b.attn.qkv.register_forward_hook(hook(i)) for i, b in enumerate(model.net.model.blocks[-4:])]
        expected = torch.nn.functional.conv2d(model.net(x), conv["weight"], conv["bias"], padding=1)
        for handle in handles:
            handle.remove()
    assert (answer - expected).abs().max() <= 1e-5 * expected.abs().max()
    unadapted = torch.nn.functional.conv2d(plain, conv["weight"], conv["bias"], padding=1)
    assert (unadapted - expected).abs().max() > 0.1 * expected.abs().max()


def test_paths_and_default_dictionaries_beside_the_weights_are_no_obstacle(save):
    from collections import defaultdict

    content = lightning()
    content["callbacks"] = {"ModelCheckpoint": {"dirpath": pathlib.Path("checkpoints"), "more": defaultdict(list)}}
    assert ADAPTER.load(save(content)).facts["rank"] == RANK


def test_nothing_in_a_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "sprung",)

    for path, write in (
        (tmp_path / "zip.ckpt", lambda p: torch.save(lightning() | {"callbacks": Trap()}, p)),
        (tmp_path / "pickle.ckpt", lambda p: p.write_bytes(pickle.dumps(Trap(), protocol=2))),
    ):
        write(path)
        with pytest.raises(WeightsError, match=f"{path.name} is no readable checkpoint"):
            ADAPTER.load(path)
    assert not (tmp_path / "sprung").exists()


def without(key):
    return lambda c: c.pop(key)


def put(key, value):
    return lambda c: c.update({key: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("w_b_003"), "the key w_b_003 is missing"),
        (without("w_a_005"), "the key w_a_005 is missing"),
        (without("state_dict"), "the key state_dict.refine_conv is missing"),
        (put("state_dict", {"refine_conv": {"weight": torch.ones(2, 2, 3, 3)}}), "refine_conv.bias is missing"),
        (put("w_a_002", torch.ones(RANK, 384)), r"w_a_002 has the shape \(4, 384\) instead of \(4, 48\)"),
        (put("w_b_000", torch.ones(DIM, 8)), r"w_b_000 has the shape \(48, 8\) instead of \(48, 4\)"),
        (put("w_a_000", torch.ones(0, DIM)), r"w_a_000 has the shape \(0, 48\)"),
        (put("w_a_001", "text"), "w_a_001 is no tensor but a str"),
        (put("w_a_001", torch.full((RANK, DIM), torch.inf)), "w_a_001 holds values that are not finite"),
        (lambda c: [c.pop(f"w_{k}_{i:03d}") for k in "ab" for i in range(8)], "0 keys w_a_000"),
        (lambda c: [c.pop(f"w_{k}_007") for k in "ab"], "7 keys w_a_000"),
        (
            put("state_dict", {"refine_conv": {"weight": torch.ones(DIM, DIM, 1, 1), "bias": torch.ones(DIM)}}),
            r"refine_conv.weight has the shape \(48, 48, 1, 1\)",
        ),
    ],
)
def test_a_wrong_file_says_which_key_or_shape(save, change, sentence):
    content = lightning()
    change(content)
    with pytest.raises(WeightsError, match=sentence):
        ADAPTER.load(save(content))


def test_files_that_are_no_checkpoint(save, tmp_path):
    whole = save(lightning()).read_bytes()
    (tmp_path / "short.ckpt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.ckpt").write_text("hello")
    for name in ("short.ckpt", "text.ckpt"):
        with pytest.raises(WeightsError, match=f"{name} is no readable checkpoint"):
            ADAPTER.load(tmp_path / name)
    with pytest.raises(WeightsError, match="holds no mapping but a list"):
        ADAPTER.load(save([1, 2]))


def test_another_width_or_too_few_blocks(save):
    artifact = ADAPTER.load(save(lightning()))
    with pytest.raises(WeightsError, match="width 48; small-dinov2 has 96"):
        ADAPTER.apply(backbone("dinov2", width=96), {"all": artifact}, "cpu")
    with pytest.raises(WeightsError, match=r"4 blocks .* runs 2"):
        ADAPTER.apply(backbone("vit", layer=1), {"all": artifact}, "cpu")


def test_hub_files_come_from_the_cache(save, monkeypatch):
    """`organisation/repository/file` is looked for in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache  # noqa: F401

    path = save(lightning())
    asked = []

    def cached(repo, name, revision=None):
        asked.append((repo, name))
        return str(path)

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", cached)
    assert ADAPTER.load("qq456cvb/3DCorrEnhance/dinov2_base.ckpt").facts["dim"] == DIM
    assert ("qq456cvb/3DCorrEnhance", "dinov2_base.ckpt") in asked
