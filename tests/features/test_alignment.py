"""The measured origin of a convolutional net against the one its strides and paddings give by hand."""

import pytest
import torch
from torch import nn

from bench3d.features.alignment import measure_origin


@pytest.mark.parametrize(
    ("layers", "reduction", "origin"),
    [
        # Patches: cell i covers its own pixels.
        ([nn.Conv2d(3, 16, 4, stride=4), nn.Conv2d(16, 32, 2, stride=2)], 8, 0.0),
        # Cell i of each stage is centred on index 2i of the one before: half of 1, 2 and 4 pixels too far left.
        ([nn.Conv2d(c, 16, 3, stride=2, padding=1) for c in (3, 16, 16)], 8, -3.5),
        # One pixel more on the right and none on the left: as far to the right.
        ([m for c in (3, 16, 16) for m in (nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(c, 16, 3, stride=2))], 8, 3.5),
        # Valid convolutions of stride 1 start one pixel in.
        ([nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)], 1, 2.0),
    ],
)
def test_hand_worked_strides(layers, reduction, origin):
    torch.manual_seed(0)
    measured = measure_origin(nn.Sequential(*layers), reduction)
    assert measured == pytest.approx(origin, abs=0.5)
