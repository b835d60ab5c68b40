"""The depth that a model may ask for, and the crop as published."""

import numpy as np
import pytest
from cube_samples import Knowing, make, sample

from bench3d.errors import CapabilityError
from bench3d.plugins import load_registry
from bench3d_plugins.single_object.protocol import cad_depth, mask_crop
from bench3d_plugins.single_object.published import published_pixels, published_valid, published_zoom


def test_depth_is_the_distance_along_the_axis_at_pixel_centres(tmp_path):
    """Azimuth 0: the near face lies at 19. Azimuth 45: an edge at 20 - sqrt(2), faces that recede at 45 degrees."""
    flat = cad_depth(sample(tmp_path, 0, 0.0), mask_crop(sample(tmp_path, 0, 0.0), 64))
    assert flat.dtype == np.float32 and flat.shape == (64, 64)
    np.testing.assert_allclose(flat[flat > 0], 19, rtol=1e-6)
    made = sample(tmp_path, 1, 45.0)
    crop = mask_crop(made, 63)
    depth = cad_depth(made, crop)
    assert depth[31, 31] == pytest.approx(20 - np.sqrt(2), abs=0.02) and depth[0, 31] == 0
    intrinsics = crop.input_intrinsics(made.intrinsics)
    x = (41.5 - intrinsics[0, 2]) / intrinsics[0, 0]  # on the right face z = 20 - sqrt(2) + x z
    assert depth[31, 41] == pytest.approx((20 - np.sqrt(2)) / (1 - x), rel=1e-5)


def test_only_a_model_that_asks_for_depth_is_given_it_and_only_by_the_paper(tmp_path):
    paper, box2d = load_registry().get("task", "pascal3d-pose").protocols
    assert (paper.offers, box2d.offers) == ({"depth": "depth:cad"}, {})
    samples = [sample(tmp_path, n, 30.0 * n) for n in range(2)]
    model, task = Knowing(samples), make("pascal3d-pose")
    task.prepare(model, "car", None)
    task.evaluate(model, samples, "cpu")
    assert model.given.depth is None
    model.oracles = frozenset({"depth"})
    task.prepare(model, "car", None)
    task.evaluate(model, samples, "cpu")
    assert model.given.depth.shape == (2, 64, 64)
    np.testing.assert_array_equal(model.given.depth[1], cad_depth(samples[1], mask_crop(samples[1], 64)))
    with pytest.raises(CapabilityError, match="depth"):
        make("pascal3d-pose", "box2d").prepare(model, "car", None)


def test_the_published_crop_is_hand_worked():
    """Mask columns 10 to 29, rows 20 to 29 around (20.3, 25): extents int(2 * 10.3), int(2 * 5); 40 / 20 is 2.

    The window reaches 10 to both sides: from 10.3 and 15 to 30.3 and 35, widened to whole pixels 10 to 31, 15 to 35.
    """
    mask = np.zeros((60, 80), dtype=bool)
    mask[20:30, 10:30] = True
    crop = published_zoom(mask, np.array([20.3, 25.0]), 40)
    assert crop.window == (10, 15, 31, 35)
    assert (crop.geometry.scale, crop.geometry.offset) == ((2.0, 2.0), (-20.0, -30.0))
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[:, 20:] = 200
    pixels = published_pixels(image, crop)
    edge = np.flatnonzero(pixels[0, :, 0] > 100)[0]
    assert pixels.shape == (40, 40, 3) and edge == 19, "21 columns were squeezed into 40"
    assert published_valid(crop).all()


def test_the_published_crop_that_shrinks_is_zero_beside_the_image():
    mask = np.ones((60, 80), dtype=bool)
    crop = published_zoom(mask, np.array([40.0, 30.0]), 40)
    assert crop.geometry.scale[0] == pytest.approx(0.5)
    pixels, valid = published_pixels(np.full((60, 80, 3), 90, dtype=np.uint8), crop), published_valid(crop)
    np.testing.assert_array_equal(pixels[..., 0], np.where(valid, 90, 0))
    assert valid.sum() == 40 * 30 and valid[5:35].all()


def test_the_published_crop_changes_what_the_model_sees_and_nothing_else_by_default(tmp_path):
    samples = [sample(tmp_path, 0, 30.0)]
    usual = make("pascal3d-pose").prepared(Knowing(samples), samples)
    published = make("pascal3d-pose", crop_mask="cad-as-published").prepared(Knowing(samples), samples)
    assert abs(usual.batch.geometry[0].scale[0] / published.batch.geometry[0].scale[0] - 1) < 0.05
    assert np.abs(usual.intrinsics - published.intrinsics)[0, :2, 2].max() < 2
    assert published.batch.images.shape == usual.batch.images.shape
