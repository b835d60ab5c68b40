import numpy as np
import pytest
import torch

from bench3d.contracts import ImageBatch
from bench3d.errors import WeightsError
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry, load_settings
from bench3d.testing.backbones import check_batch, check_contract, frames
from bench3d_plugins.noise.model import create
from bench3d_plugins.noise.settings import NoiseSettings


def values(model, images):
    count, size = len(images), (images.shape[3], images.shape[2])
    batch = ImageBatch(
        images, torch.ones(count, 1, *images.shape[2:]), (PixelGeometry.identity(size),) * count, ("x",) * count
    )
    return model.features(batch)[0].map.values


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 3, 50, 77, generator=torch.Generator().manual_seed(0))


def test_it_keeps_the_contract_of_a_backbone_on_every_frame():
    model = create("pretrained", NoiseSettings(grid=8), "cpu")
    for _, geometry in frames(model):
        check_contract(model, geometry)
    check_batch(model, tolerance=0.0)


def test_the_noise_is_standard_normal_and_independent_between_cells_channels_and_images(images):
    found = values(create("pretrained", NoiseSettings(grid=64), "cpu"), images).double().numpy()
    count = found.size
    assert abs(found.mean()) < 5 / count**0.5
    assert abs(found.var() - 1) < 5 * (2 / count) ** 0.5
    shifts = [
        (found[:, :, :, 1:], found[:, :, :, :-1]),
        (found[:, :, 1:], found[:, :, :-1]),
        (found[:, 1:], found[:, :-1]),
        (found[1:], found[:-1]),
    ]
    for a, b in shifts:
        assert abs((a * b).mean()) < 5 / a.size**0.5
    assert abs((found**4).mean() - 3) < 5 * (96 / count) ** 0.5


def test_an_image_has_its_own_noise_in_any_batch_and_order(images):
    model = create("pretrained", NoiseSettings(grid=8), "cpu")
    together = values(model, images)
    assert torch.equal(values(model, images.flip(0)), together.flip(0))
    assert torch.equal(values(model, images[2:3]), together[2:3])
    assert torch.equal(values(model, images[2:3].clone()), together[2:3])
    changed = images[2:3].clone()
    changed[0, 1, 7, 9] += 1 / 255
    assert (values(model, changed) != together[2:3]).float().mean() > 0.99
    other = values(create("pretrained", NoiseSettings(grid=8, seed=1), "cpu"), images)
    assert (other != together).float().mean() > 0.99


def test_how_a_device_divides_by_255_makes_no_difference():
    stored = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16).float()
    divided, multiplied = stored / 255, stored * (1 / torch.tensor(255.0))
    assert not torch.equal(divided, multiplied)
    model = create("pretrained", NoiseSettings(grid=2), "cpu")
    assert torch.equal(values(model, divided), values(model, multiplied))


def test_it_is_registered_with_its_settings_and_takes_no_weights():
    registration = load_registry().get("backbone", "noise")
    settings = load_settings(registration, overrides={"dim": "5", "grid": "4", "seed": "3"})
    model = load_registry().create("backbone", "noise", weights="pretrained", settings=settings, device="cpu")
    assert values(model, torch.zeros(1, 3, 40, 80)).shape == (1, 5, 2, 4)
    assert model.describe()["dim"] == 5 and not model.random_weights and model.fingerprint() is None
    default = create("pretrained", load_settings(registration), "cpu")
    assert (default.settings.dim, default.patch) == (registration.dim, registration.patch)
    with pytest.raises(WeightsError, match="noise has no weights to load"):
        create("mine.pth", NoiseSettings(), "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same_noise(images):
    cpu = values(create("pretrained", NoiseSettings(grid=8), "cpu"), images)
    gpu = values(create("pretrained", NoiseSettings(grid=8), "cuda"), images.cuda())
    assert gpu.is_cuda and np.array_equal(gpu.cpu().numpy(), cpu.numpy())
