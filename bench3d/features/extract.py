"""Batches of images and their features: full precision, no gradients, memory that runs out halves the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from bench3d.contracts import FeatureMap, ImageBatch, Model, WeightedMap
from bench3d.errors import Bench3DError
from bench3d.features.backbone import full_precision
from bench3d.geometry.crops import resample, valid_mask
from bench3d.geometry.pixels import PixelGeometry

Item = TypeVar("Item")

ALLOCATION_FAILURES = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory")


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
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def extract(model: Model, batch: ImageBatch) -> list[WeightedMap]:
    """The model's weighted maps of one batch; see `Extractor`, which is better for many batches."""
    return Extractor(model)(batch)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or a CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in ALLOCATION_FAILURES)


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


@dataclass(frozen=True, eq=False)
class Crop:
    """One network input: `image` (h, w, 3) float32 in [0, 1], `valid` (h, w) bool, where it came from, and its id."""

    image: np.ndarray
    valid: np.ndarray
    geometry: PixelGeometry
    id: str


def crop_image(image: np.ndarray, geometry: PixelGeometry, sample_id: str) -> Crop:
    """The pixels of `geometry.input_size` out of an image (H, W, 3) uint8 RGB."""
    pixels = resample(image, geometry).astype(np.float32) / np.float32(255)
    return Crop(pixels, valid_mask(geometry), geometry, sample_id)


def make_batch(crops: Sequence[Crop]) -> ImageBatch:
    """A batch of crops that all have one size."""
    images = torch.from_numpy(np.stack([c.image for c in crops])).permute(0, 3, 1, 2).contiguous()
    valid = torch.from_numpy(np.stack([c.valid for c in crops]).astype(np.float32))[:, None]
    return ImageBatch(images, valid, tuple(c.geometry for c in crops), tuple(c.id for c in crops))


def iter_batches(
    items: Iterable[Item], load: Callable[[Item], Crop], size: int, threads: int = 1
) -> Iterator[ImageBatch]:
    """Batches of at most `size` crops in the order of `items`; a crop of another size starts a new batch.

    Args:
        items: anything `load` understands.
        load: decodes and crops one item; called from worker threads, a little ahead of what is asked for.
        size: largest batch.
        threads: worker threads; 0 loads in the caller's.
    """
    pending: list[Crop] = []
    for crop in _loaded(items, load, ahead=2 * size, threads=threads):
        if pending and (len(pending) == size or crop.image.shape != pending[0].image.shape):
            yield make_batch(pending)
            pending = []
        pending.append(crop)
    if pending:
        yield make_batch(pending)


def _loaded(items: Iterable[Item], load: Callable[[Item], Crop], ahead: int, threads: int) -> Iterator[Crop]:
    if threads == 0:
        yield from map(load, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        rest = iter(items)
        waiting: list[Future[Crop]] = [pool.submit(load, item) for item in islice(rest, ahead)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting.extend(pool.submit(load, item) for item in islice(rest, 1))
        finally:
            for future in waiting:
                future.cancel()
