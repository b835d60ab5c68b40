"""What the tests of the embedded backbone share."""

from __future__ import annotations

import pytest

from bench3d.contracts import NullProgress
from bench3d_plugins.tiny.pictures import Pictures, PictureSpec
from bench3d_plugins.tiny.settings import PretrainSettings


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """128 pictures of 48 pixels, drawn once for all tests."""
    return Pictures(PictureSpec(128, 48, 0), tmp_path_factory.mktemp("pictures"), NullProgress())


@pytest.fixture
def small():
    """A recipe of seconds: small(steps=10) changes settings."""

    def make(**changes):
        values = {
            "pictures": 8, "held_out": 4, "picture_size": 32, "sides": (24, 32), "steps": 6, "batch": 4,
            "checkpoints": (2, 4),
        }  # fmt: skip
        return PretrainSettings(**(values | changes))

    return make
