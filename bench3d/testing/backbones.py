"""Checks of a backbone: shapes and types, where its features lie, and that a batch changes nothing.

    from bench3d.testing import check_backbone
    check_backbone(my_package.create("random", MySettings(grid=8), "cpu"))

All of them run on small random scenes and need no weights: a network that is wrong by half a cell is wrong by half a
cell with random weights too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from bench3d.contracts import ImageBatch, Model
from bench3d.errors import PluginError
from bench3d.features.extract import extract
from bench3d.geometry.pixels import PixelGeometry

DEFAULT_SIDE = 128
POWER = 2
BORDER = tuple((x, y) for x in (0.14, 0.86) for y in (0.14, 0.86))
PLACES = (*BORDER, (0.5, 0.5), (0.33, 0.5), (0.67, 0.5), (0.5, 0.33), (0.5, 0.67))
"""Centres of blobs, as fractions of width and height; each has its mirror image, left to right and top to bottom."""


@dataclass(frozen=True)
class Localisation:
    """Errors of where features lie, in cells: the largest, and the mean (x, y) over places that mirror each other."""

    largest: float
    shift: tuple[float, float]


def check_backbone(
    model: Model, *, linear: bool = False, square_only: bool = False, largest: float = 0.5, shift: float = 0.2
) -> Localisation:
    """Every check of this module.

    Args:
        model: a backbone; small inputs (grid 8) keep this within seconds.
        linear: its features are local averages of the image's values (channels 0 and 1 red and green): the ramp test
            applies.
        square_only: it refuses images that are not square.
        largest, shift: bounds of `check_localisation`.

    Raises:
        PluginError: the first broken promise, in one sentence.
    """
    shapes = [geometry for _, geometry in frames(model, square_only)]
    for geometry in shapes:
        check_contract(model, geometry)
    check_batch(model)
    if linear:
        for geometry in shapes:
            check_ramp(model, geometry)
    return check_localisation(model, square_only=square_only, largest=largest, shift=shift)


def frames(model: Model, square_only: bool = False) -> Iterator[tuple[str, PixelGeometry]]:
    """Ways in which an original image becomes an input: as it is, not square, zoomed in, shrunk with padding."""
    side = model.canvas or DEFAULT_SIDE
    yield "square", PixelGeometry.identity((side, side))
    yield (
        "zoomed",
        PixelGeometry((3 * side, 2 * side), (side, side), scale=(0.75, 0.75), offset=(-0.6 * side, -0.25 * side)),
    )
    yield (
        "padded",
        PixelGeometry((2 * side, side), (side, side), scale=(0.5, 0.5)).padded(0, side // 4, (side, side)),
    )
    if not square_only:
        yield "wide", PixelGeometry.identity((2 * side, side + 7))


def check_contract(model: Model, geometry: PixelGeometry) -> None:
    """Types, shapes and geometry of the maps of two images.

    Raises:
        PluginError: no map, not float32 of shape (B, C, h, w), not finite, or a geometry that does not match.
    """
    name = type(model).__name__
    maps = extract(model, _batch(torch.cat([scene(geometry.input_size, seed) for seed in (0, 1)]), geometry))
    _require(len(maps) > 0, f"{name}.features gives no map.")
    for weighted in maps:
        values = weighted.map.values
        _require(values.dtype == torch.float32, f"{name}: features are {values.dtype}, not float32.")
        _require(values.ndim == 4 and len(values) == 2, f"{name}: features of 2 images are {tuple(values.shape)}.")
        _require(bool(torch.isfinite(values).all()), f"{name}: features are not finite.")
        _require(len(weighted.map.geometry) == 2, f"{name}: {len(weighted.map.geometry)} geometries for 2 images.")
        for own in weighted.map.geometry:
            grid = (values.shape[3], values.shape[2])
            _require(own.grid_size == grid, f"{name}: the geometry says {own.grid_size} cells, the features {grid}.")
            _require(
                own.original_size == geometry.original_size,
                f"{name}: the geometry lost the original image: start from batch.geometry[i].",
            )
            corners = torch.tensor([[0.0, 0.0], list(map(float, geometry.original_size))], dtype=torch.float64)
            back = own.cell_to_original(own.original_to_cell(corners))
            _require(bool(torch.allclose(back, corners, atol=1e-6)), f"{name}: the geometry is not invertible.")


def check_batch(model: Model, tolerance: float = 1e-4) -> None:
    """Eight images at once give what they give one by one, to `tolerance` of the largest feature.

    Raises:
        PluginError: with the largest difference.
    """
    side = model.canvas or DEFAULT_SIDE
    geometry = PixelGeometry.identity((side, side))
    images = torch.cat([scene((side, side), seed) for seed in range(8)])
    together = extract(model, _batch(images, geometry))[0].map.values
    single = torch.cat([extract(model, _batch(image[None], geometry))[0].map.values for image in images])
    difference = float((together - single).abs().max() / together.abs().max().clamp_min(1e-12))
    _require(
        difference <= tolerance,
        f"{type(model).__name__}: features of a batch of 8 differ by {difference:.1e} from those of batches of 1.",
    )


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
    features = extract(model, _batch(image, geometry))[0].map
    rows, columns = features.values.shape[2:]
    generator = torch.Generator().manual_seed(0)
    cells = torch.rand(1, 200, 2, generator=generator) * torch.tensor([columns - 3.0, rows - 3.0]) + 1.5
    points = features.locate(cells)
    found = (features.sample(points)[0, :, :2].cpu().double() - 0.25) / 0.5 * span
    error = float((found - points[0].double()).abs().max())
    _require(
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
        for place, error in zip(PLACES, errors.tolist(), strict=True):
            off = max(abs(error[0]), abs(error[1]))
            worst = max(worst, off)
            _require(
                off <= largest,
                f"{type(model).__name__}: a blob at {place} of a {frame} input is found {off:.2f} cells off.",
            )
        mean = errors.mean(dim=0)
        _require(
            float(mean.abs().max()) <= shift,
            f"{type(model).__name__}: features of a {frame} input lie ({mean[0]:+.2f}, {mean[1]:+.2f}) cells off: "
            "check stride and origin of with_grid.",
        )
        means.append(mean)
    x, y = torch.stack(means).abs().amax(dim=0).tolist()
    return Localisation(worst, (x, y))


def localise(model: Model, geometry: PixelGeometry) -> torch.Tensor:
    """Errors (P, 2), in cells, of locating a blob at each of `PLACES` of the input."""
    size = torch.tensor(geometry.input_size, dtype=torch.float64)
    plain = scene(geometry.input_size, 0)
    features = extract(model, _batch(plain, geometry))[0].map
    own = features.geometry[0]
    ends = geometry.original_to_input(own.cell_to_original(torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)))
    cell = ends[1] - ends[0]
    centres = torch.tensor(PLACES, dtype=torch.float64) * size
    radius = float(cell.max())
    blobs = torch.cat([with_blob(plain, (float(x), float(y)), radius) for x, y in centres])
    marked = extract(model, _batch(blobs, geometry))[0].map
    found = marked.locate(energy_centres(marked.values, features.values)[:, None])[:, 0].double()
    return (geometry.original_to_input(found) - centres) / cell


def energy_centres(marked: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """Centres (B, 2) in cells of the energy of the differences between (B, C, h, w) and (1, C, h, w).

    Attention and global gates change every cell a little: the median over the cells is taken off, and what is below a
    tenth of the strongest change.
    """
    change = (marked - plain).cpu().square().sum(dim=1).sqrt().double()
    change = (change - change.flatten(1).median(dim=1).values[:, None, None]).clamp_min(0.0)
    strongest = change.amax(dim=(1, 2), keepdim=True)
    _require(bool((strongest > 0).all()), "A blob in the image does not change the features.")
    weight = torch.where(change < 0.1 * strongest, torch.zeros_like(change), change) ** POWER
    weight = weight / weight.sum(dim=(1, 2), keepdim=True)
    rows, columns = weight.shape[1:]
    x = (weight.sum(1) * (torch.arange(columns) + 0.5)).sum(1)
    y = (weight.sum(2) * (torch.arange(rows) + 0.5)).sum(1)
    return torch.stack([x, y], dim=1).float()


def scene(size: tuple[int, int], seed: int) -> torch.Tensor:
    """A soft random image (1, 3, H, W) of middling contrast."""
    width, height = size
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    return 0.35 + 0.3 * F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def with_blob(image: torch.Tensor, centre: tuple[float, float], radius: float) -> torch.Tensor:
    """The image with a chequered patch under a soft round window of about `radius` pixels."""
    xs = torch.arange(image.shape[3]) + 0.5
    ys = torch.arange(image.shape[2]) + 0.5
    distance = (xs - centre[0]).square()[None] + (ys - centre[1]).square()[:, None]
    window = torch.exp(-2 * distance / radius**2)
    wave = 4 * math.pi / radius
    chequer = torch.sign(torch.sin(xs * wave))[None] * torch.sign(torch.sin(ys * wave))[:, None]
    pattern = 0.5 + 0.5 * torch.stack([chequer, -chequer, chequer])[None]
    return (image * (1 - window) + pattern * window).clamp(0.0, 1.0)


def _batch(images: torch.Tensor, geometry: PixelGeometry) -> ImageBatch:
    count = len(images)
    valid = torch.ones(count, 1, *images.shape[2:])
    return ImageBatch(images, valid, (geometry,) * count, tuple(str(i) for i in range(count)))


def _require(held: bool, message: str) -> None:
    if not held:
        raise PluginError(message)
