"""ZSP (ECCV'22): pose from one labelled reference sequence, without training."""

from __future__ import annotations

from bench3d.contracts.registration import Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """Nothing yet."""
    return []
