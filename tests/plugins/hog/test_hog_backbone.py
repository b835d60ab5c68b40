import numpy as np
import pytest
import torch

from bench3d.contracts import ImageBatch
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.hog.histograms import CHANNELS, SIGNED, UNSIGNED, describe, gradients, vote
from bench3d_plugins.hog.model import create
from bench3d_plugins.hog.settings import HogSettings


def ramp(direction, size=32):
    """(3, size, size) with a constant gradient of 0.01 per pixel in a direction (degrees, y down)."""
    ys, xs = np.mgrid[:size, :size].astype(np.float32)
    angle = np.deg2rad(direction)
    grey = 0.5 + 0.01 * (np.cos(angle) * (xs - size / 2) + np.sin(angle) * (ys - size / 2))
    return np.repeat(grey[None].astype(np.float32), 3, axis=0)


@pytest.mark.parametrize(
    ("direction", "votes"), [(0, {0: 1.0}), (60, {3: 1.0}), (90, {4: 0.5, 5: 0.5}), (350, {17: 0.5, 0: 0.5})]
)
def test_a_constant_gradient_votes_for_its_direction(direction, votes):
    histogram = vote(ramp(direction), 8)[1, 1]
    expected = np.zeros(SIGNED)
    for b, share in votes.items():
        expected[b] = 0.01 * share
    np.testing.assert_allclose(histogram, expected, atol=2e-6)


def test_the_arctangent_is_good_to_a_hundredth_of_a_degree():
    directions = np.arange(0, 360, 0.7)
    found = []
    for direction in directions:
        magnitude, turn = np.zeros(32, np.float32), np.zeros(32, np.float32)
        gradients(ramp(direction), 16, magnitude, turn)
        found.append(turn[16] * 360 / SIGNED)
    error = (np.array(found) - directions + 180) % 360 - 180
    assert np.abs(error).max() < 0.01


def test_the_channel_with_the_largest_gradient_decides():
    image = ramp(0)
    image[1] = ramp(90)[1] * 3  # the green gradient is the steepest
    assert vote(image, 8)[1, 1].argmax() in (4, 5)


def test_half_a_turn_swaps_cells_and_directions():
    image = np.random.default_rng(0).random((3, 32, 48), dtype=np.float32)
    turned = np.ascontiguousarray(image[:, ::-1, ::-1])
    histogram, other = vote(image, 8), vote(turned, 8)
    np.testing.assert_allclose(other, np.roll(histogram, UNSIGNED, axis=2)[::-1, ::-1], atol=1e-6)


def test_contrast_does_not_matter_and_its_sign_only_to_signed_channels():
    image = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    plain = describe(image, 8, 3)
    # The noise floor is all that remains of it.
    np.testing.assert_allclose(describe(image / 2, 8, 3), plain, atol=0.01)
    inverted = describe(1 - image, 8, 3)
    for level in range(3):
        unsigned = slice(level * CHANNELS + SIGNED, level * CHANNELS + SIGNED + UNSIGNED)
        np.testing.assert_allclose(plain[..., unsigned], inverted[..., unsigned], atol=1e-5)
    assert np.abs(plain[..., :SIGNED] - inverted[..., :SIGNED]).max() > 0.05


def test_a_flat_image_has_no_features():
    assert not describe(np.full((3, 32, 32), 0.5, np.float32), 8, 3).any()


@pytest.mark.parametrize("colour", [False, True])
def test_any_size_and_a_batch_changes_no_bit(colour):
    model = create("pretrained", HogSettings(grid=8, colour=colour), "cpu")
    images = torch.rand(8, 3, 50, 77, generator=torch.Generator().manual_seed(0))
    geometry = PixelGeometry.identity((77, 50))

    def features(part):
        count = len(part)
        batch = ImageBatch(part, torch.ones(count, 1, 50, 77), (geometry,) * count, ("x",) * count)
        return model.features(batch)[0].map.values

    together = features(images)
    assert together.shape == (8, 96 if colour else 93, 5, 8)
    assert torch.equal(together, torch.cat([features(image[None]) for image in images]))
    assert model.describe()["dim"] == together.shape[1]
    assert not model.random_weights


def test_opponent_colours():
    model = create("pretrained", HogSettings(grid=4, colour=True), "cpu")
    image = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None].expand(1, 3, 32, 32)
    batch = ImageBatch(image, torch.ones(1, 1, 32, 32), (PixelGeometry.identity((32, 32)),), ("red",))
    values = model.features(batch)[0].map.values[0, -3:, 1, 1]
    assert values.tolist() == pytest.approx([2**-0.5, 6**-0.5, 3**-0.5])
