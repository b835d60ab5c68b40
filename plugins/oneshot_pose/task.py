"""The tasks: a bank per object from its reference views, then one pose per query view."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import Encoder, ImageRequest, MetricSpec, Model, Protocol, Session, Task
from bench3d.errors import DataError, PluginError, UsageError
from bench3d.features.bank import Bank
from bench3d_plugins.oneshot_pose import annotated, reconstructed
from bench3d_plugins.oneshot_pose.capture import Capture, Query, bin_name, image_request, queries_of
from bench3d_plugins.oneshot_pose.localise import Localised, localise
from bench3d_plugins.oneshot_pose.notes import Tally
from bench3d_plugins.oneshot_pose.scoring import capture_metrics, capture_values, onepose_metrics, onepose_values
from bench3d_plugins.oneshot_pose.settings import CaptureSettings, OnePoseTaskSettings, PoseSettings


class OneShot(Task):
    """What both tasks share. A sample is a query view."""

    settings: PoseSettings

    def __init__(self, settings: PoseSettings, protocol: Protocol) -> None:
        self.settings, self.protocol = settings, protocol
        self._encoder: Encoder | None = None
        self._bank: tuple[Capture, Bank] | None = None
        self._tally = Tally()

    @abstractmethod
    def captures(self, dataset: Any, category: str) -> list[Capture]:
        """The objects or scenes of a category."""

    @abstractmethod
    def values(self, query: Query, pose: np.ndarray | None) -> dict[str, Any]:
        """Errors of a pose, None for a failed frame, and chance."""

    def open(self, session: Session) -> None:
        """Keeps the encoder; UsageError where the estimator is not installed."""
        require_estimator(self.settings)
        self._encoder, self._bank = session.encoder, None

    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[Query]:
        """Queries, capture by capture; `limit` of them evenly spread over all."""
        found = queries_of(self.captures(dataset, category), category, limit)
        self._tally.listed(found)
        return found

    def images(self, samples: Sequence[Query]) -> Iterator[ImageRequest]:
        """Capture by capture the references, then the queries."""
        current: Capture | None = None
        for sample in samples:
            if sample.capture is not current:
                current = sample.capture
                for view in current.references:
                    yield image_request(view, current.category)
            yield image_request(sample.view, sample.capture.category)

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Nothing: chance follows from the reference poses."""

    def evaluate(self, model: Model, samples: Sequence[Query], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per query: errors, hits, numbers of matches and inliers, and chance."""
        return [self._one(sample) for sample in samples]

    def notes(self) -> Sequence[str]:
        """What was evaluated."""
        return self._tally.sentences()

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Queries from the best to the worst, with the box at the true and at the estimated pose."""
        from bench3d_plugins.oneshot_pose.pictures import pictures

        return pictures(self, samples, values, out)

    def bank(self, capture: Capture) -> Bank:
        """The capture's bank; the one before it is forgotten."""
        if self._encoder is None:
            raise PluginError("The task was used before it was opened.")
        if self._bank is None or self._bank[0] is not capture:
            self._bank = None
            self._bank = (capture, capture.build(self._encoder))
        return self._bank[1]

    def localise(self, query: Query) -> Localised:
        """The query's pose by the bank of its capture."""
        bank = self.bank(query.capture)
        assert self._encoder is not None
        return localise(self._encoder, query.view, query.capture.category, bank, self.settings)

    def _one(self, query: Query) -> dict[str, Any]:
        begun = time.perf_counter()
        rows = len(self.bank(query.capture))
        built = 1e3 * (time.perf_counter() - begun)
        found = self.localise(query)
        self._tally.add(query, rows, found.pose is None)
        return {
            "id": query.id,
            "category": query.category,
            "cluster": query.cluster,
            "capture": query.capture.id,
            "failed": int(found.pose is None),
            "bank_rows": rows,
            "matches": len(found.matches),
            "inliers": len(found.inliers),
            "nearest_reference_deg": round(query.angle, 4),
            **self.values(query, found.pose),
            "groups": {"nearest_reference": bin_name(query.angle)},
            "bank_ms": built,
            "match_ms": found.match_ms,
            "pose_ms": found.pose_ms,
        }


class OnePoseTask(OneShot):
    """onepose-lowtexture: banks from the published SfM outputs, thresholds in centimetres and degrees."""

    metrics: Sequence[MetricSpec] = tuple(onepose_metrics())
    settings: OnePoseTaskSettings

    def captures(self, dataset: Any, category: str) -> list[Capture]:
        """The data set's objects."""
        return [annotated.capture_of(one, self.settings) for one in dataset.objects(category)]

    def values(self, query: Query, pose: np.ndarray | None) -> dict[str, Any]:
        """As published: a failed frame is the identity pose."""
        return onepose_values(query, pose)


class CaptureTask(OneShot):
    """oneshot-pose: posed views of anything, thresholds relative to its size."""

    metrics: Sequence[MetricSpec] = tuple(capture_metrics())
    settings: CaptureSettings

    def captures(self, dataset: Any, category: str) -> list[Capture]:
        """The data set's sets; DataError where one has too few views to be split."""
        found = [reconstructed.capture_of(views, self.settings) for views in dataset.view_sets(category)]
        kept = [capture for capture in found if len(capture.references) >= 2 and capture.queries]
        if not kept:
            raise DataError("No set has three views: two references and a query.", "Add photographs.")
        self._tally.left_out(len(found) - len(kept))
        return kept

    def values(self, query: Query, pose: np.ndarray | None) -> dict[str, Any]:
        """Relative to the size of object or scene."""
        return capture_values(query, pose)


def require_estimator(settings: PoseSettings) -> None:
    """UsageError where the estimator's package is not installed: before any image is read, not after the bank."""
    import importlib.util

    if settings.estimator == "poselib" and importlib.util.find_spec("poselib") is None:
        raise UsageError("task.estimator=poselib needs the package PoseLib.", "pip install 'bench3d[poselib]'")


def create_onepose(settings: OnePoseTaskSettings, protocol: Protocol) -> OnePoseTask:
    """The factory of onepose-lowtexture."""
    return OnePoseTask(settings, protocol)


def create_capture(settings: CaptureSettings, protocol: Protocol) -> CaptureTask:
    """The factory of oneshot-pose."""
    return CaptureTask(settings, protocol)
