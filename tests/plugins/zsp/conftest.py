from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from scene import Videos


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    """A video without depth, and one of twelve frames around the object."""
    root, found = tmp_path_factory.mktemp("videos"), Videos()
    found.add(root, "flat", [0.0, 90.0], with_depth=False)
    found.add(root, "round", [30.0 * n for n in range(12)])
    return found
