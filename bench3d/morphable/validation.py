"""Held-out pose accuracy, which decides the best checkpoint (protocol page, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench3d.contracts import Model, ObjectSequence
from bench3d.geometry.rotations import geodesic_angle
from bench3d.morphable.pool import extract
from bench3d.morphable.pose import Instance, estimate_pose
from bench3d.morphable.settings import FitSettings
from bench3d.morphable.views import View, ViewBatch, collate, make_view

if TYPE_CHECKING:
    from bench3d.contracts import Renderer


InstanceOf = Callable[[torch.Tensor], Instance]
"""Base features (B, C, h, w) -> what the model says of the images before any pose."""


class Validator:
    """Single-view pose on frames of the held-out sequences: the share of rotation errors under 10 degrees."""

    def __init__(
        self,
        sequences: Sequence[ObjectSequence],
        model: Model,
        settings: FitSettings,
        renderer: Renderer,
        device: str,
    ) -> None:
        frames = [(frame, number) for number, sequence in enumerate(sequences) for frame in sequence.frames]
        limit = settings.validation_frames or len(frames)
        if len(frames) > limit:
            frames = [frames[i] for i in np.linspace(0, len(frames) - 1, limit).round().astype(int)]
        self.frames = frames
        self.model = model
        self.settings = settings
        self.renderer = renderer
        self.device = device
        self.kept: list[ViewBatch] = []

    def score(self, instance_of: InstanceOf) -> float:
        """Share of frames with a rotation error under 10 degrees (strictly)."""
        return float((np.rad2deg(self.errors(instance_of)) < 10).mean())

    def errors(self, instance_of: InstanceOf) -> np.ndarray:
        """Rotation errors (N,) in radians of a network in eval mode."""
        size = self.settings.batch
        found = []
        for start in range(0, len(self.frames), size):
            views = self._batch(start // size, self.frames[start : start + size])
            found.append(self._batch_errors(instance_of, views))
        return np.concatenate(found)

    @torch.no_grad()
    def _batch_errors(self, instance_of: InstanceOf, views: ViewBatch) -> np.ndarray:
        assert views.features is not None
        given = self.settings.validation_translation == "given"
        estimate = estimate_pose(
            instance_of(views.features),
            views.valid[:, None],
            views.intrinsics,
            self.settings.canvas,
            views.cam_T_obj[:, :3, 3] if given else None,
            self.settings,
            box=None if given else views.box,
            renderer=self.renderer,
        )
        truth = views.cam_T_obj[:, :3, :3].double().cpu().numpy()
        return geodesic_angle(truth, estimate.rotation.double().cpu().numpy())

    def _batch(self, number: int, frames: Sequence[tuple[object, int]]) -> ViewBatch:
        """Views with features; kept where training views are cached as well, made again otherwise."""
        if number < len(self.kept):
            return self.kept[number]
        views: list[View] = [make_view(frame, n, self.settings, None) for frame, n in frames]  # type: ignore[arg-type]
        batch = collate(views, extract(self.model, views, self.device), self.device)
        if self.settings.views == "cached":
            self.kept.append(batch)
        return batch
