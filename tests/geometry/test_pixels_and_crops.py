"""The pixel map and the crops: what a pixel is called before and after."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench3d.contracts import FeatureMap
from bench3d.geometry.crops import box_zoom, centre_zoom, mask_zoom, resample, valid_mask
from bench3d.geometry.pixels import PixelGeometry


def ramp(width: int, height: int) -> np.ndarray:
    """(H, W, 2) float32 image whose value at a pixel centre is that pixel's continuous coordinate."""
    xs, ys = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([xs, ys], -1).astype(np.float32)


def test_patch_centres_by_hand() -> None:
    """A 640x480 image stretched to 448x448 with 14-pixel patches: cell 0 is centred on input pixel 7."""
    geometry = PixelGeometry.identity((640, 480)).resized((448, 448)).with_grid((32, 32), (14, 14))
    np.testing.assert_allclose(geometry.cell_to_input(np.array([0.5, 0.5])), [7, 7])
    np.testing.assert_allclose(geometry.cell_to_original(np.array([0.5, 0.5])), [10, 7.5])
    np.testing.assert_allclose(geometry.original_to_cell(np.array([640.0, 480.0])), [32, 32])
    with pytest.raises(ValueError, match="grid"):
        PixelGeometry.identity((4, 4)).original_to_cell(np.zeros(2))


@given(st.integers(20, 900), st.integers(20, 900), st.integers(7, 700), st.floats(0.1, 8), st.floats(-50, 950))
def test_maps_invert(width: int, height: int, side: int, scale: float, x: float) -> None:
    crop = centre_zoom((width, height), np.array([x, height / 3]), scale, side).resized((112, 98))
    geometry = crop.padded(3, 5, (120, 110)).with_grid((8, 7), (14, 14), (2, -1))
    points = np.array([[0.0, 0.0], [x, 3.5], [width, height]])
    np.testing.assert_allclose(geometry.cell_to_original(geometry.original_to_cell(points)), points, atol=1e-7)
    tensor = torch.from_numpy(points)
    np.testing.assert_allclose(geometry.original_to_cell(tensor).numpy(), geometry.original_to_cell(points))


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.7, 4.0])
def test_crop_pixels_are_where_the_geometry_says(scale: float) -> None:
    image = ramp(90, 70)
    geometry = centre_zoom((90, 70), np.array([41.3, 33.8]), scale, 48)
    cropped = resample(image, geometry)
    seen = geometry.input_to_original(ramp(48, 48))
    inner = valid_mask(geometry) & (seen > 1).all(-1) & (seen[..., 0] < 89) & (seen[..., 1] < 69)
    assert inner.sum() > 100
    np.testing.assert_allclose(cropped[inner], seen[inner], atol=0.05)  # warpAffine interpolates in 1/32 pixel


def test_shrinking_crop_averages_and_stays_in_place() -> None:
    """A checkerboard shrunk tenfold is grey, and a ramp keeps its coordinates."""
    board = ((np.indices((400, 400)).sum(0) % 2) * 255).astype(np.float32)
    geometry = centre_zoom((400, 400), np.array([200.0, 200.0]), 0.1, 40)
    assert np.abs(resample(board, geometry)[1:-1, 1:-1] - 127.5).max() < 2
    seen = geometry.input_to_original(ramp(40, 40))
    np.testing.assert_allclose(resample(ramp(400, 400), geometry)[2:-2, 2:-2], seen[2:-2, 2:-2], atol=0.5)


def test_mask_zoom_by_hand() -> None:
    """Mask x 30..49, y 20..59 around c = (45, 40): half extents 15 and 20, so 40 high; 512 / 40 = 12.8."""
    mask = np.zeros((100, 120), bool)
    mask[20:60, 30:50] = True
    geometry = mask_zoom(mask, np.array([45.0, 40.0]), 512)
    assert geometry.scale == (12.8, 12.8)
    np.testing.assert_allclose(geometry.original_to_input(np.array([45.0, 40.0])), [256, 256])
    np.testing.assert_allclose(geometry.original_to_input(np.array([30.0, 20.0])), [64, 0])
    k = geometry.input_intrinsics(np.array([[600.0, 0, 45], [0, 600.0, 40], [0, 0, 1]]))
    np.testing.assert_allclose(k, [[7680, 0, 256], [0, 7680, 256], [0, 0, 1]])


def test_mask_zoom_falls_back() -> None:
    empty = np.zeros((100, 120), bool)
    assert mask_zoom(empty, np.array([60.0, 50.0]), 512).scale == (1.0, 1.0)
    lost = mask_zoom(~empty, np.array([np.nan, 3]), 128)
    np.testing.assert_allclose(lost.original_to_input(np.array([60.0, 50.0])), [64, 64])


def test_box_zoom_fits_the_longer_side() -> None:
    geometry = box_zoom((300, 200), np.array([50.0, 60.0, 150.0, 100.0]), 256, margin=1.28)
    assert geometry.scale == (2.0, 2.0)
    np.testing.assert_allclose(geometry.original_to_input(np.array([100.0, 80.0])), [128, 128])


def test_feature_map_samples_a_ramp_exactly() -> None:
    """Features that are the mean original coordinate of their cell: sampling gives the coordinate back."""
    geometry = centre_zoom((200, 100), np.array([90.0, 45.0]), 0.8, 64).with_grid((8, 8), (8, 8))
    centres = geometry.cell_to_original(ramp(8, 8).reshape(-1, 2).astype(np.float64))
    values = torch.from_numpy(centres.reshape(8, 8, 2)).permute(2, 0, 1)[None].float()
    features = FeatureMap(values, (geometry,))
    xy = torch.tensor([[[80.0, 40.0], [101.5, 62.0]]])
    torch.testing.assert_close(features.sample(xy), xy, atol=1e-3, rtol=0)
    cells = torch.tensor([[[0.5, 0.5], [7.5, 3.5]]])
    torch.testing.assert_close(features.locate(cells), torch.from_numpy(centres[[0, 31]])[None].float())
