"""`bench3d.load_backbone`: images of every kind, and where their features lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import bench3d
from bench3d.errors import DataError, UsageError


@pytest.fixture(scope="module")
def hog():
    return bench3d.load_backbone("hog", grid=8)


@pytest.fixture
def photo():
    return np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_the_same_image_in_any_form_has_the_same_features(hog, photo, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    tensor = torch.from_numpy(photo).permute(2, 0, 1).float() / 255
    wanted = hog(photo)
    assert wanted.shape == (1, 93, 6, 8) and wanted.dtype == torch.float32
    for form in (path, str(path), Image.fromarray(photo), tensor, tensor[None], [photo], photo[None]):
        assert torch.equal(hog(form), wanted), type(form)


def test_a_batch_is_its_images_one_by_one(hog, photo):
    both = hog([photo, photo[::-1].copy()])
    assert both.shape[0] == 2
    assert torch.equal(both[:1], hog(photo)) and torch.equal(both[1:], hog(photo[::-1].copy()))


def test_orientation_of_the_camera_is_applied(hog, photo, tmp_path):
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    assert hog(tmp_path / "turned.png").shape == (1, 93, 8, 6)
    with Image.open(tmp_path / "turned.png") as opened:
        assert torch.equal(hog(opened), hog(tmp_path / "turned.png"))


def test_maps_know_the_pixels(hog, photo):
    found = hog.maps(photo)
    assert torch.equal(found.values, hog(photo))
    centre = found.locate(torch.tensor([[[0.5, 0.5]]]))
    assert centre.tolist() == [[[4.0, 4.0]]]  # 64 pixels in 8 cells
    assert torch.allclose(found.sample(centre)[0, 0], found.values[0, :, 0, 0], atol=1e-6)


def test_images_of_several_shapes_are_taken_one_by_one(hog, photo):
    upright = np.swapaxes(photo, 0, 1).copy()
    with pytest.raises(UsageError, match=r"6x8 cells and 8x6 cells.*\.each"):
        hog([photo, upright])
    assert [tuple(m.values.shape) for m in hog.each([photo, upright])] == [(1, 93, 6, 8), (1, 93, 8, 6)]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.full((3, 8, 8), 200.0), r"between 200 and 200, not in \[0, 1\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "uint8 is no image"),
        (torch.full((3, 8, 8), float("nan")), "between nan"),
        (np.zeros((8, 8), dtype=np.uint8), r"shape \(8, 8\)"),
        (np.zeros((8, 8, 3), dtype=np.float32), "float32 is no image"),
        ([], "There is no image"),
        (7, "A int is no image"),
    ],
)
def test_what_is_no_image_is_a_sentence(hog, image, says):
    with pytest.raises(UsageError, match=says):
        hog(image)


def test_missing_files_settings_and_names(hog):
    with pytest.raises(DataError, match="There is no photo"):
        hog("nowhere.png")
    with pytest.raises(UsageError, match=r"backbone\.gird.*Did you mean backbone\.grid"):
        bench3d.load_backbone("hog", gird=8)
    with pytest.raises(bench3d.errors.UnknownNameError, match="hog"):
        bench3d.load_backbone("hgo")
