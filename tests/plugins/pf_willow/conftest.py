"""Fixtures of the PF-WILLOW tests."""

from __future__ import annotations

import pytest
from pf_willow_folder import Folder


@pytest.fixture
def folder(tmp_path):
    """Three annotated motorbikes, and no list."""
    made = Folder(tmp_path / "data" / "PF-dataset")
    for name in ("60_0000", "61_0000", "62_0000"):
        made.image(name)
    return made
