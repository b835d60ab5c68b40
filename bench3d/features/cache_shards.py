"""Shards of the feature cache: a safetensors file of many entries, and the manifest that makes it visible.

A writer gives every shard a name of its own, so no two ever write one file. The manifest is written last: a shard
without one does not exist for a reader. It says what each entry is and the digest of its bytes, and holds a digest of
itself. Importing this module loads no torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bench3d.files import write_bytes, write_text
from bench3d.geometry.pixels import PixelGeometry

SHARD, MANIFEST = ".safetensors", ".json"
NAME = re.compile(r"[0-9a-f]{16}-\d+-[0-9a-f]{8}")
"""Names of shards. Other files are not the cache's, whatever folder somebody points it to."""

Storage = Literal["float32", "float16"]


class BrokenShardError(Exception):
    """A shard, one entry of it, or its manifest is not what was written."""


class MapEntry(BaseModel):
    """One map of an entry; `tensor` is its name in the safetensors file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tensor: str
    shape: tuple[int, int, int, int]
    weight: float
    geometry: PixelGeometry


class Entry(BaseModel):
    """Features of one image. `sha256` is that of the stored bytes of all its maps, one after the other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    maps: tuple[MapEntry, ...]
    model: str
    sha256: str


class Manifest(BaseModel):
    """What a shard holds: entries by key, and in `models` words about each model by the start of its fingerprint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Literal["bench3d.features/1"] = "bench3d.features/1"
    storage: Storage
    bytes: int
    models: dict[str, str]
    entries: dict[str, Entry]


@dataclass(frozen=True)
class StoredMap:
    """One map as it is stored: `values` (1, C, h, w) in the storage type."""

    values: np.ndarray
    geometry: PixelGeometry
    weight: float


@dataclass(frozen=True)
class NewEntry:
    """What is to be written under a key."""

    maps: Sequence[StoredMap]
    model: str

    @property
    def bytes(self) -> int:
        """Of all values."""
        return sum(m.values.nbytes for m in self.maps)


def write_shard(folder: Path, storage: Storage, entries: Mapping[str, NewEntry], models: Mapping[str, str]) -> str:
    """Writes a shard and then its manifest; returns the name of both without suffix.

    Raises:
        OutputError: the disk is full or not writable; nothing visible is left.
    """
    from safetensors.numpy import save

    name = f"{time.time_ns():016x}-{os.getpid()}-{secrets.token_hex(4)}"
    tensors: dict[str, np.ndarray] = {}
    described: dict[str, Entry] = {}
    for key, entry in entries.items():
        maps = []
        for number, stored in enumerate(entry.maps):
            values = np.ascontiguousarray(stored.values)
            tensors[f"{key}/{number}"] = values
            maps.append(
                MapEntry(tensor=f"{key}/{number}", shape=values.shape, weight=stored.weight, geometry=stored.geometry)
            )
        described[key] = Entry(maps=tuple(maps), model=entry.model, sha256=digest(m.values for m in entry.maps))
    content = save(tensors)
    shard = folder / f"{name}{SHARD}"
    write_bytes(shard, content)
    try:
        manifest = Manifest(storage=storage, bytes=len(content), models=dict(models), entries=described)
        write_manifest(folder, name, manifest)
    except BaseException:
        with contextlib.suppress(OSError):
            shard.unlink(missing_ok=True)
        raise
    return name


def write_manifest(folder: Path, name: str, manifest: Manifest) -> None:
    """Writes or replaces a manifest with its own digest in front; OutputError where it cannot."""
    body = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    write_text(folder / f"{name}{MANIFEST}", f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")


def read_manifest(folder: Path, name: str) -> Manifest:
    """A manifest.

    Raises:
        FileNotFoundError: somebody has removed it.
        BrokenShardError: it is damaged or of another version.
    """
    try:
        text = (folder / f"{name}{MANIFEST}").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenShardError(f"its manifest cannot be read ({error})") from error
    expected, _, body = text.rstrip("\n").partition("\n")
    if hashlib.sha256(body.encode()).hexdigest() != expected:
        raise BrokenShardError("its manifest is damaged")
    try:
        return Manifest.model_validate_json(body)
    except ValidationError as error:
        raise BrokenShardError(f"its manifest is not understood ({error.errors()[0]['msg']})") from error


def read_entry(folder: Path, name: str, storage: Storage, entry: Entry) -> list[StoredMap]:
    """The maps of one entry, compared with its digest.

    Raises:
        FileNotFoundError: somebody has removed the shard.
        BrokenShardError: truncated, damaged, or not what the manifest says.
    """
    from safetensors import SafetensorError, safe_open

    try:
        # numpy copies out of the file: what is checked below cannot change any more.
        with safe_open(folder / f"{name}{SHARD}", framework="numpy") as shard:
            arrays = [shard.get_tensor(m.tensor) for m in entry.maps]
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError) as error:
        raise BrokenShardError(f"it cannot be read ({error})") from error
    for array, described in zip(arrays, entry.maps, strict=True):
        if array.shape != described.shape or array.dtype != np.dtype(storage):
            raise BrokenShardError("it holds other tensors than its manifest says")
    if digest(iter(arrays)) != entry.sha256:
        raise BrokenShardError("its bytes have changed")
    return [StoredMap(a, m.geometry, m.weight) for a, m in zip(arrays, entry.maps, strict=True)]


def digest(arrays: Iterator[np.ndarray]) -> str:
    """sha256 of the bytes of arrays, one after the other."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def manifest_names(folder: Path) -> dict[str, os.stat_result]:
    """Names of the visible shards, in the order they were written, with the status of their manifests.

    A manifest's time of change is when its shard was last used. Empty where there is no folder.
    """
    found: dict[str, os.stat_result] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            name, suffix = os.path.splitext(file.name)
            if suffix == MANIFEST and NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    found[name] = file.stat()
    return dict(sorted(found.items()))


def touch(folder: Path, name: str) -> None:
    """Notes that a shard was used; harmless where that is not allowed."""
    with contextlib.suppress(OSError):
        os.utime(folder / f"{name}{MANIFEST}")


def remove_shard(folder: Path, name: str) -> int:
    """Removes a shard, its manifest first so that nobody sees half of it; returns the bytes freed."""
    freed = 0
    for suffix in (MANIFEST, SHARD):
        path = folder / f"{name}{suffix}"
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed


def drop_entry(folder: Path, name: str, key: str) -> None:
    """Takes one entry out of a shard's manifest, and the shard away where it was the last; never raises OSError.

    Two processes that drop different entries at once may lose one of the drops: it is found again at the next read.
    """
    from bench3d.errors import OutputError

    with contextlib.suppress(FileNotFoundError, BrokenShardError, OutputError):
        manifest = read_manifest(folder, name)
        left = {k: e for k, e in manifest.entries.items() if k != key}
        if left:
            write_manifest(folder, name, manifest.model_copy(update={"entries": left}))
        else:
            remove_shard(folder, name)
