"""Fingerprints: equal for equal models, another one for anything that changes a feature, None where nobody can tell."""

import copy
import importlib
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench3d.features.backbone import DenseBackbone
from bench3d.features.fingerprint import source_digest
from bench3d.features.settings import InputSettings


class Net(nn.Module):
    def __init__(self, heads=2):
        super().__init__()
        torch.manual_seed(0)
        self.heads = heads
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4, eps=1e-5))
        self.register_buffer("hidden", torch.ones(2), persistent=False)

    def forward(self, images):
        return self.layers(images)


class OtherNet(Net):
    pass


def pooled(images):
    return F.avg_pool2d(images, 8)


def model(net=None, **options):
    options = {"patch": 8, "settings": InputSettings(grid=4), **options}
    return DenseBackbone(net or Net(), **options)


def change(what):
    def apply(m):
        what(m)
        return m

    return apply


CHANGES = {
    "in place": change(lambda m: m.net.layers[0].weight.data.add_(1)),
    "in place without autograd's knowing": change(lambda m: m.net.layers[0].weight.data.view(-1).numpy().fill(0.5)),
    "load_state_dict": change(lambda m: m.net.load_state_dict({k: v + 1 for k, v in m.net.state_dict().items()})),
    "replaced": change(lambda m: setattr(m.net.layers[0], "bias", nn.Parameter(torch.ones(4)))),
    "hidden buffer": change(lambda m: m.net.hidden.add_(1)),
    "running mean": change(lambda m: m.net.layers[1].running_mean.add_(1)),
    "plain attribute": change(lambda m: setattr(m.net, "heads", 3)),
    "eps": change(lambda m: setattr(m.net.layers[1], "eps", 1e-6)),
    "settings": change(lambda m: setattr(m, "settings", InputSettings(grid=5))),
    "mean": change(lambda m: setattr(m, "_mean", (0.5, 0.5, 0.5))),
    "class": lambda m: model(OtherNet()),
    "dtype": change(lambda m: m.net.double()),
    "interpolation": lambda m: model(interpolation="bicubic"),
    "origin": lambda m: model(origin=0.5),
    "patch": lambda m: model(patch=4),
}


@pytest.mark.parametrize("name", CHANGES)
def test_anything_that_changes_a_feature_changes_it(name):
    before = model()
    first = before.fingerprint()
    assert first == before.fingerprint() == model().fingerprint() and len(first) == 64
    assert CHANGES[name](before).fingerprint() != first


def test_a_deep_copy_is_the_same_until_it_is_changed():
    base = model()
    first = base.fingerprint()
    adapted = copy.deepcopy(base)
    assert adapted.fingerprint() == first
    with torch.no_grad():
        adapted.net.layers[0].weight.mul_(2)
    assert adapted.fingerprint() != first and base.fingerprint() == first


def test_it_is_not_computed_twice(monkeypatch):
    import bench3d.features.backbone as room

    calls = []
    real = room.digest_of
    monkeypatch.setattr(room, "digest_of", lambda *a: calls.append(1) or real(*a))
    base = model()
    assert len({base.fingerprint() for _ in range(3)}) == 1 and len(calls) == 1


class Plain:
    def __init__(self, table):
        self.table = table

    def __call__(self, images):
        return pooled(images)


def test_what_is_no_module_counts_by_class_and_attributes_or_not_at_all():
    assert model(pooled).fingerprint() == model(pooled).fingerprint()
    a, b = (model(Plain(np.arange(4.0) + i)).fingerprint() for i in (0, 1))
    assert a is not None and a != b and a == model(Plain(np.arange(4.0))).fingerprint()
    scale = 2
    assert model(lambda images: scale * images).fingerprint() is None
    assert model(Plain(object())).fingerprint() is None


def test_a_hook_or_an_attribute_that_is_not_plain_keeps_a_model_out_of_the_cache():
    hooked = model()
    hooked.net.register_forward_hook(lambda *a: None)
    assert hooked.fingerprint() is None

    odd = model()
    odd.extra = object()
    assert odd.fingerprint() is None


def test_an_edited_forward_pass_is_another_model(tmp_path, monkeypatch):
    """A backbone's author changes the code, not the registration."""
    monkeypatch.syspath_prepend(str(tmp_path))
    prints = []
    for step, code in enumerate(("x[:, :, ::8, ::8]", "-x[:, :, ::8, ::8]")):
        (tmp_path / "mine.py").write_text(f"def features(x):\n    return {code}  # {step}\n")
        importlib.invalidate_caches()
        sys.modules.pop("mine", None)
        source_digest.cache_clear()
        prints.append(model(importlib.import_module("mine").features).fingerprint())
    assert prints[0] != prints[1] and None not in prints
