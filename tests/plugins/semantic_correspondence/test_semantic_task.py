"""Errors, references, averages, chance levels, swaps, groups and the order of images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from semantic_pairs import Pairs, image, one_hot, opened, pair, random_map

from bench3d.errors import UsageError
from bench3d.runner.aggregate import chance_levels, groups, scores
from bench3d_plugins.semantic_correspondence.chance import share_nearer, share_within
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings
from bench3d_plugins.semantic_correspondence.sides import counterparts
from bench3d_plugins.semantic_correspondence.task import reference_length

IDENTITY = {"a": one_hot(6), "b": one_hot(6)}
SIDES = {"0": "left ear", "1": "Right ear", "2": "nose", "3": "front-left_foot"}


def scored(name: str, pairs: list, maps: Any = IDENTITY, names: Any = None, **changed: Any) -> tuple[Any, list]:
    task, _, model = opened(name, maps, **changed)
    samples = task.samples(Pairs(pairs, names), "cat", None)
    return task, list(task.evaluate(model, samples, "cpu"))


@pytest.mark.parametrize(("name", "counts"), [("spair71k/dift", 1), ("spair71k/sd-dino", 0)])
def test_an_error_of_exactly_the_threshold(name: str, counts: int) -> None:
    box = (0, 0, 50, 20)
    # DIFT reports pixel (40, 20) for a point in it: 5 pixels off, alpha * 50 = 5.
    changed = {"query": "pixel", "candidates": "original", "position": "corner", "placing": "stretch"}
    _, (found,) = scored(name, [pair(image("a"), image("b", box=box), (40, 20), (43, 24))], **changed)
    assert found["parts"]["error_px"] == [5.0]
    assert found["parts"]["correct@0.1"] == [counts]


def test_references() -> None:
    sample = pair(image("a"), image("b", (100, 50), (10, 10, 30, 45)), [(1, 1), (2, 2)], [(5, 5), (17, 11)])
    lengths = {r: reference_length(sample, SemanticSettings(reference=r)) for r in ("box", "image", "keypoints")}
    assert lengths == {"box": 35.0, "image": 100.0, "keypoints": 12.0}
    boxless = pair(image("a"), image("b", box=None), (1, 1), (1, 1))
    with pytest.raises(UsageError, match="no box"):
        reference_length(boxless, SemanticSettings())


def test_a_box_of_one_pixel_and_of_none() -> None:
    pairs = [
        pair(image("a"), image("b", box=(5, 5, 6, 6)), (40, 20), (40, 20), id="one"),
        pair(image("a"), image("b", box=(5, 5, 5, 5)), (40, 20), (40, 20), id="none"),
        pair(image("a"), image("b"), np.zeros((0, 2)), np.zeros((0, 2)), id="empty"),
    ]
    task, found = scored("spair71k/dift", pairs)
    assert [v["parts"]["correct@0.1"] for v in found] == [[1], [0], []]
    assert found[1]["parts"]["chance@0.1"] == [0.0]
    json.dumps(found, allow_nan=False)
    assert {s.n for s in scores(task.metrics, found, 0)} == {2}


def test_averages_are_those_of_the_protocol() -> None:
    # Two keypoints right in one pair, one of one wrong in the other: 2/3 of the keypoints, 1/2 of the pairs.
    right = pair(image("a"), image("b"), [(40, 20), (60, 30)], [(40, 20), (60, 30)], id="r")
    wrong = pair(image("a"), image("b"), [(40, 20)], [(90, 40)], id="w")
    for name, wanted in (("spair71k/sd-dino", 200 / 3), ("spair71k/geoaware", 50.0)):
        box = {"reference": "image", "alphas": (0.1,)}
        task, found = scored(name, [right, wrong], canvas=840, maps={k: random_map(60, 0, 64) for k in "ab"}, **box)
        by_name = {s.metric: s.value for s in scores(task.metrics, found, 0) if s.category == "mean"}
        assert by_name["PCK@0.1"] == pytest.approx(wanted)
        assert by_name["PCK@0.1 per keypoint"] == pytest.approx(200 / 3)
        assert by_name["PCK@0.1 per image"] == pytest.approx(50.0)


def test_random_features_score_at_chance() -> None:
    rng = np.random.default_rng(0)
    maps = {f"i{n}": random_map(12, n) for n in range(40)}
    pairs = []
    for n in range(0, 40):
        xy, truth = rng.uniform([0, 0], [100, 50], (2, 8, 2))
        pairs.append(pair(image(f"i{n}"), image(f"i{(n + 7) % 40}", box=(0, 0, 100, 50)), xy, truth))
    for name in ("spair71k/sd-dino", "pf-willow/image"):
        task, found = scored(name, pairs, maps, canvas=168)
        hits = np.concatenate([v["parts"]["correct@0.1"] for v in found])
        chance = np.concatenate([v["parts"]["chance@0.1"] for v in found])
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert chance.mean() > 0.01
        assert abs(hits.sum() - chance.sum()) < 4 * spread
        level = next(c for c in chance_levels(task.metrics[:1], found, 0) if c.category == "mean")
        assert level.margin is not None and level.margin[0] < 0 < level.margin[1]


def test_batches_of_one_and_eight_give_the_same_values() -> None:
    rng = np.random.default_rng(1)
    maps = {f"i{n}": random_map(12, n) for n in range(4)}
    pairs = []
    for n in range(8):
        xy = rng.uniform([0, 0], [100, 50], (2, 3 + n % 4, 2))
        pairs.append(pair(image(f"i{n % 4}"), image(f"i{(n + 1) % 4}"), *xy, id=str(n)))
    task, encoder, model = opened("pf-pascal/mef", maps, canvas=168)
    together = task.evaluate(model, pairs, "cpu")
    assert len(encoder.asked) == 4
    alone = [opened("pf-pascal/mef", maps, canvas=168)[0].evaluate(model, [p], "cpu")[0] for p in pairs]
    assert [len(v["parts"]["x"]) for v in together] == [3 + n % 4 for n in range(8)]
    for a, b in zip(together, alone, strict=True):
        assert {k: v for k, v in a.items() if not k.endswith("_ms")} == {
            k: v for k, v in b.items() if not k.endswith("_ms")
        }
    assert [r.path.stem for r in task.images(pairs)] == ["i0", "i1", "i2", "i3"]


def test_points_outside_the_image_are_matched_all_the_same() -> None:
    task, _, model = opened("spair71k/sd-dino", IDENTITY)
    for name in ("spair71k/sd-dino", "spair71k/dift", "pf-pascal/mef", "pf-willow/image"):
        task, _, model = opened(name, IDENTITY)
        sample = pair(image("a"), image("b"), [(-3, -80), (130, 70), (100, 50)], [(-3, -8), (130, 70), (100, 50)])
        (found,) = task.evaluate(model, [sample], "cpu")
        json.dumps(found, allow_nan=False)
        assert np.isfinite(found["parts"]["error_px"]).all()


@pytest.mark.parametrize("name", ["spair71k/sd-dino", "spair71k/geoaware", "spair71k/dift", "pf-pascal/mef"])
def test_features_that_are_not_numbers_are_wrong_answers(name: str) -> None:
    broken = torch.full((4, 6, 6), torch.nan)
    sample = pair(image("a"), image("b"), (40, 20), (40, 20))
    task, (found,) = scored(name, [sample], {"a": one_hot(6)[:4], "b": broken}, reference="image", alphas=(0.1,))
    json.dumps(found, allow_nan=False)
    assert found["parts"]["correct@0.1"] == [0] and found["parts"]["x"] == [None]
    assert scores(task.metrics, [found], 0)[0].value == 0.0


def test_counterparts_come_from_names() -> None:
    assert counterparts(SIDES) == {"0": "1", "1": "0"}
    assert counterparts({"3": "front-left_foot", "4": "front right foot"}) == {"3": "4", "4": "3"}
    assert counterparts({"0": "upright post", "1": "upleft post", "2": "L_Eye", "3": "R_Eye"}) == {"2": "3", "3": "2"}
    assert counterparts({}) == {}


def test_swaps_count_only_where_the_other_side_is_seen() -> None:
    target = image("b", k0=(20, 25), k1=(80, 25), k2=(50, 25))
    # Predictions are the points themselves: the left ear's answer lies at the right ear, the nose has no other side.
    sample = pair(image("a"), target, [(79, 24), (50, 25)], [(20, 25), (50, 25)], ids=("0", "2"))
    task, (found,) = scored("spair71k/dift", [sample], names=SIDES)
    assert found["parts"]["swap"] == [1, None]
    # x >= 51 of 0..99 is nearer to the right ear: 49 of 100 columns (50 is as near to both).
    np.testing.assert_allclose(found["parts"]["chance_swap"][0], 0.49)
    (score,) = [s for s in scores(task.metrics, [found], 0) if s.metric == "left/right swaps" and s.category == "mean"]
    assert (score.value, score.n) == (100.0, 1)
    unseen = pair(image("a"), image("b", k0=(20, 25)), (79, 24), (20, 25), ids=("0",))
    task, found_none = scored("spair71k/dift", [unseen], names=SIDES)
    assert not [s for s in scores(task.metrics, found_none, 0) if s.metric == "left/right swaps"]


def test_groups_and_notes() -> None:
    about = {"viewpoint_variation": 2, "scale_variation": 0, "truncation": 3, "occlusion": 1, "flags": ("guessed",)}
    sample = pair(image("a"), image("b"), (40, 20), (40, 20), ids=("2",), attributes=about)
    task, _, model = opened("spair71k/sd-dino", IDENTITY)
    samples = task.samples(Pairs([sample], SIDES, ("list of 299",)), "cat", None)
    found = task.evaluate(model, samples, "cpu")
    names = {(g.by, g.bin) for g in groups(task.metrics, found, 0)}
    assert names == {
        ("viewpoint_variation", "2 (hard)"),
        ("scale_variation", "0 (easy)"),
        ("truncation", "both"),
        ("occlusion", "source"),
        ("keypoint", "nose"),
    }
    task.samples(Pairs([sample], SIDES, ("list of 299",)), "cat", None)
    assert task.notes() == ["list of 299", "1 pair: guessed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"alphas": (0.05,)},
        {"soft": "window", "candidates": "original"},
        {"lattice_side": 64},
        {"query": "pixel"},
        {"canvas": 10, "margin": 5},
        {"placing": "box"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SemanticSettings(**wrong)


coordinate = st.floats(-30, 130, allow_nan=False).map(lambda v: round(v * 4) / 4)


@given(
    st.tuples(coordinate, coordinate),
    st.tuples(coordinate, coordinate),
    st.floats(0, 60).map(lambda v: round(v * 4) / 4),
    st.integers(1, 12),
    st.integers(1, 9),
    st.booleans(),
)
def test_chance_equals_counting(a: tuple, b: tuple, radius: float, columns: int, rows: int, strict: bool) -> None:
    x, y = np.arange(columns) * 8.5 + 1.25, np.arange(rows) * 10.0 - 3
    here, there = np.array([a]), np.array([b])
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    far = np.square(points - here).sum(axis=1)
    near = far < radius**2 if strict or radius == 0 else far <= radius**2
    np.testing.assert_allclose(share_within(here, radius, x, y, strict=strict), near.mean())
    nearer = far < np.square(points - there).sum(axis=1)
    np.testing.assert_allclose(share_nearer(here, there, x, y), nearer.mean())
