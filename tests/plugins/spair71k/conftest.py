"""Fixtures of the SPair-71k tests."""

from __future__ import annotations

import pytest
from spair71k_folder import Folder


@pytest.fixture
def folder(tmp_path):
    """Two annotated images of a motorbike, and no pair."""
    made = Folder(tmp_path / "SPair-71k")
    made.image("2008_000001")
    made.image("2008_000002")
    return made
