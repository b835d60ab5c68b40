"""Synthetic twins: shape families, scenes and cameras of procedurally generated data.

Everything is deterministic in its seed: no global random state, no hash(), no image files. `GENERATOR_VERSION` is
frozen once a figure has been made with it; any change of a byte of the output raises it.
"""

from __future__ import annotations

GENERATOR_VERSION = 1
CATEGORIES = ("bicycle", "bus", "car", "chair", "couch", "motorcycle", "tv")

__all__ = ["CATEGORIES", "GENERATOR_VERSION"]
