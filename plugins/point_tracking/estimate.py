"""How many videos and frames a run has; no torch."""

from __future__ import annotations

from typing import Any

PUBLISHED_VIDEOS, PUBLISHED_FRAMES = 30, 67  # frames of a video on average
TWIN_FRAMES = 24
VIDEO_SECONDS = 8.0  # of one core: tracking in a video of 24 frames, 64x64 cells, beside the features


def estimate(plan: Any) -> dict[str, float] | None:
    """The videos of a twin are exact, the frames of one about so many."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or task.name != "tapvid-davis" or test is None:
        return None
    videos, frames = (PUBLISHED_VIDEOS, PUBLISHED_FRAMES) if test.twin is None else (test.twin.videos, TWIN_FRAMES)
    asked = videos if plan.spec.limit is None else min(videos, plan.spec.limit)
    seconds = VIDEO_SECONDS * (frames / TWIN_FRAMES) ** 2
    return {"samples": float(videos), "images": float(asked * frames), "seconds_per_sample": seconds}
