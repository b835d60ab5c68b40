"""Pictures that the checks show to a model, and the ways in which a picture becomes an input."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from bench3d.contracts import ImageBatch, Model
from bench3d.geometry.pixels import PixelGeometry

DEFAULT_SIDE = 128


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


def square(model: Model, count: int, category: str | None = None, first: int = 0) -> ImageBatch:
    """`count` different soft scenes at the model's own input size."""
    side = model.canvas or DEFAULT_SIDE
    images = torch.cat([scene((side, side), first + seed) for seed in range(count)])
    return batch_of(images, PixelGeometry.identity((side, side)), category)


def batch_of(images: torch.Tensor, geometry: PixelGeometry, category: str | None = None) -> ImageBatch:
    """Images (B, 3, H, W) that all came to be in one way, nothing of them padding."""
    count = len(images)
    valid = torch.ones(count, 1, *images.shape[2:], dtype=torch.float32)
    return ImageBatch(images, valid, (geometry,) * count, tuple(str(i) for i in range(count)), category)


def scene(size: tuple[int, int], seed: int) -> torch.Tensor:
    """A soft random image (1, 3, H, W) of middling contrast."""
    width, height = size
    generator = torch.Generator().manual_seed(seed)
    shape = (1, 3, max(2, height // 8), max(2, width // 8))
    coarse = torch.rand(shape, generator=generator, dtype=torch.float32)
    return 0.35 + 0.3 * F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def plain(size: tuple[int, int], colour: tuple[float, float, float]) -> torch.Tensor:
    """An image (1, 3, H, W) of one colour."""
    width, height = size
    return torch.tensor(colour, dtype=torch.float32)[None, :, None, None].expand(1, 3, height, width).contiguous()


def with_blob(image: torch.Tensor, centre: tuple[float, float], radius: float, texture: int = 0) -> torch.Tensor:
    """The image with a chequered patch under a soft round window of about `radius` pixels.

    Texture 0 has its corner at the image's; another number is another phase, width and colour of the chequers.
    """
    phase_x, phase_y, finer, signs = 0.0, 0.0, 1.0, torch.tensor([1.0, -1.0, 1.0])
    if texture:
        generator = torch.Generator().manual_seed(texture)
        draws = torch.rand(6, generator=generator, dtype=torch.float64)
        phase_x, phase_y, finer = 2 * math.pi * float(draws[0]), 2 * math.pi * float(draws[1]), 0.5 + float(draws[2])
        signs = torch.where(draws[3:] < 0.5, -1.0, 1.0).float()
    xs = torch.arange(image.shape[3], dtype=torch.float32) + 0.5
    ys = torch.arange(image.shape[2], dtype=torch.float32) + 0.5
    distance = (xs - centre[0]).square()[None] + (ys - centre[1]).square()[:, None]
    window = torch.exp(-2 * distance / radius**2)
    wave = 4 * math.pi / radius * finer
    chequer = torch.sign(torch.sin(xs * wave + phase_x))[None] * torch.sign(torch.sin(ys * wave + phase_y))[:, None]
    pattern = 0.5 + 0.5 * (signs[:, None, None] * chequer)[None]
    return (image * (1 - window) + pattern * window).clamp(0.0, 1.0)
