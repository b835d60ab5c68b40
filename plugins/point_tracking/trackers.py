"""The trackers by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bench3d_plugins.point_tracking.cycle import track_cycle
from bench3d_plugins.point_tracking.features import VideoFeatures
from bench3d_plugins.point_tracking.published import track_published
from bench3d_plugins.point_tracking.settings import TrackerSettings

Tracker = Callable[[VideoFeatures, torch.Tensor, torch.Tensor, TrackerSettings], tuple[torch.Tensor, torch.Tensor]]
TRACKERS: dict[str, Tracker] = {"cycle": track_cycle, "published": track_published}


def follow(
    video: VideoFeatures, frames: np.ndarray, xy: np.ndarray, settings: TrackerSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Follows points through all frames of a video.

    Args:
        frames: (N,) frame that each point is given in. xy: (N, 2) pixels of the frames that the features are of.

    Returns:
        (N, T, 2) float64 pixels and (N, T) bool, occluded.
    """
    device = video.values.device
    asked = torch.from_numpy(np.ascontiguousarray(frames)).long().to(device)
    cells = video.geometry.original_to_cell(torch.from_numpy(np.asarray(xy, dtype=np.float32)).to(device))
    places, hidden = TRACKERS[settings.tracker](video, asked, cells, settings)
    return video.geometry.cell_to_original(places).double().cpu().numpy(), hidden.cpu().numpy()
