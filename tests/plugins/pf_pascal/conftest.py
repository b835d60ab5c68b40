"""Fixtures of the PF-PASCAL tests."""

from __future__ import annotations

import pytest
from pf_pascal_folder import Folder


@pytest.fixture
def folder(tmp_path):
    """Four images and no list."""
    made = Folder(tmp_path / "data" / "PF-dataset-PASCAL")
    made.image("a", "b", "c", "d")
    return made
