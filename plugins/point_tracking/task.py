"""The task tapvid-davis: one sample a video; its frames' features once, then a tracker for all its queries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import ImageRequest, Model, Protocol, Session, Task, TrackedVideo
from bench3d.errors import CapabilityError, PluginError
from bench3d.metrics.tracking import SIDE
from bench3d_plugins.point_tracking.features import video_features
from bench3d_plugins.point_tracking.frames import frame_request
from bench3d_plugins.point_tracking.samples import Sample, make_sample
from bench3d_plugins.point_tracking.settings import TrackingSettings
from bench3d_plugins.point_tracking.trackers import follow
from bench3d_plugins.point_tracking.values import metrics, sample_values


class PointTracking(Task):
    """TAP-Vid's measures on videos, with a tracker that reads nothing but dense features."""

    metrics = metrics()

    def __init__(self, settings: TrackingSettings, protocol: Protocol) -> None:
        self.settings = settings
        self.protocol = protocol
        self._session: Session | None = None
        self._dataset: Any = None
        self._empty: set[str] = set()
        self._late: dict[str, int] = {}

    def open(self, session: Session) -> None:
        """Keeps the encoder of images."""
        self._session = session

    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[Sample]:
        """Videos in their order that have something to ask; `limit` of them evenly spread."""
        self._dataset = dataset
        videos = list(dataset.videos(category))
        made = [make_sample(video, category, self.settings.queries) for video in videos]
        every = [sample for sample in made if len(sample.frames)]
        self._empty = {sample.id for sample in made if not len(sample.frames)}
        if limit is not None and limit < len(every):
            every = [every[n * len(every) // limit] for n in range(limit)]
        self._late = {sample.id: int((~sample.evaluated.any(axis=1)).sum()) for sample in every}
        return every

    def images(self, samples: Sequence[Sample]) -> Iterator[ImageRequest]:
        """Every frame of every video, in order."""
        for sample in samples:
            yield from self.requests(sample.video)

    def requests(self, video: TrackedVideo) -> Iterable[ImageRequest]:
        """The frames of one video as the encoder is asked for them."""
        return [frame_request(frame, self.settings.frame_size) for frame in video.frames]

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Nothing to learn; the model must give features."""
        if "features" not in model.capabilities:
            raise CapabilityError("Tracking needs a model that gives features.", "Choose another backbone.")

    def evaluate(self, model: Model, samples: Sequence[Sample], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per video; see `values.sample_values`."""
        return [self._evaluate(sample) for sample in samples]

    def predict(self, sample: Sample) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """(N, T, 2) pixels of 256x256, (N, T) occluded, and milliseconds of the parts of the work."""
        if self._session is None:
            raise PluginError("The tracking task was not opened.", "Call Task.open(session) first.")
        begun = time.perf_counter()
        video = video_features([self._session.encoder.maps(request) for request in self.requests(sample.video)])
        ready = time.perf_counter()
        size = np.array(video.geometry.original_size) / SIDE
        places, hidden = follow(video, sample.frames, sample.asked * size, self.settings)
        clock = {"features_ms": 1e3 * (ready - begun), "track_ms": 1e3 * (time.perf_counter() - ready)}
        return places / size, hidden, clock

    def notes(self) -> Sequence[str]:
        """What the data set says, and what was left out because there is nothing to count."""
        described = getattr(self._dataset, "notes", None)
        found = list(described() if described is not None else ())
        if self._empty:
            found.append(f"{len(self._empty)} videos in which no point can be asked for are left out.")
        late = sum(self._late.values())
        if late:
            found.append(f"{late} queries are given in the last frame, so that no frame of theirs counts.")
        if self.settings.frame_size != (SIDE, SIDE):
            size = "their own size" if self.settings.frame_size is None else "{}x{}".format(*self.settings.frame_size)
            found.append(
                f"Frames of {size} were tracked and scored at {SIDE}x{SIDE}: not comparable with results on "
                f"{SIDE}x{SIDE} input."
            )
        return found

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Predicted and true tracks over frames of a few videos, best and worst among them."""
        from bench3d_plugins.point_tracking.pictures import pictures

        return pictures(self, samples, values, out)

    def _evaluate(self, sample: Sample) -> dict[str, Any]:
        with torch.inference_mode():
            places, hidden, clock = self.predict(sample)
        return sample_values(sample, places, hidden) | clock


def create(settings: TrackingSettings, protocol: Protocol) -> PointTracking:
    """The registration's factory."""
    return PointTracking(settings, protocol)
