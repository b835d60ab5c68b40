"""Where pixels land: against hand-worked layouts, an analytic ramp, and Pillow's own bytes for the letterbox."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench3d.contracts import Placing
from bench3d.data.placing import layout, place
from bench3d.errors import UsageError
from bench3d.geometry.pixels import PixelGeometry


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(width, height):
    """Red is the column, green the row, of pixel centres (+0.5)."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y, np.zeros_like(x)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "canvas", "box"),
    [
        ((500, 375), 840, (0, 105, 840, 735)),
        ((375, 500), 840, (105, 0, 735, 840)),
        ((500, 333), 840, (0, 140, 840, 699)),  # 559.44 -> 559, (840 - 559) // 2 = 140
        ((8, 5), 4, (0, 1, 4, 3)),  # 2.5 -> 2: half goes to even
        ((8, 7), 4, (0, 0, 4, 4)),  # 3.5 -> 4
        ((7, 7), 14, (0, 0, 14, 14)),
        ((1000, 1), 10, (0, 4, 10, 5)),  # never less than a pixel
    ],
)
def test_the_letterbox_has_the_bytes_of_pillows_lanczos_at_the_published_place(size, canvas, box):
    image = noise(*size)
    pixels, valid, geometry = place(image, Placing("letterbox", canvas, "lanczos"))
    left, top, right, bottom = box
    expected = np.zeros((canvas, canvas, 3), np.uint8)
    small = Image.fromarray(image).resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    expected[top:bottom, left:right] = np.asarray(small)
    assert np.array_equal(pixels, expected)
    assert valid[top:bottom, left:right].all() and valid.sum() == (right - left) * (bottom - top)
    # Keypoints are scaled as the publications do, on both axes by the longer side.
    assert geometry.scale == (canvas / max(size),) * 2 and geometry.offset == (left, top)


@pytest.mark.parametrize("size", [(200, 120), (120, 200), (33, 32)])
@pytest.mark.parametrize("resample", ["bilinear", "lanczos"])
@pytest.mark.parametrize("kind", ["letterbox", "corner", "stretch", "crop", "as-is"])
def test_a_pixel_is_found_where_the_geometry_says(kind, resample, size):
    crop = PixelGeometry(size, (64, 64), (0.5, 0.5), (-4.0, 3.0))
    canvas = 84 if kind in ("letterbox", "corner", "stretch") else None
    placing = Placing(kind, canvas, resample, geometry=crop if kind == "crop" else None)
    pixels, valid, geometry = place(ramp(*size), placing)
    assert pixels.shape[:2] == valid.shape == geometry.input_size[::-1]
    assert geometry == layout(size, placing).geometry
    rows, columns = np.nonzero(valid)
    found = geometry.input_to_original(np.stack([columns + 0.5, rows + 0.5], axis=1))
    margin = 10 if max(size) > 50 else 4  # Lanczos rings beside the padding
    inner = ((found > margin) & (found < np.array(size) - margin)).all(axis=1)
    assert inner.sum() > 100
    error = np.abs(pixels[rows, columns][:, :2].astype(float) - found)[inner]
    # Rounding to 8 bits (twice), and of the short side to whole pixels.
    assert error.max() < 2.0 and np.median(error) < 0.6


def test_the_corner_is_top_left_and_filled():
    pixels, valid, _ = place(np.zeros((10, 20, 3), np.uint8), Placing("corner", 40, fill=1.0))
    assert valid[:20].all() and not valid[20:].any()
    assert (pixels[:18] == 0).all() and (pixels[22:] == 255).all()


def test_padding_of_crop_and_letterbox_takes_the_fill():
    image = np.full((10, 20, 3), 7, np.uint8)
    outside = PixelGeometry((20, 10), (30, 30), (1.0, 1.0), (5.0, 5.0))
    for placing in (Placing("letterbox", 20, fill=0.5), Placing("crop", geometry=outside, fill=0.5)):
        pixels, valid, _ = place(image, placing)
        assert (pixels[~valid] == 128).all() and (pixels[valid] == 7).all()
        assert valid.sum() == 200


def test_shrinking_averages_over_the_area():
    """A checkerboard of single pixels becomes grey, not black or white."""
    board = np.indices((160, 160)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    pixels, _, _ = place(image, Placing("stretch", 20))
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - 127).max() <= 3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 300), st.sampled_from(["letterbox", "corner"]))
def test_every_size_fills_the_longer_side_and_maps_back(width, height, canvas, kind):
    geometry = layout((width, height), Placing(kind, canvas, "lanczos")).geometry
    corners = geometry.original_to_input(np.array([[0.0, 0.0], [width, height]]))
    span = corners[1] - corners[0]
    assert np.isclose(span.max(), canvas)
    assert (corners >= -1).all() and (corners <= canvas + 1).all()
    assert np.allclose(geometry.input_to_original(corners), [[0, 0], [width, height]])


@pytest.mark.parametrize(
    "placing",
    [Placing("letterbox"), Placing("crop"), Placing("crop", geometry=PixelGeometry.identity((9, 9)))],
)
def test_an_impossible_placing_is_said(placing):
    with pytest.raises(UsageError):
        place(np.zeros((4, 4, 3), np.uint8), placing)


def test_an_unsmoothed_crop_is_common3ds():
    """Padding by black, bilinear without averaging, repeated edges, whole grey levels; only for crops."""
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    # A window of 50 x 50 pixels around the image, shown on 20 x 20.
    geometry = PixelGeometry((50, 30), (20, 20), (0.4, 0.4), (0.0, 4.0))
    found, valid, _ = place(image, Placing(kind="crop", resample="unsmoothed", geometry=geometry))
    window = torch.nn.functional.pad(torch.from_numpy(image).permute(2, 0, 1)[None].float(), (0, 0, 10, 10))
    expected = torch.nn.functional.interpolate(window, size=(20, 20), mode="bilinear", align_corners=False).floor()
    assert np.array_equal(found, expected[0].permute(1, 2, 0).byte().numpy())
    assert valid[4:16].all() and not valid[:4].any() and not valid[16:].any()
    with pytest.raises(UsageError, match="Only a crop"):
        place(image, Placing(kind="letterbox", canvas=20, resample="unsmoothed"))
