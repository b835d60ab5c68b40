from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy import ToySource

from bench3d_plugins.common3d.settings import Common3DSettings

TINY = {
    "canvas": 64,
    "render_size": 16,
    "grid_cells": 4,
    "mlp_width": 32,
    "adapter_widths": (32, 32, 16),
    "adapter_dilation": (1, 2, 4),
    "adapter_upsample": False,
    "latent_width": 16,
    "latent_dim": 16,
    "feature_norm": "ordinary",
    "standardise": True,
    "surface_samples": 40,
    "chamfer_points": 100,
    "eikonal_points": 100,
    "views": "cached",
    "accumulate": 1,
    "batch": 6,
    "template_iterations": 6,
    "appearance_iterations": 8,
    "validate_every": 4,
    "validation_frames": 3,
    "learning_rate": 1e-3,
    "held_out": 0.25,
}


@pytest.fixture(scope="session")
def toy_source(tmp_path_factory: pytest.TempPathFactory) -> ToySource:
    """Four videos of six frames; the last one is held out under the tiny settings."""
    return ToySource(tmp_path_factory.mktemp("toy"), count=4, views=6)


@pytest.fixture
def tiny() -> Common3DSettings:
    """A fit of a few seconds that only has to run, not to learn."""
    return Common3DSettings(**TINY)
