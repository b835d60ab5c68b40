"""The feature cache: maps of images on disk, found by what they were computed from and never by a name.

Any number of processes read and write one folder without a lock (see `cache_shards`). What is read is verified; what is
damaged or gone is a miss and is computed again. The cache may fail in any way: a run goes on without it.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.data.root import human_bytes
from bench3d.errors import Bench3DError
from bench3d.features.cache_care import collect
from bench3d.features.cache_key import CAP_VARIABLE, cache_cap, cache_folder
from bench3d.features.cache_shards import (
    BrokenShardError,
    Entry,
    NewEntry,
    Storage,
    StoredMap,
    drop_entry,
    manifest_names,
    read_entry,
    read_manifest,
    remove_shard,
    touch,
    write_shard,
)
from bench3d.geometry.pixels import PixelGeometry

if TYPE_CHECKING:
    from bench3d.contracts.features import WeightedMap

SHARD_BYTES = 64 * 10**6
REFRESH_SECONDS = 2.0
TOUCH_SECONDS = 60.0
MODEL_DIGITS = 16

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where an entry stands."""

    shard: str
    storage: Storage
    entry: Entry


class FeatureCache:
    """Maps by key. Methods may be called from several threads.

    Args:
        folder: None for `cache_folder()`. It is made at the first write.
        cap_bytes: None for `cache_cap()`; the shards used longest ago go where a writer exceeds it. 0 is no cache.
        storage: float16 halves the size and changes the numbers; it is part of the key.
        shard_bytes: size at which a shard is written.

    Attributes:
        stored_bytes: what was handed in by this object. Beyond half the cap it takes no more: a set of images that
            large would push out everything else, and then itself.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        cap_bytes: int | None = None,
        storage: Storage = "float32",
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self.folder = cache_folder() if folder is None else folder
        self.cap_bytes = cache_cap() if cap_bytes is None else cap_bytes
        self.storage = storage
        self.stored_bytes = 0
        self._shard_bytes = shard_bytes
        self._taking = True
        self._failed = False
        self._lock = threading.RLock()
        self._index: dict[str, _Place] = {}
        self._seen: set[str] = set()
        self._refreshed = float("-inf")
        self._touched: dict[str, float] = {}
        self._held: dict[str, NewEntry] = {}
        self._held_bytes = 0
        self._models: dict[str, str] = {}
        self._leaving: dict[str, NewEntry] = {}
        self._flushing: Future[None] | None = None
        self._writer: ThreadPoolExecutor | None = None

    @property
    def enabled(self) -> bool:
        """False where the cap is 0."""
        return self.cap_bytes > 0

    def get(self, key: str) -> list[WeightedMap] | None:
        """The maps of a key, on the CPU in float32, verified; None where they are not there or no longer whole."""
        with self._lock:
            waiting = self._held.get(key) or self._leaving.get(key)
            if waiting is not None:
                return [_thawed(m) for m in waiting.maps]
            place = self._find(key)
        if place is None:
            return None
        try:
            maps = read_entry(self.folder, place.shard, place.storage, place.entry)
        except FileNotFoundError:
            # Another process made room, or somebody removed files.
            self._lose_shard(place.shard, "its tensors are gone")
            return None
        except BrokenShardError as error:
            self._lose_entry(key, place.shard, str(error))
            return None
        self._note_use(place.shard)
        return [_thawed(m) for m in maps]

    def put(self, key: str, maps: Sequence[WeightedMap], *, fingerprint: str = "", description: str = "") -> None:
        """Keeps maps (each a batch of one) for later; they are written about 64 MB at a time. Never raises for a disk.

        Args:
            key: of `feature_key`.
            maps: the model's.
            fingerprint, description: of the model, for `bench3d cache ls`.
        """
        with self._lock:
            if not self.enabled or not self._taking or key in self._held or key in self._leaving:
                return
        stored = [_frozen(m, self.storage) for m in maps]
        if not all(np.isfinite(s.values).all() for s in stored):
            return  # too large for float16, or a broken network: not worth a place
        entry = NewEntry(stored, fingerprint[:MODEL_DIGITS])
        with self._lock:
            if self.stored_bytes + entry.bytes > self.cap_bytes / 2:
                self._taking = False
                log.info(
                    "The features of these images are larger than half of the feature cache's %s: the rest is not "
                    "stored (%s sets the size).",
                    human_bytes(self.cap_bytes),
                    CAP_VARIABLE,
                )
                return
            self._held[key] = entry
            self._models[entry.model] = description
            self._held_bytes += entry.bytes
            self.stored_bytes += entry.bytes
            full = self._held_bytes >= self._shard_bytes
        if full:
            self.flush(wait=False)

    def flush(self, wait: bool = True) -> None:
        """Writes what is held back; without `wait` in a thread, one shard at a time."""
        if self._flushing is not None:
            self._flushing.result()
        with self._lock:
            if self._failed:
                self._held, self._held_bytes = {}, 0
            if not self._held:
                return
            self._leaving, self._held, self._held_bytes = self._held, {}, 0
            if self._writer is None:
                self._writer = ThreadPoolExecutor(1, thread_name_prefix="bench3d-cache")
            self._flushing = self._writer.submit(self._write)
        if wait:
            self._flushing.result()

    def close(self) -> None:
        """Writes what is held back and ends the writing thread; the cache may be used again."""
        self.flush()
        if self._flushing is not None:
            self._flushing.result()
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None

    def _write(self) -> None:
        try:
            write_shard(self.folder, self.storage, self._leaving, self._models)
            collect(self.folder, max_bytes=self.cap_bytes)
        except (Bench3DError, OSError) as error:
            self._taking, self._failed = False, True
            log.warning("The feature cache is not written any more; the run goes on. %s", error)
        finally:
            with self._lock:
                self._leaving = {}
                self._refreshed = float("-inf")

    def _find(self, key: str) -> _Place | None:
        place = self._index.get(key)
        if place is None and time.monotonic() - self._refreshed >= REFRESH_SECONDS:
            self._refresh()
            place = self._index.get(key)
        return place

    def _refresh(self) -> None:
        """Reads the manifests that have come since the last look; a key that stands twice is read from the newer."""
        self._refreshed = time.monotonic()
        for name in manifest_names(self.folder):
            if name in self._seen:
                continue
            self._seen.add(name)
            try:
                manifest = read_manifest(self.folder, name)
            except FileNotFoundError:
                continue
            except BrokenShardError as error:
                self._lose_shard(name, str(error))
                continue
            for key, entry in manifest.entries.items():
                self._index[key] = _Place(name, manifest.storage, entry)

    def _lose_entry(self, key: str, shard: str, reason: str) -> None:
        log.warning("An entry of shard %s of the feature cache is computed again: %s.", shard, reason)
        with self._lock:
            self._index.pop(key, None)
        drop_entry(self.folder, shard, key)

    def _lose_shard(self, shard: str, reason: str) -> None:
        with self._lock:
            lost = [key for key, place in self._index.items() if place.shard == shard]
            for key in lost:
                del self._index[key]
        log.warning("Shard %s of the feature cache is passed over: %s.", shard, reason)
        remove_shard(self.folder, shard)

    def _note_use(self, shard: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._touched.get(shard, float("-inf")) < TOUCH_SECONDS:
                return
            self._touched[shard] = now
        touch(self.folder, shard)


def _frozen(weighted: WeightedMap, storage: Storage) -> StoredMap:
    values = weighted.map.values.detach().cpu().numpy()
    with np.errstate(over="ignore"):
        copied = values.astype(np.dtype(storage), order="C", copy=True)
    return StoredMap(copied, _builtin(weighted.map.geometry[0]), float(weighted.weight))


def _builtin(geometry: PixelGeometry) -> PixelGeometry:
    """The same geometry without numpy's numbers, which JSON does not know."""
    g = geometry
    return PixelGeometry(
        original_size=_integers(g.original_size),
        input_size=_integers(g.input_size),
        scale=_floats(g.scale),
        offset=_floats(g.offset),
        stride=None if g.stride is None else _floats(g.stride),
        origin=_floats(g.origin),
        grid_size=None if g.grid_size is None else _integers(g.grid_size),
    )


def _integers(pair: tuple[int, int]) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])


def _floats(pair: tuple[float, float]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _thawed(stored: StoredMap) -> WeightedMap:
    import torch

    from bench3d.contracts.features import FeatureMap, WeightedMap

    values = torch.from_numpy(stored.values.astype(np.float32))
    return WeightedMap(FeatureMap(values, (stored.geometry,)), stored.weight)
