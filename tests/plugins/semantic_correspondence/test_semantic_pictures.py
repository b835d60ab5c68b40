"""Pictures of matches and of keypoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from semantic_pairs import Pairs, image, one_hot, opened, pair

from bench3d_plugins.semantic_correspondence.pictures import RIGHT, WRONG


def test_right_and_wrong_matches_are_told_apart(tmp_path: Path) -> None:
    for name, size in (("a", (100, 50)), ("b", (40, 80))):
        Image.new("RGB", size, (128, 128, 128)).save(tmp_path / f"{name}.png")
    source = replace(image("a"), image=tmp_path / "a.png")
    target = replace(image("b", (40, 80), (0, 0, 40, 80)), image=tmp_path / "b.png")
    maps = {"a": one_hot(6), "b": one_hot(6)}
    task, _, model = opened("pf-willow/image", maps)
    xy = [[50, 25], [20, 20]]
    pairs = [
        pair(source, target, xy, xy, id="one/1"),
        pair(source, target, [xy[0]], [[39, 79]], id="two:2"),
        pair(source, target, np.zeros((0, 2)), np.zeros((0, 2)), id="none"),
    ]
    samples = task.samples(Pairs(pairs, {"0": "left ear", "1": "right ear"}), "cat", None)
    values = task.evaluate(model, samples, "cpu")
    values[0]["parts"]["correct@0.1"] = [1, 1]
    paths = list(task.pictures(model, samples, values, tmp_path / "out", "cpu"))
    assert [p.name for p in paths] == ["01-0of1-two_2.png", "02-2of2-one_1.png", "pck-per-keypoint.png"]
    assert _has(paths[1], RIGHT, 200)
    assert not _has(paths[1], WRONG, 200)
    assert _has(paths[0], WRONG, 100)
    assert _has(paths[2], RIGHT, 1000)
    assert list(task.pictures(model, samples[2:], values[2:], tmp_path / "empty", "cpu")) == []


def _has(path: Path, colour: str, pixels: int) -> bool:
    """Whether the picture above the legend shows at least so many pixels of the colour."""
    shown = np.asarray(Image.open(path).convert("RGB")).astype(int)[:-40]
    wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
    return int((np.abs(shown - wanted).max(axis=2) < 12).sum()) >= pixels
