"""What ZSP keeps of its labelled sequences: features and canonical points of the object's cells in a few frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from bench3d.contracts import FeatureMap, FitContext, Model, MultiviewSource, ObjectSequence, PosedFrame
from bench3d.errors import CapabilityError, DataError, UsageError
from bench3d.features.extract import extract as features_of
from bench3d.geometry.crops import resample
from bench3d.morphable.settings import ViewSettings
from bench3d.morphable.views import View, image_batch, make_view
from bench3d_plugins.zsp.cells import foreground
from bench3d_plugins.zsp.settings import ZSPSettings

BATCH = 8


@runtime_checkable
class DepthSource(Protocol):
    """A source of videos that also has their depth."""

    def depth(self, frame: PosedFrame) -> np.ndarray:
        """(H, W) float32 z along the optical axis in canonical units, 0 where unknown."""


@dataclass(frozen=True)
class References:
    """M cells of N frames of a category.

    Attributes:
        features: (M, C) of length 1; places: (M, 2) int64, column and row; points: (M, 3) float32, canonical.
        frame: (M,) int64, which frame, ascending.
        rotations: (N, 3, 3) float32, object to camera.
        seed: scalar int64 of the fit, from which RANSAC draws.
    """

    features: torch.Tensor
    places: torch.Tensor
    points: torch.Tensor
    frame: torch.Tensor
    rotations: torch.Tensor
    seed: torch.Tensor


def collect(
    model: Model, source: MultiviewSource, settings: ZSPSettings, context: FitContext
) -> tuple[References, dict[str, Any]]:
    """References of a category, and facts.

    Raises:
        UsageError: no category, no such sequence, or a model whose features do not fit.
        CapabilityError: the source has no depth.
        DataError: a file is missing or broken, or no sequence has frames with depth.
    """
    if context.category is None:
        raise UsageError("ZSP takes its references per category.", "Name one with --category.")
    if not isinstance(source, DepthSource):
        raise CapabilityError("ZSP needs labelled videos with depth, this data set has none.", "Train it on co3d.")
    chosen, skipped = _sequences(source.sequences(context.category), settings)
    frames = [frame for sequence in chosen for frame in spaced_frames(sequence, settings.frames)]
    parts: list[list[torch.Tensor]] = []
    context.progress.start("reference frames", len(frames))
    try:
        for begin in range(0, len(frames), BATCH):
            group = frames[begin : begin + BATCH]
            parts += _cells(model, source, group, begin, settings.canvas, context.device)
            context.progress.advance(len(group), cells=float(sum(len(part[0]) for part in parts)))
    finally:
        context.progress.finish()
    features, places, points, frame = (torch.cat(values) for values in zip(*parts, strict=True))
    if not len(features):
        raise DataError(
            f"No reference frame of {context.category} shows the object in its mask and depth map.",
            "Name other sequences (--set shape.reference_sequences=...).",
        )
    rotations = torch.from_numpy(np.stack([f.cam_T_obj[:3, :3] for f in frames])).float()
    facts = {
        "reference_sequences": [s.name for s in chosen],
        "references_skipped": skipped,
        "reference_frames": [f.id for f in frames],
        "cells": len(features),
        "channels": features.shape[1],
    }
    return References(features, places, points, frame, rotations, torch.tensor(context.seed)), facts


def spaced_frames(sequence: ObjectSequence, count: int) -> list[PosedFrame]:
    """`count` frames with depth, evenly spaced from the first to the last (rounded down, as published); no frame twice.

    A frame whose camera is not finite counts as none.
    """
    able = [f for f in sequence.frames if f.depth is not None and np.isfinite(f.cam_T_obj).all()]
    if not able:
        return []
    return [able[i] for i in np.unique(np.linspace(0, len(able) - 1, count).astype(int))]


def _sequences(
    sequences: Sequence[ObjectSequence], settings: ZSPSettings
) -> tuple[list[ObjectSequence], dict[str, str]]:
    """The named sequences, or the first that have frames with depth; and why others were passed over."""
    by_name = {s.name: s for s in sequences}
    skipped: dict[str, str] = {}
    for name in settings.reference_sequences:
        if name not in by_name:
            raise UsageError(
                f"There is no sequence {name} to take as a reference.", f"There are {', '.join(list(by_name)[:5])}, ..."
            )
    chosen: list[ObjectSequence] = []
    for sequence in [by_name[n] for n in settings.reference_sequences] or sequences:
        if not spaced_frames(sequence, settings.frames):
            skipped[sequence.name] = "no frame with depth and a camera"
        elif len(chosen) < (len(settings.reference_sequences) or settings.references):
            chosen.append(sequence)
    if not chosen:
        name = next(iter(skipped), "none")
        raise DataError(f"No reference sequence has a frame with depth and a camera ({name}, ...).", "Get depth maps.")
    return chosen, skipped


def _cells(
    model: Model, source: DepthSource, frames: Sequence[PosedFrame], first: int, canvas: int, device: str
) -> list[list[torch.Tensor]]:
    """Features, places, canonical points and frame numbers of each frame's cells."""
    views = [
        make_view(frame, 0, ViewSettings.model_validate({"canvas": canvas, "render_size": canvas}), None)
        for frame in frames
    ]
    maps = one_map(model, views, device)
    found = []
    for number, (frame, view) in enumerate(zip(frames, views, strict=True)):
        depth = resample(source.depth(frame), view.geometry, nearest=True) * (view.mask > 0.5)
        cells = foreground(maps, number, torch.from_numpy(depth), torch.from_numpy(view.intrinsics))
        pose = torch.from_numpy(view.cam_T_obj)
        canonical = (cells.points - pose[:3, 3]) @ pose[:3, :3]
        found.append([cells.features, cells.places, canonical.float(), torch.full((len(canonical),), first + number)])
    return found


def one_map(model: Model, views: Sequence[View], device: str) -> FeatureMap:
    """The features of views.

    Raises:
        UsageError: the model blends several maps.
    """
    maps = features_of(model, image_batch(views).to(device))
    if len(maps) != 1:
        raise UsageError(f"ZSP needs features in one map, this model has {len(maps)}.", "Use it on the plain backbone.")
    return maps[0].map
