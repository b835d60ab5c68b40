"""Two augmented views of a picture, and which cell of one shows what a cell of the other shows.

All changes are of the flat picture: crops, turns and shears in the image plane, colours, blur, noise. Nothing tells of
a pose, a depth or a second camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from bench3d_plugins.tiny.settings import PretrainSettings


@dataclass(frozen=True)
class ViewPair:
    """Two views of B pictures.

    Attributes:
        first, second: (B, 3, S, S) in [0, 1].
        places: (B, N, 2) x, y in pixels of `second` of what the N cells' centres of `first` show, row by row.
        inside: (B, N) bool, whether that lies in both views and in the picture.
    """

    first: torch.Tensor
    second: torch.Tensor
    places: torch.Tensor
    inside: torch.Tensor


def draw_pair(
    pictures: torch.Tensor, side: int, patch: int, settings: PretrainSettings, generator: torch.Generator
) -> ViewPair:
    """Two views of `side` pixels of pictures (B, 3, H, H) in [0, 1]."""
    size = pictures.shape[-1]
    one, other = _maps(len(pictures), size, side, settings, generator)
    first = _recolour(_sample(pictures, one, side), settings, generator)
    second = _recolour(_sample(pictures, other, side), settings, generator)
    steps = torch.arange(side // patch) * patch + patch / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    centres = torch.stack([x.flatten(), y.flatten(), torch.ones(x.numel())], dim=1)
    shown = centres @ one.transpose(1, 2)
    places = (torch.cat([shown, torch.ones_like(shown[..., :1])], dim=2) @ _inverse(other).transpose(1, 2))[..., :2]
    margin = patch / 2
    within = ((places >= margin) & (places <= side - margin)).all(dim=2)
    return ViewPair(first, second, places, within & ((shown >= 0) & (shown <= size)).all(dim=2))


def _maps(
    batch: int, size: int, side: int, settings: PretrainSettings, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, 2, 3) each: view pixels to picture pixels. The second view's centre lies off the first's by `shift`."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, generator=generator)

    log = torch.log(torch.tensor(settings.zoom))
    middle = size / 2 + (torch.rand(batch, 2, generator=generator) - 0.5) * settings.roam * size
    maps = []
    for number in range(2):
        zoom = torch.exp(uniform(float(log[0]), float(log[1])))
        turn = torch.deg2rad(uniform(-settings.turn, settings.turn))
        stretch = torch.exp(uniform(-settings.stretch, settings.stretch))
        shear = uniform(-settings.shear, settings.shear)
        cosine, sine = torch.cos(turn), torch.sin(turn)
        rotation = torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)
        bent = torch.stack([stretch, shear, torch.zeros_like(shear), 1 / stretch], dim=1).reshape(-1, 2, 2)
        linear = rotation @ bent / zoom[:, None, None]
        shift = 0 if number == 0 else (torch.rand(batch, 2, generator=generator) - 0.5) * settings.shift * side
        corner = middle + shift - (linear @ torch.full((2, 1), side / 2))[..., 0]
        maps.append(torch.cat([linear, corner[..., None]], dim=2))
    return maps[0], maps[1]


def _inverse(maps: torch.Tensor) -> torch.Tensor:
    linear = torch.linalg.inv(maps[:, :, :2])
    return torch.cat([linear, -linear @ maps[:, :, 2:]], dim=2)


def _sample(pictures: torch.Tensor, maps: torch.Tensor, side: int) -> torch.Tensor:
    steps = torch.arange(side) + 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    places = points @ maps.transpose(1, 2)
    grid = (2 * places / pictures.shape[-1] - 1).reshape(len(pictures), side, side, 2)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recolour(views: torch.Tensor, settings: PretrainSettings, generator: torch.Generator) -> torch.Tensor:
    """Brightness, contrast, saturation, white balance, grey, blur, noise; each picture its own."""
    batch = len(views)

    def factor(amount: float, *shape: int) -> torch.Tensor:
        return 1 + amount * (2 * torch.rand(batch, *(shape or (1,)), 1, 1, generator=generator) - 1)

    def chosen(probability: float) -> torch.Tensor:
        return torch.rand(batch, 1, 1, 1, generator=generator) < probability

    views = views * factor(settings.brightness) * factor(settings.balance, 3)
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    views = mean + (views - mean) * factor(settings.contrast)
    grey = (views * views.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    views = grey + (views - grey) * factor(settings.saturation)
    views = torch.where(chosen(settings.grey), grey.expand_as(views), views)
    blurred = F.avg_pool2d(F.pad(views, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    views = torch.where(chosen(settings.blur), blurred, views)
    amount = settings.noise * torch.rand(batch, 1, 1, 1, generator=generator)
    return (views + amount * torch.randn(views.shape, generator=generator)).clamp(0, 1)
