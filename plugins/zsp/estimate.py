"""What collecting references costs, roughly; no torch."""

from __future__ import annotations

from typing import Any


def estimate(plan: Any) -> dict[str, float] | None:
    """Nothing yet."""
    return None
