import re

import open_clip
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from bench3d.contracts import ImageBatch
from bench3d.errors import UnknownNameError, UsageError, WeightsError
from bench3d.features import weights
from bench3d.features.settings import BackboneSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.open_clip_backbones.model import create

SMALL = BackboneSettings(grid=4)


def batch(width, height):
    pixels = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    return ImageBatch(pixels, torch.ones(1, 1, height, width), (PixelGeometry.identity((width, height)),), ("a",))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A whole random CLIP in OpenCLIP's own naming."""
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("clip") / "open_clip_model.safetensors"
    save_file(open_clip.create_model("ViT-B-32").state_dict(), path)
    return path


@pytest.mark.parametrize(("width", "height"), [(128, 128), (128, 96)])
def test_the_same_features_as_open_clip_at_that_size(checkpoint, width, height):
    model = create(str(checkpoint), SMALL, "cpu", "ViT-B-32")
    reference = open_clip.create_model("ViT-B-32", pretrained=str(checkpoint), force_image_size=(height, width)).eval()
    images = batch(width, height)
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (model._mean, model._std))
    with torch.inference_mode():
        answer = reference.visual.forward_intermediates(
            (images.images - mean) / std, indices=[11], normalize_intermediates=True, intermediates_only=True
        )
    found = model.features(images)[0].map.values
    assert found.shape == (1, 768, height // 32, width // 32)
    assert torch.allclose(found, answer["image_intermediates"][0], atol=1e-4)
    assert not model.random_weights
    assert re.fullmatch("[0-9a-f]{64}", model.describe()["weights_sha256"])
    assert model.describe()["dim"] == 768


def test_random_weights_and_activation():
    model = create("random", BackboneSettings(grid=4, layer=0), "cpu", "ViT-B-32/openai")
    names = {type(m).__name__ for m in model.net.modules()}
    assert "QuickGELU" in names
    assert model.random_weights
    again = create("random", BackboneSettings(grid=4, layer=0), "cpu", "ViT-B-32/openai")
    images = batch(128, 128)
    assert torch.equal(model.features(images)[0].map.values, again.features(images)[0].map.values)


def test_a_checkpoint_that_does_not_fit(checkpoint, tmp_path):
    with pytest.raises(WeightsError, match="does not fit"):
        create(str(checkpoint), SMALL, "cpu", "ViT-B-16")
    save_file({"text.weight": torch.zeros(1)}, tmp_path / "text.safetensors")
    with pytest.raises(WeightsError, match="missing"):
        create(str(tmp_path / "text.safetensors"), SMALL, "cpu", "ViT-B-32")


def test_names_and_tags():
    with pytest.raises(UnknownNameError, match="ViT-B-32"):
        create("random", SMALL, "cpu", "ViT-B32")
    with pytest.raises(UnknownNameError, match="laion2b_s34b_b79k"):
        create("random", SMALL, "cpu", "ViT-B-32/laion2b_s34b")
    with pytest.raises(UsageError, match="Add one of"):
        create("pretrained", SMALL, "cpu", "ViT-B-32")
    with pytest.raises(UsageError, match="prenorm"):
        create("random", SMALL, "cpu", "coca_ViT-B-32")


def test_no_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_hub_answers", lambda: False)
    with pytest.raises(WeightsError, match="laion/CLIP-ViT-B-32"):
        create("pretrained", SMALL, "cpu", "ViT-B-32/laion2b_s34b_b79k")


def test_a_tower_of_one_size_says_so():
    model = create("random", BackboneSettings(grid=4, layer=0), "cpu", "ViT-B-16-SigLIP")
    assert model.features(batch(64, 64))[0].map.values.shape == (1, 768, 4, 4)
    with pytest.raises(UsageError, match="64x32 input"):
        model.features(batch(64, 32))
