"""What keys the cached features of a fitted model: the base, the category's network, the blend."""

import pytest
import torch

from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import InputSettings
from bench3d_plugins.common3d.model import Common3DModel
from bench3d_plugins.common3d.network import Common3DNetwork


def means(images):
    return torch.nn.functional.avg_pool2d(images, 8)


@pytest.fixture
def model(tiny):
    def make(seed=0, grid=8, base=means, **changes):
        settings = tiny.model_copy(update=changes)
        torch.manual_seed(seed)
        networks = {name: Common3DNetwork(settings, 3) for name in ("car", "chair")}
        backbone = DenseBackbone(base, patch=8, settings=InputSettings(grid=grid))
        return Common3DModel(backbone, networks, settings, "cpu")

    return make


def test_it_changes_with_what_changes_the_features_of_a_category(model):
    fitted = model()
    car = fitted.fingerprint("car")
    assert car == fitted.fingerprint("car") == model().fingerprint("car")
    others = [
        fitted.fingerprint("chair"),
        fitted.fingerprint("bus"),
        model(seed=1).fingerprint("car"),
        model(grid=4).fingerprint("car"),
        model(blend=0.9).fingerprint("car"),
    ]
    assert len({car, *others}) == len(others) + 1
    # A category without a network has the base model's features, and its key.
    assert fitted.fingerprint("bus") == fitted.base.fingerprint("bus") == fitted.fingerprint(None)
    with torch.no_grad():
        next(fitted.networks["car"].adapter.parameters()).add_(1)
    assert fitted.fingerprint("car") != car


def test_a_base_that_cannot_be_told_keeps_it_out_of_the_cache(model):
    assert model(base=lambda images: images[:, :, ::8, ::8]).fingerprint("car") is None
