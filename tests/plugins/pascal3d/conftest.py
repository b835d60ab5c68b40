"""Fixtures of the PASCAL3D+ tests."""

from __future__ import annotations

import pytest
from pascal3d_folder import Folder


@pytest.fixture
def folder(tmp_path):
    """An empty PASCAL3D+ folder with two CAD models of a car."""
    return Folder(tmp_path / "PASCAL3D+_release1.1")
