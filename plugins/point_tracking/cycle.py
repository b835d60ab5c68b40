"""Our tracker: training-free; it reads no absolute cosine, whose scale differs between backbones.

From the query frame outwards, forwards and backwards. In each frame the similarity loses what the motion prior takes:
up to `motion`, growing with the squared distance from where the point was seen last and shrinking with the frames since
then. The best cell is refined between cells by a parabola along each axis. A point is visible where the feature found
there, matched back into the query's frame with the same prior around the query, ends near it, and where the two are
more alike than the frame's mean by the share `alike` of what is left to 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F

from bench3d_plugins.point_tracking.features import TINY, VideoFeatures
from bench3d_plugins.point_tracking.settings import TrackerSettings

SIDE = 256


def track_cycle(
    video: VideoFeatures, frames: torch.Tensor, cells: torch.Tensor, settings: TrackerSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `published.track_published`: (N, T, 2) cells and (N, T) bool, occluded."""
    search = _Search(video, settings)
    places = cells.new_zeros(len(cells), video.length, 2)
    hidden = torch.zeros(len(cells), video.length, dtype=torch.bool, device=cells.device)
    for frame in frames.unique().tolist():
        mine = (frames == frame).nonzero()[:, 0]
        places[mine, frame] = cells[mine]
        for way in (range(frame + 1, video.length), range(frame - 1, -1, -1)):
            _follow(search, mine, frame, way, cells[mine], places, hidden)
    return places, hidden


def _follow(
    search: _Search,
    mine: torch.Tensor,
    start: int,
    way: Iterable[int],
    cells: torch.Tensor,
    places: torch.Tensor,
    hidden: torch.Tensor,
) -> None:
    """Fills `places` and `hidden` of the points `mine`, asked for at `cells` of the frame `start`, frame by frame."""
    asked = search.video.at(torch.full((len(cells),), start, device=cells.device), cells)
    last, since = cells.clone(), torch.ones(len(cells), device=cells.device)
    for frame in way:
        found, usual = search.near(asked, frame, last, since)
        seen = search.video.at(torch.full((len(found),), frame, device=found.device), found)
        back, _ = search.near(seen, start, cells, torch.full_like(since, abs(frame - start)))
        alike = (F.cosine_similarity(asked, seen, dim=1) - usual) / (1 - usual).clamp_min(TINY)
        visible = (search.pixels(back - cells) < search.settings.cycle) & (alike >= search.settings.alike)
        places[mine, frame], hidden[mine, frame] = found, ~visible
        last = torch.where(visible[:, None], found, last)
        since = torch.where(visible, torch.ones_like(since), since + 1)


class _Search:
    """Best places of features in a frame."""

    def __init__(self, video: VideoFeatures, settings: TrackerSettings) -> None:
        self.video, self.settings = video, settings
        width, height = video.grid
        device = video.values.device
        ends = video.geometry.cell_to_original(torch.tensor([[0.0, 0.0], [1.0, 1.0]], device=device))
        size = torch.tensor(video.geometry.original_size, device=device)
        self.scale = (ends[1] - ends[0]) / size * SIDE
        """Pixels of 256x256 per cell, along x and y."""
        self.columns = (torch.arange(width, device=device) + 0.5) * self.scale[0]
        self.rows = (torch.arange(height, device=device) + 0.5) * self.scale[1]

    def pixels(self, cells: torch.Tensor) -> torch.Tensor:
        """Lengths (N,) of vectors (N, 2) of cells, in pixels of 256x256."""
        return (cells * self.scale).norm(dim=1)

    def near(
        self, features: torch.Tensor, frame: int, last: torch.Tensor, since: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Places (N, 2) of features (N, C) that were seen at `last` (N, 2), `since` (N,) frames ago; and the mean
        similarity (N,) over the frame, which is that of something else.
        """
        size = self.video.chunk()
        parts, usual = [], []
        for f, place, gap in zip(features.split(size), last.split(size), since.split(size), strict=True):
            similarity = self.video.similarity(f, frame)
            reach = (self.settings.reach * gap)[:, None]
            x = ((self.columns - (place * self.scale)[:, :1]) / reach).square()
            y = ((self.rows - (place * self.scale)[:, 1:]) / reach).square()
            loss = (y[:, :, None] + x[:, None]).flatten(1).clamp_max_(1.0)
            usual.append(similarity.mean(dim=1))
            parts.append(self.peak(similarity - self.settings.motion * loss))
        return torch.cat(parts), torch.cat(usual)

    def peak(self, similarity: torch.Tensor) -> torch.Tensor:
        """Places (N, 2) of the largest values of maps (N, h * w)."""
        width, height = self.video.grid
        best = similarity.argmax(dim=1)
        column, row = best % width, best // width
        cells = torch.stack([column, row], dim=1) + 0.5
        if not self.settings.subcell:
            return cells
        across = _parabola(similarity, best, column, width, 1)
        down = _parabola(similarity, best, row, height, width)
        return cells + torch.stack([across, down], dim=1)


def _parabola(values: torch.Tensor, best: torch.Tensor, at: torch.Tensor, count: int, step: int) -> torch.Tensor:
    """(N,) where a parabola through the best cell and its two neighbours along an axis peaks, -0.5 to 0.5 cells."""
    inner = (at > 0) & (at < count - 1)
    centre = values.gather(1, best[:, None])[:, 0]
    before = values.gather(1, (best - step).clamp_min(0)[:, None])[:, 0]
    after = values.gather(1, (best + step).clamp_max(values.shape[1] - 1)[:, None])[:, 0]
    bend = 2 * centre - before - after
    shift = 0.5 * (after - before) / bend.clamp_min(1e-12)
    return torch.where(inner & (bend > 1e-12), shift.clamp(-0.5, 0.5), torch.zeros_like(shift))
