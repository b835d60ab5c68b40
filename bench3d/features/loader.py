"""Images read, looked up in the feature cache, decoded and placed by threads, ahead of the model, in expected order.

Pillow, OpenCV and hashing give up the interpreter's lock, so threads are enough and nothing has to be pickled.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from bench3d.contracts import ImageRequest, WeightedMap
from bench3d.data.images import decode_rgb, image_size, read_image_bytes
from bench3d.data.placing import layout, place
from bench3d.geometry.pixels import PixelGeometry

PATIENCE = 4
"""An expected image that was passed over for this many windows is no longer waited for."""


@dataclass(frozen=True)
class Loaded:
    """One image, ready for the model or found in the cache.

    Attributes:
        request: what was asked for.
        geometry: original pixels to input pixels.
        key: of the feature cache; None where nothing is cached.
        pixels, valid: (3, h, w) uint8 and (h, w) bool; None where `maps` was found.
        maps: from the cache, on the CPU.
    """

    request: ImageRequest
    geometry: PixelGeometry
    key: str | None = None
    pixels: torch.Tensor | None = None
    valid: torch.Tensor | None = None
    maps: list[WeightedMap] | None = None

    def fits(self, other: Loaded) -> bool:
        """Whether both can be in one batch."""
        same = self.geometry.input_size == other.geometry.input_size
        return same and self.request.category == other.request.category


class Lookup(Protocol):
    """What a loader asks a feature cache."""

    def key(self, request: ImageRequest, image_digest: str, geometry: PixelGeometry) -> str | None:
        """Key of an image's features; None where they are not to be cached."""

    def get(self, key: str) -> list[WeightedMap] | None:
        """Maps on the CPU, None where they are not there."""


def prepare(request: ImageRequest, lookup: Lookup | None = None) -> Loaded:
    """Reads one image. Its bytes are read once: what is hashed is what is decoded; what is cached is not decoded.

    Raises:
        DataError: the image is missing, broken or of another size.
        UsageError: its placing is impossible.
    """
    image = None
    if request.pixels is None:
        content = read_image_bytes(request.path)
        size = image_size(request.path, content)
    else:
        image = request.pixels.read()
        size = (image.shape[1], image.shape[0])
        content = repr(size).encode() + image.tobytes()
    geometry = layout(size, request.placing).geometry
    key = None
    if lookup is not None:
        key = lookup.key(request, hashlib.sha256(content).hexdigest(), geometry)
        fitting = request.size is None or tuple(request.size) == geometry.original_size
        maps = lookup.get(key) if key is not None and fitting else None
        if maps is not None:
            return Loaded(request, geometry, key, maps=maps)
    if image is None:
        image = decode_rgb(content, request.path, request.size)
    placed, valid, geometry = place(image, request.placing)
    pixels = torch.from_numpy(np.ascontiguousarray(placed.transpose(2, 0, 1)))
    return Loaded(request, geometry, key, pixels, torch.from_numpy(valid))


@dataclass(eq=False)
class _Waiting:
    request: ImageRequest
    future: Future[Loaded]
    passed: int = 0


class Loader:
    """A bounded window of images that are being loaded, in the order in which they are expected.

    Args:
        load: loads one image; called in threads.
        workers: number of threads.
        window: images that are loaded or being loaded at most.
        wanted: asked before an expected image is loaded: False where its features are at hand.
    """

    def __init__(
        self, load: Callable[[ImageRequest], Loaded], workers: int, window: int, wanted: Callable[[ImageRequest], bool]
    ) -> None:
        self._load, self._wanted = load, wanted
        self._window = window
        self._source: Iterator[ImageRequest] = iter(())
        self._queue: deque[_Waiting] = deque()
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="bench3d-load")

    def expect(self, requests: Iterable[ImageRequest]) -> None:
        """Replaces what was expected; `requests` is consumed as the window moves and may have no end."""
        self._forget()
        self._source = iter(requests)
        self.fill()

    def fill(self) -> None:
        """Starts loading until the window is full."""
        # Bounded: an endless source of images that are all at hand must not be read for ever.
        for request in itertools.islice(self._source, self._window * PATIENCE):
            if self._wanted(request) and not any(w.request == request for w in self._queue):
                self._queue.append(_Waiting(request, self._pool.submit(self._load, request)))
            if len(self._queue) >= self._window:
                return

    def take(self, request: ImageRequest) -> Loaded:
        """One image, waited for or loaded now; leaves the window.

        Raises:
            DataError: see `prepare`.
        """
        found: _Waiting | None = None
        kept: deque[_Waiting] = deque()
        for waiting in self._queue:
            if found is None and waiting.request == request:
                found = waiting
                continue
            waiting.passed += found is None
            if waiting.passed <= self._window * PATIENCE:
                kept.append(waiting)
        self._queue = kept
        return self._load(request) if found is None else found.future.result()

    def companions(self, first: Loaded, most: int) -> list[Loaded]:
        """Up to `most` expected images that can go into one batch with `first`; they leave the window.

        A broken image stays where it is: whoever asks for it will hear.
        """
        chosen: list[_Waiting] = []
        for waiting in self._queue:
            if len(chosen) >= most:
                break
            # Asking a future for its exception waits for it.
            if waiting.request.category != first.request.category or waiting.future.exception() is not None:
                continue
            loaded = waiting.future.result()
            if loaded.maps is None and loaded.fits(first):
                chosen.append(waiting)
        self._queue = deque(w for w in self._queue if w not in chosen)
        return [waiting.future.result() for waiting in chosen]

    def close(self) -> None:
        """Stops loading."""
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        for waiting in self._queue:
            waiting.future.cancel()
        self._queue.clear()
        self._source = iter(())
