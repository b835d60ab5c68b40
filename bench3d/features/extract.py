"""Batches of images and their features: full precision, no gradients, memory that runs out halves the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from bench3d.contracts import FeatureMap, ImageBatch, Model, WeightedMap
from bench3d.errors import Bench3DError
from bench3d.features.backbone import full_precision
from bench3d.machine import is_out_of_memory, release_memory


class Extractor:
    """Features of batches of one model. It remembers what did not fit, so that memory runs out once, not every time.

    Attributes:
        model: any model with features.
        limit: largest batch that is tried in one piece, None while nothing has failed.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.limit: int | None = None

    def __call__(self, batch: ImageBatch) -> list[WeightedMap]:
        """The model's maps of a batch, float32, detached; the same whether the batch was split or not.

        Raises:
            Bench3DError: a single image does not fit into memory.
        """
        step = len(batch) if self.limit is None else min(self.limit, len(batch))
        parts: list[list[WeightedMap]] = []
        start = 0
        while start < len(batch):
            part = self._try(slice_batch(batch, start, start + step))
            if part is not None:
                parts.append(part)
                start += step
                continue
            if step == 1:
                size = f"{batch.images.shape[3]}x{batch.images.shape[2]}"
                raise Bench3DError(
                    f"There is not enough memory for the features of a single {size} image.",
                    "Choose a smaller input (--set backbone.grid=...), a smaller backbone, or --device cpu.",
                )
            step = self.limit = step // 2
        # A copy outside inference mode: what is inside may not enter an adapter's graph.
        return [_join([part[i] for part in parts]) for i in range(len(parts[0]))]

    def _try(self, batch: ImageBatch) -> list[WeightedMap] | None:
        """The maps of a batch, None where memory ran out."""
        try:
            with torch.inference_mode(), full_precision():
                return self.model.features(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: the traceback holds the tensors that have to go.
        release_memory()
        return None


def extract(model: Model, batch: ImageBatch) -> list[WeightedMap]:
    """The model's weighted maps of one batch; see `Extractor`, which is better for many batches."""
    return Extractor(model)(batch)


def slice_batch(batch: ImageBatch, start: int, stop: int) -> ImageBatch:
    """Samples start to stop (exclusive) of a batch."""
    part = slice(start, stop)
    return replace(
        batch,
        images=batch.images[part],
        valid=batch.valid[part],
        geometry=batch.geometry[part],
        ids=batch.ids[part],
    )


def _join(parts: Sequence[WeightedMap]) -> WeightedMap:
    values = torch.cat([p.map.values.float() for p in parts])
    geometry = tuple(g for p in parts for g in p.map.geometry)
    return WeightedMap(FeatureMap(values, geometry), parts[0].weight)
