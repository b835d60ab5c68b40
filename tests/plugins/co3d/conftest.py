"""Fixtures of the CO3D tests."""

from __future__ import annotations

import pytest
from co3d_folder import Folder


@pytest.fixture
def co3d(tmp_path):
    """A CO3D folder with one category and two sequences."""
    return Folder(tmp_path / "co3d")
