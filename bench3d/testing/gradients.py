"""Gradients against finite differences, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench3d.testing.subjects import require

SLOPE = 0.05
"""Relative error that a gradient may have."""


def differences(loss: Any, at: torch.Tensor, step: float, columns: tuple[int, ...] | None = None) -> torch.Tensor:
    """Central differences of a loss at a tensor, in the columns of its last axis that are asked for."""
    found = torch.zeros_like(at)
    for index in np.ndindex(*at.shape):
        if columns is not None and index[-1] not in columns:
            continue
        high, low = at.detach().clone(), at.detach().clone()
        high[index] += step
        low[index] -= step
        if torch.equal(high, low):
            continue
        found[index] = (float(loss(high).detach()) - float(loss(low).detach())) / (2 * step)
    return found


def agree(what: str, gradient: torch.Tensor | None, *expected: torch.Tensor) -> str:
    """Compares with the nearest of several differences, entry by entry, where there are any."""
    require(gradient is not None, f"There is no gradient to {what}.")
    assert gradient is not None
    largest = float(expected[0].abs().max())
    off = torch.stack([(gradient - e).abs() for e in expected]).amin(dim=0)
    error = float(off[expected[0] != 0].max()) / max(largest, 1e-9)
    require(largest > 0 and bool(gradient.any()), f"The gradient to {what} is zero.")
    require(error <= SLOPE, f"The gradient to {what} is off by {error:.1%} of its largest entry (finite differences).")
    return f"{what} {error:.1%}"
