"""The tracker of the ICLR'25 paper: DINO-Tracker's (Tumanyan et al., ECCV 2024) on raw features (protocol page, c).

Position: cosine with the query's feature, negative ones cut, a soft-argmax over the cells within 35 pixels of the best.
At temperature 1 its weights are nearly flat: the answer is the centre of the disc, pulled inwards at the border.
Occlusion: the cosine between the features at the point and at its place in the query frame is below 0.6; or the point,
matched back into the anchor frames (cosine of at least 0.7), lands farther (median) from its places there than any of
the anchors does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bench3d_plugins.point_tracking.features import TINY, VideoFeatures
from bench3d_plugins.point_tracking.settings import TrackerSettings


def track_published(
    video: VideoFeatures, frames: torch.Tensor, cells: torch.Tensor, settings: TrackerSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Follows points given in `frames` (N,) at `cells` (N, 2).

    Returns:
        (N, T, 2) cells and (N, T) bool, occluded.
    """
    disc = _Disc(video, settings)
    asked = video.at(frames, cells)
    places = torch.stack([disc.match(asked, frame) for frame in range(video.length)], dim=1)
    found = video.sample(places.transpose(0, 1)).transpose(0, 1)  # (N, T, C)
    start = found[torch.arange(len(found), device=found.device), frames]
    cosine = F.cosine_similarity(start[:, None], found, dim=-1, eps=TINY)
    anchors = cosine >= settings.anchor_similarity
    median = _median_return(disc, found, places, anchors)
    most = median.masked_fill(~anchors, -torch.inf).amax(dim=1, keepdim=True)
    return places, (median > most) | (cosine < settings.least_similarity)


class _Disc:
    """Matching by a soft-argmax in a disc around the best cell."""

    def __init__(self, video: VideoFeatures, settings: TrackerSettings) -> None:
        self.video, self.temperature = video, settings.temperature
        stride = video.geometry.stride
        assert stride is not None
        device = video.values.device
        self.stride = torch.tensor(stride, device=device)
        reach = [int(settings.radius // step) for step in stride]
        down, right = torch.meshgrid(
            torch.arange(-reach[1], reach[1] + 1), torch.arange(-reach[0], reach[0] + 1), indexing="ij"
        )
        offsets = torch.stack([right.flatten(), down.flatten()], dim=1).to(device)
        self.offsets = offsets[(offsets * self.stride).norm(dim=1) <= settings.radius]

    def match(self, features: torch.Tensor, frame: int) -> torch.Tensor:
        """Places (N, 2) of features (N, C) in a frame."""
        return torch.cat([self._match(part, frame) for part in features.split(self.video.chunk())])

    def _match(self, features: torch.Tensor, frame: int) -> torch.Tensor:
        width, height = self.video.grid
        similarity = self.video.similarity(features, frame).clamp_min_(0.0)
        best = similarity.argmax(dim=1)
        cells = torch.stack([best % width, best // width], dim=1)[:, None] + self.offsets  # (N, K, 2)
        inside = ((cells >= 0) & (cells < cells.new_tensor([width, height]))).all(dim=2)
        index = (cells[..., 1] * width + cells[..., 0]).clamp(0, width * height - 1)
        weight = (similarity.gather(1, index) / self.temperature).masked_fill(~inside, -torch.inf).softmax(dim=1)
        return ((cells + 0.5) * weight[..., None]).sum(dim=1)


def _median_return(disc: _Disc, found: torch.Tensor, places: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """(N, T) median over a point's anchor frames of the input pixels between where the feature found in frame t is
    matched in the anchor frame and the point's place there; of an even number the lower one.
    """
    count, length = anchors.shape
    distance = torch.full((count, length, length), torch.inf, device=places.device)  # point, anchor frame, t
    for anchor in range(length):
        mine = anchors[:, anchor].nonzero()[:, 0]
        if len(mine):
            back = disc.match(found[mine].flatten(0, 1), anchor).reshape(len(mine), length, 2)
            distance[mine, anchor] = ((back - places[mine, anchor][:, None]) * disc.stride).norm(dim=2)
    middle = (anchors.sum(dim=1) - 1).clamp_min(0) // 2
    ordered = distance.sort(dim=1).values
    return ordered.gather(1, middle[:, None, None].expand(-1, 1, length))[:, 0]
