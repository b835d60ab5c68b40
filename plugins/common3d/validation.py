"""Held-out pose accuracy, which decides the best checkpoint (protocol page, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench3d.contracts import Model, ObjectSequence
from bench3d.geometry.rotations import geodesic_angle
from bench3d_plugins.common3d.network import Common3DNetwork
from bench3d_plugins.common3d.pool import extract
from bench3d_plugins.common3d.settings import Common3DSettings
from bench3d_plugins.common3d.views import View, ViewBatch, collate, make_view

if TYPE_CHECKING:
    from bench3d.contracts import Renderer


class Validator:
    """Single-view pose on frames of the held-out sequences: the share of rotation errors under 10 degrees."""

    def __init__(
        self,
        sequences: Sequence[ObjectSequence],
        model: Model,
        settings: Common3DSettings,
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

    def score(self, network: Common3DNetwork) -> float:
        """Share of frames with a rotation error under 10 degrees (strictly)."""
        return float((np.rad2deg(self.errors(network)) < 10).mean())

    def errors(self, network: Common3DNetwork) -> np.ndarray:
        """Rotation errors (N,) in radians."""
        network.eval()
        size = self.settings.batch
        found = []
        for start in range(0, len(self.frames), size):
            views = self._batch(start // size, self.frames[start : start + size])
            found.append(self._batch_errors(network, views))
        return np.concatenate(found)

    @torch.no_grad()
    def _batch_errors(self, network: Common3DNetwork, views: ViewBatch) -> np.ndarray:
        from bench3d_plugins.common3d.pose import estimate_pose

        assert views.features is not None
        vertices, faces = network.template()
        given = self.settings.validation_translation == "given"
        estimate = estimate_pose(
            network.adapt(views.features),
            views.valid[:, None],
            network.deform(vertices, network.latent(views.features)),
            faces,
            network.vertex_features(vertices),
            network.background_feature(),
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
