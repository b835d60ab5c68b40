"""The task: predictions for every keypoint of a pair, their errors, exact chance levels and the groups."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import ImageRequest, KeypointPair, Model, Protocol, Session, Task
from bench3d.errors import CapabilityError, PluginError, UsageError
from bench3d_plugins.semantic_correspondence.chance import share_nearer, share_within
from bench3d_plugins.semantic_correspondence.encoded import Encoded, Images
from bench3d_plugins.semantic_correspondence.matching import predict
from bench3d_plugins.semantic_correspondence.metrics import chance_key, metrics
from bench3d_plugins.semantic_correspondence.settings import SemanticSettings
from bench3d_plugins.semantic_correspondence.sides import counterparts

DRAW_SEED = 20
HOPELESS = 1e9
"""Relative error of a keypoint without an answer, and of every one whose reference has no extent: never right."""
SIDES = ("none", "source", "target", "both")
GROUPS = {
    "viewpoint_variation": ("0 (easy)", "1 (medium)", "2 (hard)"),
    "scale_variation": ("0 (easy)", "1 (medium)", "2 (hard)"),
    "truncation": SIDES,
    "occlusion": SIDES,
}


class SemanticCorrespondence(Task):
    """Keypoint transfer between two images of a category, under a named convention (see `protocols`)."""

    def __init__(self, settings: SemanticSettings, protocol: Protocol) -> None:
        self.settings = settings
        self.protocol = protocol
        self.metrics = metrics(settings)
        self._images: Images | None = None
        self._names: dict[str, Mapping[str, str]] = {}
        self._dataset: Any = None
        self._flags: dict[str, Counter[str]] = {}

    def open(self, session: Session) -> None:
        """Keeps the session's encoder."""
        self._images = Images(session, self.settings)

    @property
    def encoded(self) -> Images:
        """The images of the session."""
        if self._images is None:
            raise PluginError("The task of semantic correspondence was not opened.", "Call Task.open(session) first.")
        return self._images

    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[KeypointPair]:
        """The split's pairs in the order of the list, or the settings' random draw of them; `limit` evenly spread."""
        every = list(dataset.pairs(category, self.settings.split))
        self._names[category] = dataset.keypoint_names(category)
        self._dataset = dataset
        if self.settings.pairs is not None and self.settings.pairs < len(every):
            random.Random(DRAW_SEED).shuffle(every)
            every = every[: self.settings.pairs]
        if limit is not None and limit < len(every):
            every = [every[n * len(every) // limit] for n in range(limit)]
        self._flags[category] = Counter(flag for pair in every for flag in _flags(pair))
        return every

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Nothing to learn; the model must give features."""
        if "features" not in model.capabilities:
            raise CapabilityError(
                "Semantic correspondence needs a model that gives features.", "Choose another backbone."
            )

    def images(self, samples: Sequence[KeypointPair]) -> Iterable[ImageRequest]:
        """Every image once, in the order in which `evaluate` uses them."""
        seen: dict[ImageRequest, None] = {}
        for pair in samples:
            for image in (pair.source, pair.target):
                seen.setdefault(self.encoded.request(image, pair.category))
        return list(seen)

    def evaluate(self, model: Model, samples: Sequence[KeypointPair], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per pair; see `values`."""
        return [self._evaluate(pair) for pair in samples]

    def notes(self) -> Sequence[str]:
        """The data set's notes, and how many pairs carry each flag."""
        total = sum(self._flags.values(), Counter())
        counted = [f"{n} pair{'s' if n > 1 else ''}: {flag}" for flag, n in sorted(total.items())]
        described = getattr(self._dataset, "notes", None)
        return [*(described() if described is not None else ()), *counted]

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Matches as lines, right and wrong apart, and a bar plot of the keypoints."""
        from bench3d_plugins.semantic_correspondence.pictures import pictures

        return pictures(self.settings, self._names, samples, values, out)

    def _evaluate(self, pair: KeypointPair) -> dict[str, Any]:
        begun = time.perf_counter()
        source = self.encoded.get(pair.source, pair.category)
        target = self.encoded.get(pair.target, pair.category)
        ready = time.perf_counter()
        predicted = predict(source, pair.source_xy, target, self.settings)
        done = time.perf_counter()
        found = values(pair, predicted, target, self._names.get(pair.category, {}), self.settings)
        return found | {"features_ms": 1e3 * (ready - begun), "match_ms": 1e3 * (done - ready)}


def values(
    pair: KeypointPair, predicted: np.ndarray, target: Encoded, names: Mapping[str, str], settings: SemanticSettings
) -> dict[str, Any]:
    """Errors in pixels of the original target and in units of the reference, with their chance levels."""
    truth = true_points(pair, target, settings)
    reference = reference_length(pair, settings)
    error = np.linalg.norm(predicted - truth, axis=1)
    relative = np.full(len(error), HOPELESS)
    if reference > 0:
        relative = np.nan_to_num(error / reference, nan=HOPELESS)
    x, y = target.candidates.domain()
    strict = settings.inequality == "<"
    parts: dict[str, Any] = {
        "keypoint": list(pair.keypoint_ids) or [str(n) for n in range(len(error))],
        "error_px": _numbers(error),
        "relative": relative.tolist(),
        "x": _numbers(predicted[:, 0]),
        "y": _numbers(predicted[:, 1]),
    }
    for alpha in settings.alphas:
        hit = relative < alpha if strict else relative <= alpha
        parts[f"correct@{alpha:g}"] = hit.astype(int).tolist()
        parts[chance_key(alpha)] = share_within(truth, alpha * reference, x, y, strict=strict).tolist()
    parts |= _swaps(pair, predicted, truth, names, x, y)
    if pair.keypoint_ids:
        parts["groups"] = {"keypoint": [names.get(k, k) for k in pair.keypoint_ids]}
    return {
        "id": pair.id,
        "category": pair.category,
        "cluster": pair.cluster,
        "reference_px": float(reference),
        "parts": parts,
        "groups": _groups(pair),
    }


def true_points(pair: KeypointPair, target: Encoded, settings: SemanticSettings) -> np.ndarray:
    """(K, 2) the annotated target points in original pixels, cut to whole canvas pixels where the settings say so."""
    if not settings.truncate:
        return np.asarray(pair.target_xy, dtype=np.float64)
    return target.points.to_original(target.points.whole(pair.target_xy))


def reference_length(pair: KeypointPair, settings: SemanticSettings) -> float:
    """What alpha is a share of, in original pixels of the target; 0 where the box has no extent.

    Raises:
        UsageError: the box is asked for and the data set has none.
    """
    if settings.reference == "image":
        return float(max(pair.target.size))
    if settings.reference == "keypoints":
        return float(np.ptp(pair.target_xy, axis=0).max()) if len(pair.target_xy) else 0.0
    box = pair.target.box
    if box is None:
        raise UsageError(
            f"The image {pair.target.id} has no box to measure errors by.",
            "Choose --set task.reference=image or --set task.reference=keypoints.",
        )
    return float(max(box[2] - box[0], box[3] - box[1]))


def _swaps(
    pair: KeypointPair, predicted: np.ndarray, truth: np.ndarray, names: Mapping[str, str], x: np.ndarray, y: np.ndarray
) -> dict[str, list[Any]]:
    """Whether a prediction is nearer to the part's other side than to the part; None where there is none to see."""
    other = counterparts(names)
    seen = pair.target.keypoints
    mirrored = [seen.get(other[k]) if k in other else None for k in pair.keypoint_ids]
    swapped: list[int | None] = [None] * len(truth)
    chance: list[float | None] = [None] * len(truth)
    index = [n for n, point in enumerate(mirrored) if point is not None]
    if not index:
        return {}
    there = np.array([mirrored[n] for n in index], dtype=np.float64)
    nearer = np.linalg.norm(predicted[index] - there, axis=1) < np.linalg.norm(predicted[index] - truth[index], axis=1)
    shares = share_nearer(there, truth[index], x, y)
    for n, yes, share in zip(index, nearer, shares, strict=True):
        swapped[n], chance[n] = int(yes), float(share)
    return {"swap": swapped, "chance_swap": chance}


def _numbers(column: np.ndarray) -> list[float | None]:
    """JSON numbers, None where there is no answer."""
    return [float(v) if np.isfinite(v) else None for v in column]


def _groups(pair: KeypointPair) -> dict[str, str]:
    found = {}
    for by, bins in GROUPS.items():
        number = pair.attributes.get(by)
        if isinstance(number, int) and 0 <= number < len(bins):
            found[by] = bins[number]
    return found


def _flags(pair: KeypointPair) -> Iterable[str]:
    flags = pair.attributes.get("flags", ())
    return [flags] if isinstance(flags, str) else [str(f) for f in flags] if isinstance(flags, Iterable) else []


def create(settings: SemanticSettings, protocol: Protocol) -> SemanticCorrespondence:
    """The registrations' factory."""
    return SemanticCorrespondence(settings, protocol)
