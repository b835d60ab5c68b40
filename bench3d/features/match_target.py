"""A target map prepared once for many sets of queries."""

from __future__ import annotations

import torch

from bench3d.features import match_kernels, match_torch
from bench3d.features.lattice import Lattice


class Target:
    """A map that many query sets are matched against; norms are computed once, on first use.

    Args:
        values: (C, h, w); it must not change afterwards. Computed with in float32 on its device.

    Raises:
        ValueError: another number of axes, or a map without cells.
    """

    def __init__(self, values: torch.Tensor) -> None:
        if values.ndim != 3 or 0 in values.shape:
            raise ValueError(f"a target map must be (C, h, w), not {tuple(values.shape)}")
        self.values = values.detach().float().contiguous()
        self.grid_size = (values.shape[2], values.shape[1])
        self._gram: torch.Tensor | None = None
        self._inverse: dict[bytes, torch.Tensor] = {}

    @property
    def on_cpu(self) -> bool:
        """Whether the numba kernels apply."""
        return self.values.device.type == "cpu"

    def gram(self) -> torch.Tensor:
        """(5, h, w) float64 inner products of neighbouring cells, see `match_torch.gram_maps`."""
        if self._gram is None:
            if self.on_cpu:
                self._gram = torch.from_numpy(match_kernels.gram_maps(self.values.numpy()))
            else:
                self._gram = match_torch.gram_maps(self.values)
        return self._gram

    def inverse_cell_norm(self) -> torch.Tensor:
        """(h, w) float32, 0 where the vector is 0."""
        norm = self.gram()[0].sqrt()
        return torch.where(norm == 0, 0.0, 1.0 / norm).float()

    def inverse_norm(self, lattice: Lattice) -> torch.Tensor:
        """(H, W) float32: 1 / norm of the interpolated vector; kept for the lattice that was asked for last."""
        if lattice.key not in self._inverse:
            if self.on_cpu:
                inverse = match_kernels.inverse_norms_on(self.gram(), *lattice.on(self.grid_size))
            else:
                inverse = match_torch.inverse_norms(self.gram(), lattice)
            self._inverse = {lattice.key: inverse}
        return self._inverse[lattice.key]
