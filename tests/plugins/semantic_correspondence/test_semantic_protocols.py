"""Hand-worked predictions of every published convention: images of 100x50 on a canvas of 84, 6 cells of 14 a side."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from semantic_pairs import EVERY, Pairs, image, one_hot, opened, pair, predicted, random_map

from bench3d_plugins.semantic_correspondence.frames import frame, placing
from bench3d_plugins.semantic_correspondence.matching import cell_index
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings


def settings(name: str) -> SemanticSettings:
    return SemanticSettings(**EVERY[name].settings)


# Letterbox: scale 0.84, the image is 42 high and starts at 21. (10, 10) lies at (8.4, 29.4), in cell (0, 2).
MOVED = {"a": one_hot(6), "b": one_hot(6, {(0, 2): (3, 3)})}


def test_sd_dino_reports_six_and_a_half_pixels_into_the_cell() -> None:
    found = predicted("spair71k/sd-dino", MOVED, (10, 10))
    np.testing.assert_allclose(found, [[48.5 / 0.84, (48.5 - 21) / 0.84]])


def test_geoaware_reports_the_middle_of_the_cell() -> None:
    found = predicted("spair71k/geoaware", MOVED, (10, 10))
    np.testing.assert_allclose(found, [[49 / 0.84, (49 - 21) / 0.84]], atol=1e-5)


def test_dift_finds_the_integer_pixel_itself() -> None:
    maps = {"a": one_hot(6), "b": one_hot(6)}
    np.testing.assert_allclose(predicted("spair71k/dift", maps, [(40.9, 20.2), (61, 33)]), [[40, 20], [61, 33]])


def test_probe3d_takes_the_cells_to_end_at_the_border_and_reports_corners() -> None:
    # Corner: scale 0.84 on the 84 inner pixels of a canvas of 96. x = 15.7 -> 13.19 -> 13 -> 13/84*5 = 0.77: cell 1,
    # though 13 lies in cell 0; y = 10 -> 8.4 -> 8 -> 0.48: cell 0.
    maps = {"a": one_hot(6), "b": one_hot(6, {(1, 0): (3, 2)})}
    found = predicted("spair71k/probe3d", maps, (15.7, 10), canvas=96)
    np.testing.assert_allclose(found, [[3 / 6 * 84 / 0.84, 2 / 6 * 84 / 0.84]])


def test_probe3d_measures_from_the_truncated_truth() -> None:
    task, _, model = opened("spair71k/probe3d", {"a": one_hot(6), "b": one_hot(6)}, canvas=96)
    (found,) = task.evaluate(model, [pair(image("a"), image("b"), (1, 1), (51, 1))], "cpu")
    # 51 -> 42.84 -> 42 -> 50; the prediction is the corner of cell (0, 0).
    np.testing.assert_allclose(found["parts"]["error_px"], [50.0])


def test_common3d_searches_64_points_and_reports_three_and_a_half_pixels() -> None:
    maps = {"a": random_map(32, 0, 256), "b": random_map(32, 0, 256)}
    found = predicted("spair71k/common3d", maps, [(50, 50), (499.5, 125)], canvas=448, network=448, size=(500, 250))
    # Scale 1.024, rows start at 128: (50, 50) -> (51.2, 179.2), points (6, 22); (499.5, 125) -> points (63, 32).
    at = np.array([[6 * 8 + 3.5, 22 * 8 + 3.5], [63 * 8 + 3.5, 32 * 8 + 3.5]])
    np.testing.assert_allclose(found, (at - [0, 128]) / 1.024, atol=1e-4)


def test_common3d_starts_a_pixel_early_where_the_width_is_odd_or_its_scale_rounds_down() -> None:
    points = frame((101, 50), settings("spair71k/common3d"), 512)
    scale = float(np.float32(512) / np.float32(101))
    assert points.scale == (scale, scale)
    assert points.offset == (scale, 26 * scale)  # floor(50 - 50.5) = -1, floor(25 - 50.5) = -26
    assert frame((100, 50), settings("spair71k/common3d"), 512).offset[0] == pytest.approx(5.12)
    assert frame((500, 333), settings("spair71k/common3d"), 512).offset[0] == 0
    shown = placing((101, 50), settings("spair71k/common3d"), 512)
    # The window of the image is then 102 pixels wide (-1 to 101) and 102 high (-26 to 76).
    assert shown.kind == "crop" and shown.geometry is not None
    assert shown.geometry.scale == (512 / 102, 512 / 102)
    assert shown.geometry.offset == (512 / 102, 26 * 512 / 102)


def test_mef_prefers_whole_cells_and_the_first_of_the_padded_edge() -> None:
    # (8.4, 29.4) / 14 = (0.6, 2.1): weights 0.9 of column 0, 0.6 of row 2. A dot product with the raw map is largest at
    # the middle of cell (0, 2), that is at canvas (7, 35), and the edge padding repeats it on pixels 0 to 7.
    maps = {"a": one_hot(6), "b": one_hot(6)}
    np.testing.assert_allclose(predicted("pf-pascal/mef", maps, (10, 10)), [[0, (35 - 21) / 0.84]], atol=1e-9)
    # Inside, pixel 35 looks at the middle of cell 2: (45, 25) -> (37.8, 42) -> (2.7, 3.0), rows 2 and 3 weigh the same.
    np.testing.assert_allclose(predicted("pf-pascal/mef", maps, (45, 26)), [[35 / 0.84, (49 - 21) / 0.84]])


def test_mef_lets_large_features_of_the_padding_win() -> None:
    target = one_hot(6)
    target[:, 0, 4] = 5 * target[:, 2, 0]
    maps = {"a": one_hot(6), "b": target}
    np.testing.assert_allclose(predicted("pf-pascal/mef", maps, (10, 10)), [[63 / 0.84, -21 / 0.84]])
    inside = predicted("pf-pascal/mef", maps, (10, 10), padding=False)
    assert 0 <= inside[0, 1] < 50
    cosine = predicted("pf-pascal/mef", {**maps, "b": one_hot(6)}, (45, 26), similarity="cosine")
    np.testing.assert_allclose(cosine, [[45, 26]], atol=1.0)


def test_padding_is_searched_only_where_the_protocol_says_so() -> None:
    target = one_hot(6, {(0, 2): (5, 0)})
    maps = {"a": one_hot(6), "b": target}
    assert predicted("spair71k/sd-dino", maps, (10, 10))[0, 1] < 0
    assert -1 < predicted("spair71k/sd-dino", maps, (10, 10), padding=False)[0, 1] < 50


def test_a_point_right_of_the_canvas_is_the_first_cell_of_the_next_row() -> None:
    assert cell_index(np.array([[6.0, 2.1]], np.float32), (6, 6), wrap=True) == [18]
    assert cell_index(np.array([[6.0, 2.1]], np.float32), (6, 6), wrap=False) == [17]
    assert cell_index(np.array([[6.0, 5.9], [-0.5, -0.9], [-7.0, 0.0]], np.float32), (6, 6), wrap=True).tolist() == [
        35,
        0,
        29,
    ]
    found = predicted("spair71k/sd-dino", {"a": one_hot(6), "b": one_hot(6)}, (100, 10))
    np.testing.assert_allclose(found, [[6.5 / 0.84, (3 * 14 + 6.5 - 21) / 0.84]])


@pytest.mark.parametrize("width", [500, 375, 640])
def test_cells_are_chosen_with_single_precision(width: int) -> None:
    points = frame((width, 300), settings("spair71k/sd-dino"), 840)
    xy = np.stack([np.arange(width), np.zeros(width)], axis=1)
    published = (torch.from_numpy(xy).float() * (840 / width)).numpy()
    wanted = (60 / 840 * published[:, 0]).astype(np.int32)
    from bench3d_plugins.semantic_correspondence.frames import Grid

    grid = Grid((60, 60), (1 / 14, 1 / 14), (0.0, 0.0))
    np.testing.assert_array_equal(np.trunc(grid.cells(points.to_canvas(xy))[:, 0]), wanted)


def test_geoaware_counts_what_is_outside_the_window_as_zero() -> None:
    # Similarities: 0.05 in cell (4, 3), 0.01 in every other one; a window of one cell around the best.
    values = torch.zeros(2, 6, 6)
    values[0], values[1] = 0.01, 0.9999**0.5
    values[:, 3, 4] = torch.tensor([0.05, 0.9975**0.5])
    source = torch.zeros(2, 6, 6)
    source[0] = 1
    kept = np.zeros((6, 6))
    kept[2:5, 3:6] = 0.01
    kept[3, 4] = 0.05
    weights = np.exp(kept / 0.02) / np.exp(kept / 0.02).sum()
    x, y = (weights.sum(0) * np.arange(6)).sum() * 14 + 7, (weights.sum(1) * np.arange(6)).sum() * 14 + 7
    found = predicted("spair71k/geoaware", {"a": source, "b": values}, (10, 10), window=1)
    np.testing.assert_allclose(found, [[x / 0.84, (y - 21) / 0.84]], rtol=1e-3)
    assert 42 < x < 56  # pulled from 63, the middle of column 4, towards the middle of the canvas


def test_soft_window_lies_between_two_equal_cells() -> None:
    target = one_hot(6)
    target[:, 3, 4] = target[:, 3, 3] = target[:, 2, 0]
    target[:, 2, 0] = 0
    found = predicted("spair71k/geoaware", {"a": one_hot(6), "b": target}, (10, 10), soft="window", window=1)
    np.testing.assert_allclose(found[:, 0], [(3.5 * 14 + 7) / 0.84], atol=0.1)


@pytest.mark.parametrize("name", EVERY)
def test_the_same_image_matches_itself(name: str) -> None:
    grid = EVERY[name].backbone["grid"]
    assert isinstance(grid, int)
    canvas = 448 if name.endswith("common3d") else 14 * grid
    maps = {"a": random_map(grid, 1, 256), "b": random_map(grid, 1, 256)}
    task, _, model = opened(name, maps, canvas=canvas)
    xy = np.random.default_rng(0).uniform([0, 0], [333, 250], (12, 2))
    whole = image("a", (333, 250), (0, 0, 333, 250)), image("b", (333, 250), (0, 0, 333, 250))
    (found,) = task.evaluate(model, [pair(*whole, xy, xy)], "cpu")
    # A dot product with raw features may prefer a larger neighbour; probe3d's corners lie up to a cell away.
    assert np.max(found["parts"]["error_px"]) < 3 * 333 / grid
    assert found["parts"]["correct@0.1"] == [1] * 12
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("name", EVERY)
def test_every_protocol_is_consistent(name: str) -> None:
    chosen = settings(name)
    names = [m.name for m in opened(name, {})[0].metrics]
    assert names[0] == "PCK@0.1" and len(set(names)) == len(names)
    assert {m.name: m.grouped for m in opened(name, {})[0].metrics}["PCK@0.1"]
    assert sum(m.grouped for m in opened(name, {})[0].metrics) == 1
    assert chosen.split == "test"


def test_probe3d_draws_the_same_200_pairs() -> None:
    every = [pair(image("a"), image("b"), (1, 1), (1, 1), id=str(n)) for n in range(300)]
    drawn = [opened("spair71k/probe3d", {})[0].samples(Pairs(every), "cat", None) for _ in range(2)]
    assert len(drawn[0]) == 200 and [p.id for p in drawn[0]] == [p.id for p in drawn[1]]
