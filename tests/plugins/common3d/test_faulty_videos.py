"""Videos that cannot be trained on: left out with a reason, counted, and the fit goes on with the rest."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_training import context
from toy import SIZE, ColourModel, ToySource

from bench3d.errors import DataError
from bench3d.morphable.screening import screen
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.train import fit_category

TEN = "sequence: its point cloud has 10 points, fewer than 11"


def give(sequence: object, points: np.ndarray) -> None:
    object.__setattr__(sequence, "points", lambda: points)


def test_faults_are_left_out_and_counted(tmp_path: Path, tiny: Common3DSettings) -> None:
    source = ToySource(tmp_path, count=6, views=4)
    _, few, broken, blind, empty, _ = source.list
    give(few, np.random.default_rng(0).random((10, 3)))
    give(broken, np.full((100, 3), np.nan))
    for frame in blind.frames:
        frame.cam_T_obj[0, 3] = np.nan
    cv2.imwrite(str(empty.frames[1].mask), np.zeros((SIZE, SIZE), np.uint8))
    facts = fit_category(ColourModel(), source, tiny, context(tmp_path / "fit")).facts
    assert facts["training_sequences"] == ["seq00", "seq04"] and facts["held_out_sequences"] == ["seq05"]
    assert facts["training_frames"] == 7
    assert facts["left_out"] == {
        TEN: 1,
        "sequence: its point cloud is not finite": 1,
        "sequence: no frame can be used: its camera is not finite": 1,
        "frame: its camera is not finite": 4,
        "frame: its mask is empty": 1,
    }
    assert facts["left_out_names"]["04-01"] == "its mask is empty" and len(facts["left_out_names"]) == 8


def test_nothing_is_left_out_of_whole_videos(toy_source: ToySource) -> None:
    screened = screen(toy_source.list)
    assert screened.sequences == tuple(toy_source.list) and screened.summary() == ""
    assert screened.facts() == {"left_out": {}, "left_out_names": {}}


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path, tiny: Common3DSettings) -> None:
    source = ToySource(tmp_path, count=2, views=2)
    for sequence in source.list:
        give(sequence, np.zeros((0, 3)))
    with pytest.raises(DataError, match=r"None of the 2 sequences of toy .*seq00: its point cloud has 0 points"):
        fit_category(ColourModel(), source, tiny, context(tmp_path / "fit"))
