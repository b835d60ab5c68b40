"""Where features lie: an analytic ramp for what averages pixels, a blob for everything else.

These checks run on small random scenes and need no weights: a network that is wrong by half a cell is wrong by half a
cell with random weights too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bench3d.contracts import Model
from bench3d.geometry.pixels import PixelGeometry
from bench3d.testing.images import batch_of, frames, plain, scene, with_blob
from bench3d.testing.models import features_of
from bench3d.testing.subjects import require

POWER = 2
BORDER = tuple((x, y) for x in (0.14, 0.86) for y in (0.14, 0.86))
PLACES = (*BORDER, (0.5, 0.5), (0.33, 0.5), (0.67, 0.5), (0.5, 0.33), (0.5, 0.67))
"""Centres of blobs, as fractions of width and height; each has its mirror image, left to right and top to bottom."""
COLOUR = (0.3, 0.6, 0.1)
TEXTURES = 12
"""Blobs at each place where one is not enough: few channels see a single texture only here and there."""


@dataclass(frozen=True)
class Localisation:
    """Errors of where features lie, in cells: the largest, and the mean (x, y) over places that mirror each other."""

    largest: float
    shift: tuple[float, float]


def averages_colours(model: Model) -> bool:
    """Whether channels 0 and 1 are local means of red and green: then a ramp tells where cells lie."""
    geometry = PixelGeometry.identity((model.canvas or 128,) * 2)
    values = features_of(model, batch_of(plain(geometry.input_size, COLOUR), geometry))[0].map.values
    if values.shape[1] < 2:
        return False
    wanted = torch.tensor(COLOUR[:2], dtype=values.dtype, device=values.device)[None, :, None, None]
    return bool((values[:, :2] - wanted).abs().max() < 1e-3)


def check_ramp(model: Model, geometry: PixelGeometry, tolerance: float = 1e-3) -> None:
    """For a linear backbone: red encodes x, green y of the original image, and sampling gives both back.

    Raises:
        PluginError: with the largest error in pixels.
    """
    width, height = geometry.original_size
    w, h = geometry.input_size
    ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    position = geometry.input_to_original(torch.stack([xs, ys], dim=-1).double())
    # Half the range and beyond: padding keeps the ramp going, so that its edge plays no part.
    span = torch.tensor([width, height], dtype=torch.float64)
    ramp = (0.25 + 0.5 * position / span).float().permute(2, 0, 1)
    image = torch.cat([ramp, torch.zeros(1, h, w)])[None]
    features = features_of(model, batch_of(image, geometry))[0].map
    rows, columns = features.values.shape[2:]
    generator = torch.Generator().manual_seed(0)
    cells = torch.rand(1, 200, 2, generator=generator) * torch.tensor([columns - 3.0, rows - 3.0]) + 1.5
    points = features.locate(cells)
    found = (features.sample(points)[0, :, :2].cpu().double() - 0.25) / 0.5 * span
    error = float((found - points[0].double()).abs().max())
    require(
        error <= tolerance * max(width, height),
        f"{type(model).__name__}: sampling a ramp gives positions {error:.2f} pixels off.",
    )


def check_localisation(
    model: Model, *, square_only: bool = False, largest: float = 0.5, shift: float = 0.2
) -> Localisation:
    """A textured blob changes the features where it lies.

    The difference between the features with and without the blob is located with `FeatureMap.locate`, for places in
    the middle and at the border of each of `frames`. A border cuts the blob and pulls its centre inwards, so a single
    place is bounded loosely (`largest`, in cells); places mirror each other, so the mean error is bounded tightly
    (`shift`): that is where half a cell of a wrong origin shows.

    Raises:
        PluginError: with frame, place and error.
    """
    worst, means = 0.0, []
    for frame, geometry in frames(model, square_only):
        errors = localise(model, geometry)
        if float(errors.abs().max()) > largest or float(errors.mean(dim=0).abs().max()) > shift:
            errors = localise(model, geometry, TEXTURES)
        mean = errors.mean(dim=0)
        require(
            float(mean.abs().max()) <= shift,
            f"{type(model).__name__}: features of a {frame} input lie ({mean[0]:+.2f}, {mean[1]:+.2f}) cells off: "
            "check stride and origin of with_grid.",
        )
        for place, error in zip(PLACES, errors.tolist(), strict=True):
            off = max(abs(error[0]), abs(error[1]))
            worst = max(worst, off)
            require(
                off <= largest,
                f"{type(model).__name__}: a blob at {place} of a {frame} input is found {off:.2f} cells off.",
            )
        means.append(mean)
    x, y = torch.stack(means).abs().amax(dim=0).tolist()
    return Localisation(worst, (x, y))


def localise(model: Model, geometry: PixelGeometry, textures: int = 1) -> torch.Tensor:
    """Errors (P, 2), in cells, of locating a blob at each of `PLACES` of the input, over so many textures."""
    size = torch.tensor(geometry.input_size, dtype=torch.float64)
    quiet = scene(geometry.input_size, 0)
    features = features_of(model, batch_of(quiet, geometry))[0].map
    own = features.geometry[0]
    ends = geometry.original_to_input(own.cell_to_original(torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)))
    cell = ends[1] - ends[0]
    centres = torch.tensor(PLACES, dtype=torch.float64) * size
    radius = float(cell.max())
    changes = []
    for texture in range(textures):
        blobs = torch.cat([with_blob(quiet, (float(x), float(y)), radius, texture) for x, y in centres])
        marked = features_of(model, batch_of(blobs, geometry))[0].map
        changes.append((marked.values - features.values).cpu().square().sum(dim=1).double())
    change = torch.stack(changes).mean(dim=0).sqrt()
    found = marked.locate(energy_centres(change)[:, None])[:, 0].double()
    return (geometry.original_to_input(found) - centres) / cell


def energy_centres(change: torch.Tensor) -> torch.Tensor:
    """Centres (B, 2) in cells of the energy of the changes (B, h, w) of features.

    Attention and global gates change every cell a little: the median over the cells is taken off, and what is below a
    tenth of the strongest change.
    """
    change = (change - change.flatten(1).median(dim=1).values[:, None, None]).clamp_min(0.0)
    strongest = change.amax(dim=(1, 2), keepdim=True)
    require(bool((strongest > 0).all()), "A blob in the image does not change the features.")
    weight = torch.where(change < 0.1 * strongest, torch.zeros_like(change), change) ** POWER
    weight = weight / weight.sum(dim=(1, 2), keepdim=True)
    rows, columns = weight.shape[1:]
    x = (weight.sum(1) * (torch.arange(columns) + 0.5)).sum(1)
    y = (weight.sum(2) * (torch.arange(rows) + 0.5)).sum(1)
    return torch.stack([x, y], dim=1).float()
