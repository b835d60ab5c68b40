"""Every shipped backbone against the conformance kit, and the kit against backbones that are wrong."""

import pytest
import torch
import torch.nn.functional as F

from bench3d.contracts import FeatureMap, WeightedMap
from bench3d.errors import PluginError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import InputSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry, load_settings
from bench3d.testing import check_backbone, check_batch, check_contract, check_ramp

FAMILY_MEMBERS = ["timm:vit_tiny_patch16_224", "timm:resnet18", "timm:convnext_atto", "open-clip:ViT-B-32"]
SHIPPED = {"hog", "rgb", "mae", "clip", "clip-iclr25", "deit"} | {
    f"dinov2{reg}{size}" for reg in ("", "-reg") for size in ("", "-s", "-b", "-l", "-g")
}
# The same network under another name.
SAME = {"dinov2-s", "dinov2-reg-s"}
LARGE = {name for name in SHIPPED if name.endswith(("-l", "-g"))}
# A base-size transformer takes 0.2 s per image: its first block lies where its last one does.
BASE = {"mae", "clip", "clip-iclr25", "deit", "dinov2-b", "dinov2-reg-b", "open-clip:ViT-B-32"}


def make(name, **settings):
    registry = load_registry()
    registration = registry.get("backbone", name)
    resolved = load_settings(registration, overrides=settings)
    return registry.create("backbone", name, weights="random", settings=resolved, device="cpu")


def test_what_ships():
    names = set(load_registry().names("backbone"))
    assert SHIPPED | {"timm:", "open-clip:"} <= names


@pytest.mark.parametrize("name", sorted(SHIPPED - SAME - LARGE) + FAMILY_MEMBERS)
def test_conforms(name):
    model = make(name, grid=8, **({"layer": 0} if name in BASE else {}))
    check_backbone(model, linear=name == "rgb")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE | {"dinov2-b", "deit"}))
def test_large_ones_conform(name):
    model = make(name, grid=4)
    check_contract(model, PixelGeometry.identity((model.canvas, model.canvas)))
    check_batch(model)


def colours(**options):
    """A small honest backbone, mean colour per 16 pixels, to be spoilt."""
    net = options.pop("net", lambda images: F.avg_pool2d(images, 16))
    return DenseBackbone(net, patch=16, settings=InputSettings(grid=8), **options)


def test_the_kit_accepts_an_honest_one():
    result = check_backbone(colours(), linear=True)
    assert result.largest < 0.5
    assert max(result.shift) < 0.2


@pytest.mark.parametrize("origin", [8.0, -8.0, 5.0])
def test_the_kit_sees_a_wrong_origin(origin):
    with pytest.raises(PluginError, match="cells off"):
        check_backbone(colours(origin=origin))
    with pytest.raises(PluginError, match="ramp"):
        check_ramp(colours(origin=origin), PixelGeometry.identity((128, 128)))


def test_the_kit_sees_a_conv_net_taken_as_evenly_spread():
    model = make("timm:resnet18", grid=8)
    model.origin = 0.0
    with pytest.raises(PluginError, match="cells off"):
        check_backbone(model)


def test_the_kit_sees_swapped_axes():
    with pytest.raises(PluginError, match="cells off"):
        check_backbone(colours(net=lambda images: F.avg_pool2d(images, 16).transpose(2, 3)), square_only=True)


def test_the_kit_sees_a_batch_that_matters():
    with pytest.raises(PluginError, match="batch of 8"):
        check_backbone(colours(net=lambda images: F.avg_pool2d(images - images.mean(0), 16) + 1))


def test_the_kit_sees_a_lost_geometry():
    class Lost(DenseBackbone):
        def features(self, batch):
            (weighted,) = super().features(batch)
            own = weighted.map.geometry[0]
            fresh = PixelGeometry.identity(own.input_size).with_grid(own.grid_size, own.stride)
            return [WeightedMap(FeatureMap(weighted.map.values, (fresh,) * len(batch)))]

    with pytest.raises(PluginError, match="original image"):
        check_backbone(Lost(lambda images: F.avg_pool2d(images, 16), patch=16, settings=InputSettings(grid=8)))


def test_the_kit_sees_another_type():
    class Half(DenseBackbone):
        def features(self, batch):
            (weighted,) = super().features(batch)
            return [WeightedMap(FeatureMap(weighted.map.values[0], weighted.map.geometry))]

    with pytest.raises(PluginError, match="features of 2 images"):
        check_contract(
            Half(lambda images: F.avg_pool2d(images, 16), patch=16, settings=InputSettings(grid=8)),
            PixelGeometry.identity((128, 128)),
        )
    nan = colours(net=lambda images: F.avg_pool2d(images, 16) * torch.nan)
    with pytest.raises(PluginError, match="finite"):
        check_contract(nan, PixelGeometry.identity((128, 128)))
