import pytest
import torch

from bench3d.contracts import ImageBatch
from bench3d.errors import WeightsError
from bench3d.features.settings import InputSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.rgb.model import create


def test_mean_colour_of_each_cell():
    image = torch.zeros(1, 3, 8, 16)
    image[0, 0, :, :8] = torch.arange(64).reshape(8, 8) / 64
    image[0, 2, :, 8:] = 1.0
    batch = ImageBatch(image, torch.ones(1, 1, 8, 16), (PixelGeometry.identity((16, 8)),), ("a",))
    found = create("pretrained", InputSettings(grid=2), "cpu").features(batch)[0].map
    expected = torch.tensor([[31.5 / 64, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert torch.allclose(found.values[0, :, 0], expected)
    assert found.geometry[0].grid_size == (2, 1)
    assert found.locate(torch.tensor([[[1.5, 0.5]]])).tolist() == [[[12.0, 4.0]]]


def test_a_weights_file_is_not_passed_over():
    with pytest.raises(WeightsError, match="rgb has no weights to load"):
        create("mine.pth", InputSettings(), "cpu")
