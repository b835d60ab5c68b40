from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "common3d"))

from toy import ToySource

from bench3d_plugins.uop3d.settings import UOP3DSettings

TINY = {
    "canvas": 64,
    "render_size": 16,
    "mesh_vertices": 80,
    "adapter_widths": (32, 32, 16),
    "adapter_dilation": (1, 2, 4),
    "adapter_upsample": False,
    "standardise": True,
    "views": "cached",
    "accumulate": 1,
    "batch": 6,
    "iterations": 8,
    "validation_frames": 3,
    "learning_rate": 3e-3,
    "held_out": 0.25,
    "refine_steps": 3,
}


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> ToySource:
    """Four videos of six frames; the last one is held out under the tiny settings."""
    return ToySource(tmp_path_factory.mktemp("boxes"), count=4, views=6)


@pytest.fixture
def tiny() -> UOP3DSettings:
    """A fit of a few seconds that only has to run, not to learn."""
    return UOP3DSettings(**TINY)
