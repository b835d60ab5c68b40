import numpy as np
import pytest
import torch

from bench3d.geometry.pixels import PixelGeometry
from bench3d_plugins.point_tracking.features import VideoFeatures, video_features
from bench3d_plugins.point_tracking.settings import TrackerSettings
from bench3d_plugins.point_tracking.trackers import follow

STRIDE, PATCH = 7, 14
SIZE = (224, 140)
GRID = ((SIZE[0] - PATCH) // STRIDE + 1, (SIZE[1] - PATCH) // STRIDE + 1)
GEOMETRY = PixelGeometry.identity(SIZE).with_grid(GRID, (float(STRIDE),) * 2, ((PATCH - STRIDE) / 2,) * 2)


def moving(steps, channels=64, seed=0):
    """Random cells that shift by whole cells (columns, rows) from frame to frame, wrapping around."""
    base = torch.randn(channels, GRID[1], GRID[0], generator=torch.Generator().manual_seed(seed))
    return torch.stack([torch.roll(base, (dy, dx), (1, 2)) for dx, dy in steps])


def centre(column, row):
    return [column * STRIDE + PATCH / 2, row * STRIDE + PATCH / 2]


STEPS = [(0, 0), (1, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize("tracker", ["published", "cycle"])
def test_cells_that_move_are_followed_forwards_and_backwards(tracker):
    video = VideoFeatures(moving(STEPS), GEOMETRY)
    asked = np.array([centre(12, 8), centre(14, 9)])
    frames = np.array([0, 2])
    places, hidden = follow(video, frames, asked, TrackerSettings(tracker=tracker))
    start = [(12, 8), (12, 8)]  # both are the same thing, asked for in two frames
    wanted = np.array([[centre(c + dx, r + dy) for dx, dy in STEPS] for c, r in start])
    if tracker == "published":  # in the interior the flat soft-argmax is the centre of its disc
        np.testing.assert_allclose(places, wanted, atol=0.5)
    else:  # a parabola through noise: within half a cell
        assert np.abs(places - wanted).max() < STRIDE / 2
        np.testing.assert_array_equal(places[[0, 1], frames], asked)
    assert not hidden.any()


def test_the_published_soft_argmax_by_hand():
    # One channel of 1 at a corner cell and 0 elsewhere: cosine 1 there, 0 around (a zero vector has cosine 0).
    values = torch.zeros(2, 1, GRID[1], GRID[0])
    values[:, 0, 0, 0] = 1.0
    video = VideoFeatures(values, GEOMETRY)
    places, _ = follow(video, np.array([0]), np.array([centre(0, 0)]), TrackerSettings(tracker="published"))
    cells = [(x, y) for x in range(6) for y in range(6) if STRIDE * np.hypot(x, y) <= 35.0]
    weight = np.array([np.e if cell == (0, 0) else 1.0 for cell in cells])
    wanted = (np.array([centre(*cell) for cell in cells]) * weight[:, None]).sum(axis=0) / weight.sum()
    np.testing.assert_allclose(places[0], [wanted, wanted], rtol=1e-5)
    assert wanted[0] > centre(0, 0)[0] + 10  # the pull inwards that the docs warn of


@pytest.mark.parametrize("tracker", ["published", "cycle"])
def test_what_disappears_is_hidden(tracker):
    values = moving([(0, 0)] * 5)
    other = moving([(0, 0)], seed=9)[0]
    values[2:4] = other
    video = VideoFeatures(values, GEOMETRY)
    places, hidden = follow(video, np.array([0]), np.array([centre(15, 9)]), TrackerSettings(tracker=tracker))
    assert hidden[0].tolist() == [False, False, True, True, False]
    np.testing.assert_allclose(places[0, 4], centre(15, 9), atol=2.0)


def test_a_peak_between_two_cells_is_found_there():
    # A bump of similarity around x = 10.3 cells: vectors turned by an angle that grows with the distance from it.
    columns = torch.arange(GRID[0]) + 0.5
    angle = ((columns - 10.8) * 0.25).clamp(-1.5, 1.5)
    row = torch.stack([angle.cos(), angle.sin()])
    far = torch.zeros(1, GRID[1], GRID[0])
    values = torch.cat([row[:, None].expand(-1, GRID[1], -1), far])[None].repeat(2, 1, 1, 1)
    values[:, 2] = ((torch.arange(GRID[1]) + 0.5 - 8.5) * 0.25)[:, None]
    video = VideoFeatures(values, GEOMETRY)
    query = np.array([[10.8 * STRIDE + 3.5, 8.5 * STRIDE + 3.5]])
    fine, _ = follow(video, np.array([0]), query, TrackerSettings())
    coarse, _ = follow(video, np.array([0]), query, TrackerSettings(subcell=False))
    assert np.abs(fine[0, 1] - query[0]).max() < 0.15 * STRIDE
    assert np.abs(coarse[0, 1] - query[0]).max() > 0.2 * STRIDE


@pytest.mark.parametrize("tracker", ["published", "cycle"])
def test_a_point_does_not_depend_on_the_others_nor_on_the_chunks(tracker, monkeypatch):
    video = VideoFeatures(moving(STEPS, channels=8) + 0.3 * torch.randn(4, 8, GRID[1], GRID[0]), GEOMETRY)
    rng = np.random.default_rng(0)
    frames, asked = rng.integers(0, 4, 9), rng.random((9, 2)) * SIZE
    settings = TrackerSettings(tracker=tracker)
    places, hidden = follow(video, frames, asked, settings)
    alone, off = follow(video, frames[4:5], asked[4:5], settings)
    np.testing.assert_allclose(alone[0], places[4], atol=1e-3)
    assert off[0].tolist() == hidden[4].tolist()
    monkeypatch.setattr("bench3d_plugins.point_tracking.features.MAP_BYTES", 4 * GRID[0] * GRID[1] * 2)
    small, gone = follow(video, frames, asked, settings)
    np.testing.assert_allclose(small, places, atol=1e-3)
    np.testing.assert_array_equal(gone, hidden)


def test_the_motion_prior_keeps_a_point_from_its_double():
    # Two equal textures, far apart; in the next frame the far one is a little more like the query.
    values = moving([(0, 0), (0, 0)], channels=32)
    near, far = (6, 9), (26, 9)
    values[0, :, far[1], far[0]] = values[0, :, near[1], near[0]]
    values[1, :, far[1], far[0]] = values[0, :, near[1], near[0]]
    values[1, :, near[1], near[0]] = values[0, :, near[1], near[0]] + 0.1 * torch.randn(
        32, generator=torch.Generator().manual_seed(2)
    )
    video = VideoFeatures(values, GEOMETRY)
    asked = np.array([centre(*near)])
    for motion, column in ((0.2, near[0]), (0.0, far[0])):
        places, _ = follow(video, np.array([0]), asked, TrackerSettings(motion=motion, subcell=False))
        assert places[0, 1].tolist() == centre(column, 9)


def test_weighted_maps_become_one_whose_cosine_is_their_weighted_sum():
    from bench3d.contracts import FeatureMap, WeightedMap

    torch.manual_seed(0)
    maps = [
        WeightedMap(FeatureMap(torch.randn(1, c, GRID[1], GRID[0]), (GEOMETRY,)), w) for c, w in ((5, 0.8), (3, 0.2))
    ]
    video = video_features([maps, maps])
    query = video.values[0, :, 4, 7][None]
    cosines = sum(
        m.weight * torch.nn.functional.cosine_similarity(m.map.values[0, :, 4, 7, None, None], m.map.values[0], dim=0)
        for m in maps
    )
    torch.testing.assert_close(video.similarity(query, 1)[0], cosines.flatten(), atol=1e-5, rtol=0)
