"""Features of images, each computed once for a whole task: memory, then the feature cache, then the model in batches.

Batch size and workers change features only by the rounding of the network's arithmetic (below 1e-4 of the largest
value); what comes from the cache is bit by bit what was stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType

import torch

from bench3d.contracts import FeatureMap, ImageBatch, ImageRequest, Model, WeightedMap
from bench3d.features.cache import FeatureCache
from bench3d.features.cache_key import feature_key
from bench3d.features.extract import Extractor
from bench3d.features.loader import Loaded, Loader, prepare
from bench3d.features.memory import MapMemory, default_budget, map_bytes
from bench3d.geometry.pixels import PixelGeometry

WINDOWS = 2
"""Batches that are loaded ahead of the model."""

MOST_LETTERS = 40
"""A longer fact (a digest) is not shown in a list."""


@dataclass
class EncoderStatistics:
    """What an encoder did.

    Attributes:
        encoded, from_memory, from_cache: images.
        load_seconds: spent waiting for images; `model_seconds` in the model; `cache_seconds` in the feature cache, that
            of loading threads included.
    """

    encoded: int = 0
    from_memory: int = 0
    from_cache: int = 0
    load_seconds: float = 0.0
    model_seconds: float = 0.0
    cache_seconds: float = 0.0


class FeatureEncoder:
    """The host's `bench3d.contracts.Encoder`. The model must not change while it is open; one thread may use it.

    Args:
        model: gives features; where `Model.fingerprint` is None, the cache is not used.
        device: where the maps are wanted.
        batch: images in one batch; the extractor halves it where memory runs out.
        workers: threads that load images.
        cache: the feature cache, None for none; the encoder closes it.
        salt: the host's identity of backbone and adapter, part of every cache key.
        label: words about the model for `bench3d cache ls`; "" for what its `describe` says.
        memory_bytes: budget of maps in memory; None for a quarter of what is free, on a CPU at most 4 GiB. Images that
            were loaded ahead, two batches, come on top.

    Attributes:
        statistics: counts and seconds so far.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "cpu",
        batch: int = 8,
        workers: int = 2,
        cache: FeatureCache | None = None,
        salt: str = "",
        label: str = "",
        memory_bytes: int | None = None,
    ) -> None:
        self.statistics = EncoderStatistics()
        self._model, self._device, self._salt = model, device, salt
        self._batch = max(1, batch)
        self._label = label or _words(model)
        self._cache = cache
        self._extract = Extractor(model)
        self._memory = MapMemory(default_budget(device) if memory_bytes is None else memory_bytes)
        self._map_bytes = 1
        self._fingerprints: dict[str | None, str | None] = {}
        self._lock = threading.Lock()
        self._loader = Loader(self._load, workers, WINDOWS * self._batch, self._wanted)

    def expect(self, requests: Iterable[ImageRequest]) -> None:
        """Says which images come next; starts to load them. `requests` is read as far as it is needed."""
        self._memory.forget_order()
        self._loader.expect(requests)

    def maps(self, request: ImageRequest) -> list[WeightedMap]:
        """The model's weighted maps of one image, each a batch of one, float32, on the device.

        They are shared with whoever asks next: not to be changed in place.

        Raises:
            DataError: this image is missing, broken or of another size.
            Bench3DError: it does not fit into memory.
        """
        known = self._memory.get(request)
        if known is not None:
            self.statistics.from_memory += 1
            return known
        self._know(request.category)
        with self._timed("load_seconds"):
            first = self._loader.take(request)
        if first.maps is None:
            return self._encode(first)
        self._loader.fill()
        self.statistics.from_cache += 1
        maps = [on_device(m, self._device) for m in first.maps]
        self._memory.put(request, maps)
        return maps

    def close(self) -> None:
        """Stops loading, forgets all maps and writes what the cache still holds back."""
        self._loader.close()
        self._memory.clear()
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> FeatureEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def key(self, request: ImageRequest, image_digest: str, geometry: PixelGeometry) -> str | None:
        """Key of an image's features in the cache; None where the model has no fingerprint."""
        fingerprint = self._fingerprints[request.category]
        if fingerprint is None or self._cache is None:
            return None
        return feature_key(
            image_digest, request.placing, geometry, fingerprint, self._salt, storage=self._cache.storage
        )

    def get(self, key: str) -> list[WeightedMap] | None:
        """Maps from the cache, on the CPU."""
        if self._cache is None:
            return None
        with self._timed("cache_seconds"):
            return self._cache.get(key)

    def _know(self, category: str | None) -> None:
        """Asks for the model's fingerprint once a category; here, because loading threads must not look into a model
        at work.
        """
        if self._cache is not None and category not in self._fingerprints:
            self._fingerprints[category] = self._model.fingerprint(category)

    def _wanted(self, request: ImageRequest) -> bool:
        self._know(request.category)
        return request not in self._memory

    def _load(self, request: ImageRequest) -> Loaded:
        return prepare(request, None if self._cache is None or not self._cache.enabled else self)

    def _encode(self, first: Loaded) -> list[WeightedMap]:
        room = min(self._batch, max(1, self._memory.budget // self._map_bytes))
        with self._timed("load_seconds"):
            images = [first, *self._loader.companions(first, room - 1)]
            self._loader.fill()
        with self._timed("model_seconds"):
            joint = [on_device(m, self._device) for m in self._extract(self._stack(images))]
            # Clones: a slice would keep the whole batch alive.
            maps = [[_single(m, i) for m in joint] for i in range(len(images))]
        self.statistics.encoded += len(images)
        self._map_bytes = max(1, map_bytes(maps[0]))
        for image, own in zip(images, maps, strict=True):
            if image.key is not None and self._cache is not None:
                with self._timed("cache_seconds"):
                    fingerprint = self._fingerprints.get(image.request.category) or ""
                    self._cache.put(image.key, own, fingerprint=fingerprint, description=self._label)
        self._memory.put(first.request, maps[0])
        # Backwards: what is wanted next is then the last to go.
        for image, own in zip(reversed(images[1:]), reversed(maps[1:]), strict=True):
            self._memory.put(image.request, own, ahead=True)
        return maps[0]

    def _stack(self, images: list[Loaded]) -> ImageBatch:
        pixels = torch.stack([image.pixels for image in images if image.pixels is not None])
        valid = torch.stack([image.valid for image in images if image.valid is not None])
        return ImageBatch(
            images=pixels.to(self._device).float().div_(255.0),
            valid=valid[:, None].to(self._device).float(),
            geometry=tuple(image.geometry for image in images),
            ids=tuple(image.request.path.stem for image in images),
            category=images[0].request.category,
        )

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                setattr(self.statistics, name, getattr(self.statistics, name) + spent)


def on_device(weighted: WeightedMap, device: str) -> WeightedMap:
    """The same map as float32 on `device`."""
    values = weighted.map.values.to(device=device, dtype=torch.float32)
    return replace(weighted, map=FeatureMap(values, weighted.map.geometry))


def _words(model: Model) -> str:
    """The short facts that a model tells about itself, names before numbers."""
    facts = {k: v for k, v in model.describe().items() if isinstance(v, (str, int)) and len(str(v)) <= MOST_LETTERS}
    ordered = sorted(facts.items(), key=lambda item: not isinstance(item[1], str))
    return ", ".join([type(model).__name__, *(f"{k} {v}" for k, v in ordered if not k.endswith("version"))])


def _single(weighted: WeightedMap, index: int) -> WeightedMap:
    values = weighted.map.values[index : index + 1].clone()
    return replace(weighted, map=FeatureMap(values, weighted.map.geometry[index : index + 1]))
