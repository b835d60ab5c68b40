import pytest
import torch
from pydantic import ValidationError

from bench3d.contracts import ImageBatch
from bench3d.errors import UsageError
from bench3d.features.settings import BackboneSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.records.identity import identity_settings
from bench3d.testing.backbones import check_batch, check_contract, check_localisation, check_ramp, frames
from bench3d_plugins.timm_backbones.model import create
from bench3d_plugins.timm_backbones.settings import TimmSettings
from bench3d_plugins.timm_backbones.strided import OverlappingBackbone

TINY = "vit_tiny_patch16_224.augreg_in21k"


def make(variant=TINY, **settings):
    return create("random", TimmSettings(grid=6, **settings), "cpu", variant)


def batch(side=96):
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    return ImageBatch(pixels, torch.ones(2, 1, side, side), (PixelGeometry.identity((side, side)),) * 2, ("a", "b"))


def test_without_a_stride_the_identity_is_the_old_one():
    assert identity_settings(TimmSettings(grid=6)) == identity_settings(BackboneSettings(grid=6))
    assert identity_settings(TimmSettings(stride=7))["stride"] == 7
    assert TimmSettings.model_validate(TimmSettings(stride="half").model_dump()).stride == "half"
    with pytest.raises(ValidationError):
        TimmSettings(stride=0)


@pytest.mark.parametrize(("patch", "stride"), [(14, 7), (16, 7), (16, 8), (14, 3)])
def test_cells_lie_at_the_centres_of_their_patches(patch, stride):
    averages = torch.nn.AvgPool2d(patch, stride)
    model = OverlappingBackbone(averages, stride=stride, patch=patch, settings=BackboneSettings(grid=8))
    for _, geometry in frames(model):
        check_ramp(model, geometry)


@pytest.mark.parametrize("stride", [7, "half"])
def test_a_network_with_overlapping_patches(stride):
    model = make(stride=stride)
    step = 8 if stride == "half" else stride
    assert isinstance(model, OverlappingBackbone)
    (found,) = model.features(batch())
    assert found.map.values.shape[2:] == ((96 - 16) // step + 1,) * 2
    assert found.map.geometry[0].cell_to_original(torch.tensor([[0.5, 0.5], [1.5, 0.5]])).tolist() == [
        [8.0, 8.0],
        [8.0 + step, 8.0],
    ]
    for _, geometry in frames(model):
        check_contract(model, geometry)
    check_batch(model)
    # Half of a patch: at the border a blob is seen by patches that lie further inside.
    check_localisation(model, largest=1.0)
    assert model.fingerprint() not in (None, make().fingerprint())


def test_weights_and_what_is_trained_are_those_of_the_plain_network():
    plain, fine = make(), make(stride=7)
    trained = fine.with_grid(6)
    for one, two, three in zip(plain.net.parameters(), fine.net.parameters(), trained.net.parameters(), strict=True):
        assert torch.equal(one, two)
        assert two is three
    expected = plain.features(batch())[0].map.values
    assert torch.equal(trained.features(batch())[0].map.values, expected)
    assert fine.features(batch())[0].map.values.shape != expected.shape  # with_grid left it as it was
    assert torch.equal(make(stride=16).features(batch())[0].map.values, expected)


def test_half_is_a_wish_and_a_number_an_order():
    assert not isinstance(make("resnet18", stride="half"), OverlappingBackbone)
    with pytest.raises(UsageError, match="no patches"):
        make("resnet18", stride=7)
    with pytest.raises(UsageError, match="16 pixels"):
        make(stride=17)
