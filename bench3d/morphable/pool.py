"""Where a fit gets its batches: views made on the fly, or K seeded views a frame drawn once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from bench3d.contracts import Model, ObjectSequence, PosedFrame, Progress
from bench3d.errors import UsageError
from bench3d.features.extract import extract as features_of
from bench3d.fit.draws import derived_generator
from bench3d.morphable.settings import ViewSettings
from bench3d.morphable.views import View, ViewBatch, collate, image_batch, make_view


class ViewPool:
    """Batches of training views by index; every draw depends on seed, epoch and frame alone.

    `live` decodes, crops, augments and runs the backbone for each batch; `cached` does it once for `views_per_frame`
    views a frame and keeps the features in memory.
    """

    def __init__(
        self, sequences: Sequence[ObjectSequence], model: Model, settings: ViewSettings, seed: int, device: str
    ) -> None:
        self.frames: list[tuple[PosedFrame, int]] = [(f, n) for n, s in enumerate(sequences) for f in s.frames]
        self.model = model
        self.settings = settings
        self.seed = seed
        self.device = device
        self.workers = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        self.cached: list[View] = []
        self.features: torch.Tensor | None = None
        self.ahead: dict[tuple[Any, ...], list[Future[View]]] = {}

    def __len__(self) -> int:
        """Views in an epoch."""
        per_frame = self.settings.views_per_frame if self.settings.views == "cached" else 1
        return len(self.frames) * per_frame

    def _make(self, index: int, epoch: int, with_image: bool) -> View:
        frame, sequence = self.frames[index % len(self.frames)]
        generator = derived_generator(self.seed, "view", epoch, index)
        return make_view(frame, sequence, self.settings, generator, with_image)

    def _submit(self, indices: Sequence[int], epoch: int, with_image: bool) -> list[Future[View]]:
        return [self.workers.submit(self._make, i, epoch, with_image) for i in indices]

    def prepare(self, progress: Progress) -> None:
        """Fills the cache under the `cached` policy; does nothing else."""
        if self.settings.views != "cached" or self.cached:
            return
        dtype = torch.float16 if self.settings.cache_dtype == "float16" else torch.float32
        chunks: list[torch.Tensor] = []
        size = self.settings.batch
        progress.start("views", len(self))
        try:
            pending = self._submit(range(min(size, len(self))), 0, True)
            for start in range(0, len(self), size):
                views = [future.result() for future in pending]
                following = range(start + size, min(start + 2 * size, len(self)))
                pending = self._submit(following, 0, True)
                chunks.append(extract(self.model, views, self.device).to(dtype))
                self.cached += [_without_image(view) for view in views]
                progress.advance(len(views))
        finally:
            progress.finish()
        self.features = torch.cat(chunks)

    def batch(self, indices: Sequence[int], epoch: int, with_features: bool) -> ViewBatch:
        """The views of `indices` in `epoch` (which the `cached` policy ignores).

        Raises:
            DataError: an image or mask is missing or broken.
        """
        if self.settings.views == "cached":
            if self.features is None:
                raise ValueError("prepare() comes before batch() under the cached policy.")
            chosen = self.features[torch.as_tensor(indices)].float() if with_features else None
            return collate([self.cached[i] for i in indices], chosen, self.device)
        pending = self.ahead.pop((tuple(indices), epoch, with_features), None)
        views = [future.result() for future in pending or self._submit(indices, epoch, with_features)]
        features = extract(self.model, views, self.device) if with_features else None
        return collate(views, features, self.device)

    def prefetch(self, indices: Sequence[int], epoch: int, with_features: bool) -> None:
        """Starts decoding the views of a coming `batch` under the `live` policy."""
        if self.settings.views == "live":
            self.ahead = {(tuple(indices), epoch, with_features): self._submit(indices, epoch, with_features)}

    def statistics(self, batches: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Per-channel mean and standard deviation (C,) of the features of `batches` random batches."""
        size = self.settings.batch
        order = torch.randperm(len(self), generator=derived_generator(self.seed, "statistics")).tolist()
        count, total, square = 0, torch.zeros(1), torch.zeros(1)
        for start in range(0, min(batches * size, len(self)), size):
            features = self.batch(order[start : start + size], 0, True).features
            if features is None:
                break
            flat = features.transpose(0, 1).flatten(1).double().cpu()
            count, total, square = count + flat.shape[1], total + flat.sum(1), square + (flat**2).sum(1)
        mean = total / count
        return mean.float(), (square / count - mean**2).clamp_min(0).sqrt().float()

    def close(self) -> None:
        """Stops the decoding threads."""
        self.workers.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> ViewPool:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def extract(model: Model, views: Sequence[View], device: str) -> torch.Tensor:
    """Backbone features (B, C, h, w) float32 of views.

    Raises:
        UsageError: the model blends several maps, so that there is no one input for the heads.
    """
    maps = features_of(model, image_batch(views).to(device))
    if len(maps) != 1:
        raise UsageError(
            f"A shape model needs features in one map, this model has {len(maps)}.", "Use it on the plain backbone."
        )
    return maps[0].map.values.detach().float()


def _without_image(view: View) -> View:
    return replace(view, image=None)
