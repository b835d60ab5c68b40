"""What a training step sees: points on surfaces, pairs within the angle, exact repetition."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from smoothap_scene import RADIUS, SIZE, Balls

from bench3d.contracts import ViewSet
from bench3d.errors import DataError
from bench3d_plugins.smoothap_lora.draws import (
    Pairs,
    Units,
    draw_views,
    extent,
    known_depth,
    random_points,
    share_points,
    split_sets,
    view_angle,
    with_depth,
)
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

SETTINGS = SmoothAPSettings(points=200, positive=0.02)


@pytest.fixture
def balls(tmp_path: Path) -> list[ViewSet]:
    return list(Balls(tmp_path).view_sets())


def test_points_lie_on_the_surface_and_on_the_mask(balls: list[ViewSet]) -> None:
    view = balls[0].views[2]
    xy, world = random_points(view, 300, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(world, axis=1), RADIUS, atol=1e-5)
    column, row = np.floor(xy).astype(int).T
    assert view.mask is not None and view.mask()[row, column].all()
    assert np.all(xy % 1 == 0.5)
    assert len(np.unique(xy, axis=0)) == 300  # without replacement where there are enough
    few, _ = random_points(view, 5000, np.random.default_rng(0))
    assert len(few) == 5000 and len(np.unique(few, axis=0)) < len(known_depth(view)[0]) + 1


def test_a_pair_is_two_views_of_one_object_within_the_angle(balls: list[ViewSet]) -> None:
    settings = SETTINGS.model_copy(update={"max_angle": 45.0, "augment": False})
    pairs = Pairs(balls, settings, seed=1)
    angles = 0
    for number in range(30):
        pair = pairs.pair(number)
        name, first, second = pair.id.split("/")
        chosen = balls[int(name[-1])]
        assert 0 < view_angle(chosen.views[int(first)], chosen.views[int(second)]) <= 45
        assert share_points(pair.views[0].points, pair.views[1].points, 0.02)
        assert all(view.points.shape == (200, 3) and view.image.shape == (SIZE, SIZE, 3) for view in pair.views)
        angles += pair.skipped.get("angle", 0)
    # Of 15 pairs of the six views 9 are 20 or 40 degrees apart: 0.67 rejections for each pair that is kept.
    assert 8 < angles < 40


def test_draws_follow_from_seed_and_number(balls: list[ViewSet]) -> None:
    first, again, other = (Pairs(balls, SETTINGS, seed=s) for s in (0, 0, 1))
    late, early = first.pair(7), again.pair(7)
    assert late.id == early.id
    for a, b in zip(late.views, early.views, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.points, b.points)
    assert {first.pair(n).id for n in range(8)} != {other.pair(n).id for n in range(8)}
    assert not np.array_equal(first.pair(0).views[0].points[:9], first.pair(100).views[0].points[:9])


def test_as_published_replays_pairs_and_points_but_not_the_augmentation(balls: list[ViewSet]) -> None:
    plain = SETTINGS.model_copy(update={"as_published": True, "augment": False})
    pairs = Pairs(balls, plain, seed=0)
    for number in (0, 1, 99):
        a, b = pairs.pair(number), pairs.pair(number + 300)
        assert a.id == b.id
        np.testing.assert_array_equal(a.views[0].points, b.views[0].points)
        np.testing.assert_array_equal(a.views[1].xy, b.views[1].xy)
    assert len({pairs.pair(n).id for n in range(20)}) > 5
    augmented = Pairs(balls, plain.model_copy(update={"augment": True}), seed=0)
    images = [augmented.pair(n).views[0].image for n in (0, 100, 200)]
    assert not np.array_equal(images[0], images[1]) and not np.array_equal(images[1], images[2])


def test_shuffled_points_are_the_same_points_in_another_order(balls: list[ViewSet]) -> None:
    settings = SETTINGS.model_copy(update={"augment": False})
    true = Pairs(balls, settings, seed=0).pair(0)
    wrong = Pairs(balls, settings.model_copy(update={"shuffled": True}), seed=0).pair(0)
    a, b = true.views[1], wrong.views[1]
    np.testing.assert_array_equal(a.xy, b.xy)
    assert np.linalg.norm(a.points - b.points, axis=1).mean() > 0.2
    np.testing.assert_array_equal(np.sort(a.points, axis=0), np.sort(b.points, axis=0))


def test_extent_makes_any_unit_the_same(tmp_path: Path) -> None:
    metres = Balls(tmp_path / "m", views=19).view_sets()
    millimetres = Balls(tmp_path / "mm", views=19, unit=1000.0).view_sets()
    assert extent(metres[0]) == pytest.approx(1.0, abs=0.03)  # the diameter, as far as pixels show it
    assert extent(millimetres[0]) == pytest.approx(1000 * extent(metres[0]), rel=1e-4)
    assert Units(metres, "auto").scale(1) == 1.0  # object units are taken as they are
    assert Units(millimetres, "auto").scale(1) == extent(millimetres[1])
    assert Units(millimetres, "world").scale(1) == 1.0
    a, b = (Pairs(sets, SETTINGS, 0).pair(3).views[0].points for sets in (metres, millimetres))
    assert a.std() == pytest.approx(b.std(), rel=0.05)


def test_last_objects_are_held_out_and_a_single_one_is_split_by_views(tmp_path: Path) -> None:
    sets = list(Balls(tmp_path, objects=5, views=12).view_sets())
    training, held = split_sets(sets, 0.1)
    assert [s.id for s in training] == ["ball-0", "ball-1", "ball-2", "ball-3"] and [s.id for s in held] == ["ball-4"]
    assert [len(part) for part in split_sets(sets, 0.45)] == [3, 2]
    assert split_sets(sets, 0.0) == (sets, [])
    (training,), (held) = split_sets(sets[:1], 0.1)
    assert [v.id for v in training.views] == [str(n) for n in range(10)]
    assert [v.id for v in held[0].views] == ["10", "11"]
    assert split_sets([replace(sets[0], views=sets[0].views[:9])], 0.1)[1] == []


def test_data_that_cannot_be_trained_on(balls: list[ViewSet]) -> None:
    flat = [replace(s, views=tuple(replace(v, depth=None) for v in s.views)) for s in balls]
    with pytest.raises(DataError, match="depth"):
        with_depth(flat)
    with pytest.raises(DataError, match="within 5"):
        draw_views(balls, 5.0, np.random.default_rng(0), Counter())
    with pytest.raises(DataError, match="no common point"):
        Pairs(balls, SETTINGS.model_copy(update={"positive": 1e-9}), 0).pair(0)
    wrong = replace(balls[0].views[0], depth=lambda: np.ones((3, 3), dtype=np.float32))
    with pytest.raises(DataError, match="3x3"):
        known_depth(wrong)
