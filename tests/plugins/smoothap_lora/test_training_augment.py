"""The augmentation moves points with their pixels and stays inside its ranges."""

from __future__ import annotations

import numpy as np
import pytest

from bench3d_plugins.smoothap_lora.augment import (
    affine,
    augment,
    blurred,
    brightness_contrast,
    colours,
    equalised,
    gaussian_noise,
    moved,
    random_affine,
    sensor_noise,
)


def marked(column: int, row: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    image[row, column] = 255
    return image


@pytest.mark.parametrize(
    ("degrees", "scale", "shift", "to"),
    [
        (0.0, 1.0, (0.25, -0.1), (32, 9)),  # 40 / 4 right, 30 / 10 up
        (90.0, 1.0, (0.0, 0.0), (17, 12)),  # (2.5, -2.5) from the centre (20, 15), counter-clockwise: (-2.5, -2.5)
        (0.0, 3.0, (0.0, 0.0), (27, 7)),  # (7.5, -7.5) from the centre
    ],
)
def test_a_marked_pixel_by_hand(degrees: float, scale: float, shift: tuple[float, float], to: tuple[int, int]) -> None:
    """Pixel (22, 12) has its centre at (22.5, 12.5), which lands on the centre of pixel `to`."""
    matrix = affine((40, 30), degrees, scale, shift)
    mask = np.ones((30, 40), dtype=bool)
    out = moved(marked(22, 12), mask, np.array([[22.5, 12.5]]), matrix)
    np.testing.assert_allclose(out.xy, [[to[0] + 0.5, to[1] + 0.5]], atol=1e-9)
    assert out.image[to[1], to[0], 0] == 255
    rows, columns = np.nonzero(out.image[..., 0])
    weight = out.image[rows, columns, 0].astype(float)
    centre = (np.average(columns, weights=weight) + 0.5, np.average(rows, weights=weight) + 0.5)
    np.testing.assert_allclose(centre, out.xy[0], atol=0.01)


def test_points_that_leave_the_image_are_dropped() -> None:
    xy = np.array([[1.0, 1.0], [38.0, 5.0], [20.0, 15.0]])
    out = moved(marked(0, 0), np.ones((30, 40), dtype=bool), xy, affine((40, 30), 0, 1, (0.25, 0)))
    assert out.kept.tolist() == [0, 2]
    np.testing.assert_allclose(out.xy, [[11.0, 1.0], [30.0, 15.0]])
    assert not out.mask[:, :10].any() and out.mask[:, 10:].all()


def test_the_background_is_black_and_the_input_stays() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(60, 200, (30, 40, 3), dtype=np.uint8)
    before, mask = image.copy(), np.zeros((30, 40), dtype=bool)
    mask[5:25, 8:30] = True
    xy = np.argwhere(mask)[:, ::-1] + 0.5
    moves = 0
    for seed in range(40):
        out = augment(image, mask, xy, np.random.default_rng(seed))
        assert (out.image[~out.mask] == 0).all() and out.image.dtype == np.uint8
        assert len(out.xy) == len(out.kept)
        moves += not np.array_equal(out.xy, xy)
        # A point at the edge of the object may land in a background pixel, others may not.
        column, row = np.floor(out.xy).astype(int).T
        assert out.mask[row, column].mean() > 0.9
    np.testing.assert_array_equal(image, before)
    assert 10 < moves < 30  # one half of 40
    same = [augment(image, mask, xy, np.random.default_rng(3)).image for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_random_affine_keeps_its_ranges() -> None:
    scales, angles, shifts = [], [], []
    for seed in range(300):
        matrix = random_affine((40, 30), np.random.default_rng(seed))
        scales.append(np.sqrt(np.linalg.det(matrix[:, :2])))
        angles.append(np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0])))
        shifts.append((matrix @ [20, 15, 1] - [20, 15]) / [40, 30])
    for values, low, high in ((scales, 0.75, 1.25), (angles, -45, 45), (np.array(shifts), -0.25, 0.25)):
        assert low <= np.min(values) < low + 0.05 * (high - low)
        assert high >= np.max(values) > high - 0.05 * (high - low)


def test_each_change_of_colour_does_what_it_says() -> None:
    rng = np.random.default_rng
    ramp = np.tile(np.arange(40, 200, 2, dtype=np.uint8)[None, :, None], (80, 1, 3))
    point = marked(10, 10)
    sizes = {int(blurred(point, rng(s))[..., 0].astype(bool).sum()) for s in range(20)}
    assert sizes == {1, 9}  # unchanged, or spread over 3 x 3
    noise = gaussian_noise(ramp, rng(1)).astype(float) - ramp
    assert 9 < noise.var() < 51 and abs(noise.mean()) < 0.3
    assert sensor_noise(ramp, rng(1)).astype(float).mean() > ramp.mean()  # its noise of lightness only adds
    spread = equalised(ramp // 4, rng(1)).astype(float).std()
    assert spread > (ramp // 4).std()
    shifts = [brightness_contrast(ramp, rng(s)).astype(float).mean() / ramp.mean() for s in range(100)]
    assert min(shifts) < 0.8 and max(shifts) > 1.2
    assert any(np.array_equal(colours(ramp, rng(s)), ramp) for s in range(100))  # all five off: 1 in 32
