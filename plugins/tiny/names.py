"""What the embedded backbones and their files are called, and the size of a cell. No torch here."""

from __future__ import annotations

NAME = "tiny"
PATCH = 8
"""Pixels of a cell's side."""

STEPS = (100, 300, 1000)
"""Steps after which the recipe also keeps the weights."""


def weights_name(step: int | None) -> str:
    """The file of the weights after a step, None for the end."""
    return f"{NAME}.safetensors" if step is None else f"{NAME}-step-{step}.safetensors"
