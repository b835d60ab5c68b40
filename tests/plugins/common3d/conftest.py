from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy import TINY, ToySource

from bench3d_plugins.common3d.settings import Common3DSettings


@pytest.fixture(scope="session")
def toy_source(tmp_path_factory: pytest.TempPathFactory) -> ToySource:
    """Four videos of six frames; the last one is held out under the tiny settings."""
    return ToySource(tmp_path_factory.mktemp("toy"), count=4, views=6)


@pytest.fixture
def tiny() -> Common3DSettings:
    """A fit of a few seconds that only has to run, not to learn."""
    return Common3DSettings(**TINY)
