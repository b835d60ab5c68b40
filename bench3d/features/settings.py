"""Settings that backbones share. Importing this module loads no torch.

Three named policies decide the network input, so that backbones with different patch sizes can be compared:

* `equal-grid` (the default): the longer side gets `grid` cells, whatever the patch; input = patch * cells.
* `equal-pixels`: the longer side gets `input_size` pixels, floored to whole patches.
* `native`: the image's own size, each side floored to whole patches.

The shorter side keeps the aspect ratio, rounded to whole cells; the image is stretched by that rounding (less than
half a cell) and the pixel geometry knows by how much.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_GRID = 32


class InputSettings(BaseModel):
    """Size of the network input. `native` goes before `input_size`, `input_size` before `grid`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grid: int | None = Field(default=DEFAULT_GRID, ge=1, le=512, description="cells on the longer side (equal-grid)")
    input_size: int | None = Field(
        default=None, ge=8, le=8192, description="input pixels on the longer side (equal-pixels); replaces grid"
    )
    native: bool = Field(default=False, description="the image's own size, in whole patches; replaces grid")
    resize: Literal["network", "bilinear", "bicubic", "unsmoothed"] = Field(
        default="network",
        description="how the input is resized: network: as it was trained; unsmoothed: bilinear without averaging",
    )

    @model_validator(mode="after")
    def _one_policy(self) -> InputSettings:
        if self.native and self.input_size is not None:
            raise ValueError("native and input_size exclude each other: set only one")
        return self

    @property
    def policy(self) -> str:
        """`equal-grid`, `equal-pixels` or `native`."""
        if self.native:
            return "native"
        return "equal-grid" if self.input_size is None else "equal-pixels"

    def long_cells(self, patch: int) -> int | None:
        """Cells on the longer side, None where the image decides (native)."""
        if self.native:
            return None
        if self.input_size is not None:
            return max(1, self.input_size // patch)
        return self.grid or DEFAULT_GRID

    def canvas(self, patch: int) -> int | None:
        """Side in pixels of a square input, None where any size is taken as it is."""
        cells = self.long_cells(patch)
        return None if cells is None else cells * patch

    def cells(self, size: tuple[int, int], patch: int) -> tuple[int, int]:
        """Grid (w, h) for an image of `size` (W, H); every side has at least one cell."""
        width, height = size
        long = self.long_cells(patch)
        if long is None:
            return max(1, width // patch), max(1, height // patch)
        scale = long / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))


INPUT_POLICY = frozenset({*InputSettings.model_fields, "stride"})
"""Settings that say how an image becomes cells, whatever the network; not every backbone has all of them."""


class BackboneSettings(InputSettings):
    """Settings of a network backbone."""

    layer: int | None = Field(default=None, description="block or stage, negative from the end; None is the last one")
    tokens: Literal["normed", "prenorm"] = Field(
        default="normed", description="after or before the network's final norm layer"
    )
    seed: int = Field(default=0, ge=0, description="seed of --weights random")
    revision: str | None = Field(default=None, description="hub revision (commit, tag) of --weights pretrained")
