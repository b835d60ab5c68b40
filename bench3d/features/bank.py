"""A bank of descriptors that stand for points of the world, and its matches in the feature map of a new image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bench3d.features.lattice import Lattice
from bench3d.features.match_bank import mutual_lattice
from bench3d.features.match_target import Target
from bench3d.features.matching import dense_argmax
from bench3d.geometry.pixels import PixelGeometry


@dataclass(frozen=True, eq=False)
class Bank:
    """N descriptors of unit length and where their points lie.

    Attributes:
        points: (N, 3) float64 world units; several rows may be one point seen from several views.
        descriptors: (N, C) float32 of unit length.
    """

    points: np.ndarray
    descriptors: torch.Tensor

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: str) -> Bank:
        """The same bank with its descriptors on `device`."""
        return Bank(self.points, self.descriptors.to(device))


def empty_bank(channels: int = 0) -> Bank:
    """A bank of nothing."""
    return Bank(np.zeros((0, 3)), torch.zeros((0, channels)))


def kept_rows(count: int, most: int | None, seed: tuple[int, ...]) -> np.ndarray:
    """Ascending rows of `count` that a cap of `most` keeps: all, or a draw without replacement by `seed`."""
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(list(seed)).choice(count, most, replace=False))


def merged(bank: Bank, groups: np.ndarray) -> Bank:
    """One row per group: the mean of its descriptors brought to unit length, and the mean of its points.

    Args:
        bank: the rows.
        groups: (N,) int64 names of the groups; rows of the answer are in ascending order of these.
    """
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    points = np.stack(
        [np.bincount(inverse, weights=bank.points[:, a], minlength=len(counts)) for a in range(3)], axis=1
    )
    total = torch.zeros((len(counts), bank.descriptors.shape[1]), device=bank.descriptors.device)
    total.index_add_(0, torch.from_numpy(inverse).to(total.device), bank.descriptors.float())
    return Bank(points / counts[:, None], torch.nn.functional.normalize(total, dim=1))


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a query image is looked at: columns `x` (W,) and rows `y` (H,) of original pixels, and what of it counts.

    Attributes:
        shift: pixels by which features are read left of and above where a point is said to lie.
        valid: (H, W) bool, None for all.
    """

    x: np.ndarray
    y: np.ndarray
    shift: float = 0.0
    valid: np.ndarray | None = None

    @staticmethod
    def of(size: tuple[int, int], stride: int, shift: float = 0.0, mask: np.ndarray | None = None) -> Grid:
        """Centres of every `stride`-th pixel and row of an image of `size` (W, H), from the first on.

        `mask` (H, W) bool says which pixels count.
        """
        x, y = (np.arange(0, side, stride) + 0.5 for side in size)
        return Grid(x, y, shift, None if mask is None else mask[::stride, ::stride])

    def lattice(self, geometry: PixelGeometry) -> Lattice:
        """The points as continuous cells of a feature map."""
        longest = max(len(self.x), len(self.y))
        points = np.zeros((longest, 2))
        points[: len(self.x), 0], points[: len(self.y), 1] = self.x - self.shift, self.y - self.shift
        cells = geometry.original_to_cell(points)
        return Lattice(cells[: len(self.x), 0], cells[: len(self.y), 1])


@dataclass(frozen=True)
class BankMatches:
    """(K, 2) original pixels of a query image, and the rows (K,) int64 of the bank that they match."""

    xy: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def match_bank(bank: Bank, target: Target, geometry: PixelGeometry, grid: Grid) -> BankMatches:
    """Points of the grid and rows of the bank that are each other's nearest by cosine."""
    if not len(bank):
        return BankMatches(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    pairs = mutual_lattice(bank.descriptors, target, grid.lattice(geometry), mask=grid.valid)
    where, rows = pairs[:, 0].cpu().numpy(), pairs[:, 1].cpu().numpy()
    xy = np.stack([grid.x[where % len(grid.x)], grid.y[where // len(grid.x)]], axis=1)
    return BankMatches(xy, rows)


def refined(matches: BankMatches, bank: Bank, target: Target, geometry: PixelGeometry, grid: Grid) -> BankMatches:
    """The same rows where they match best on a finer grid; what can be compared with nothing stays where it was."""
    if not len(matches):
        return matches
    chosen = bank.descriptors[torch.from_numpy(matches.rows).to(bank.descriptors.device)]
    found = dense_argmax(chosen, target, grid.lattice(geometry), cosine=True, mask=grid.valid)
    index = found.index.cpu().numpy()
    xy = np.stack([grid.x[index[:, 0]], grid.y[index[:, 1]]], axis=1)
    return BankMatches(np.where(index[:, :1] < 0, matches.xy, xy), matches.rows)
