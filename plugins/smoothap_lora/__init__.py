"""smoothap_lora."""

from __future__ import annotations

from bench3d.contracts import Registration
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """Nothing yet."""
    return []
