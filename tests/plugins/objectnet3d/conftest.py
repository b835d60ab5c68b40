"""Fixtures of the ObjectNet3D tests."""

from __future__ import annotations

import pytest
from objectnet3d_folder import Folder


@pytest.fixture
def folder(tmp_path):
    """An empty ObjectNet3D folder with two CAD models of a sofa and of a car."""
    return Folder(tmp_path / "ObjectNet3D")
