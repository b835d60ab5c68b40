"""Care of the feature cache: what is in it, whether it is whole, what may go. Importing this module loads no torch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench3d.features.cache_shards import (
    MANIFEST,
    NAME,
    SHARD,
    BrokenShardError,
    Manifest,
    drop_entry,
    manifest_names,
    read_entry,
    read_manifest,
    remove_shard,
)

LEFTOVER_SECONDS = 3600.0
"""A file without manifest may belong to a writer at work; older than this it does not."""


@dataclass(frozen=True)
class ShardStatus:
    """A visible shard: `bytes` on disk with its manifest, `used` seconds since the epoch of its last use."""

    name: str
    bytes: int
    used: float


@dataclass
class ModelUse:
    """What the cache holds of one model."""

    description: str
    images: int = 0
    bytes: int = 0
    used: float = 0.0


@dataclass
class Summary:
    """What `bench3d cache ls` shows. `leftovers` are bytes of files that no manifest names."""

    shards: int = 0
    bytes: int = 0
    images: int = 0
    broken: int = 0
    leftovers: int = 0
    models: dict[str, ModelUse] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A broken shard, or a broken entry of one."""

    shard: str
    key: str | None
    reason: str


def shard_statuses(folder: Path) -> list[ShardStatus]:
    """The visible shards, the one used longest ago first."""
    found = []
    for name, manifest in manifest_names(folder).items():
        size = manifest.st_size
        with contextlib.suppress(OSError):
            size += (folder / f"{name}{SHARD}").stat().st_size
        found.append(ShardStatus(name, size, manifest.st_mtime))
    return sorted(found, key=lambda s: (s.used, s.name))


def evict(folder: Path, cap_bytes: int) -> int:
    """Removes the shards used longest ago until at most `cap_bytes` are taken; returns the bytes freed."""
    shards = shard_statuses(folder)
    total = sum(s.bytes for s in shards)
    freed = 0
    for shard in shards:
        if total - freed <= cap_bytes:
            break
        freed += remove_shard(folder, shard.name)
    return freed


def summarise(folder: Path) -> Summary:
    """Sizes, numbers of images and models; reads manifests only. A key that stands twice is one image."""
    summary = Summary(leftovers=sum(size for _, size, _ in leftovers(folder)))
    keys: set[str] = set()
    for shard in shard_statuses(folder):
        summary.shards += 1
        summary.bytes += shard.bytes
        try:
            manifest = read_manifest(folder, shard.name)
        except (FileNotFoundError, BrokenShardError):
            summary.broken += 1
            continue
        for key, entry in manifest.entries.items():
            use = summary.models.setdefault(entry.model, ModelUse(manifest.models.get(entry.model, "")))
            use.bytes += _entry_bytes(manifest, key)
            use.used = max(use.used, shard.used)
            if key not in keys:
                keys.add(key)
                use.images += 1
    summary.images = len(keys)
    return summary


def verify(folder: Path, step: Callable[[int], None] = lambda size: None, delete: bool = False) -> list[Finding]:
    """Reads every entry of every shard.

    Args:
        folder: of the cache.
        step: called after each shard with its bytes.
        delete: whether what is broken is removed: the entry, or the shard where none of it can be read.
    """
    findings: list[Finding] = []
    for shard in shard_statuses(folder):
        found = list(_check_shard(folder, shard.name))
        if delete:
            for finding in found:
                if finding.key is None:
                    remove_shard(folder, shard.name)
                else:
                    drop_entry(folder, shard.name, finding.key)
        findings += found
        step(shard.bytes)
    return findings


def collect(
    folder: Path, *, everything: bool = False, max_bytes: int | None = None, older_than: float | None = None
) -> int:
    """Removes leftovers of killed writers, and what the limits say; returns the bytes freed.

    Args:
        folder: of the cache.
        everything: all shards, and leftovers of any age.
        max_bytes: shards used longest ago go until at most this is taken.
        older_than: shards not used for this many seconds go.
    """
    now = time.time()
    freed = 0
    for path, size, changed in leftovers(folder):
        if everything or now - changed > LEFTOVER_SECONDS:
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
    for shard in shard_statuses(folder):
        if everything or (older_than is not None and now - shard.used > older_than):
            freed += remove_shard(folder, shard.name)
    if max_bytes is not None:
        freed += evict(folder, max_bytes)
    return freed


def leftovers(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Files of the cache's own kinds that no manifest names: path, bytes, time of change."""
    visible = manifest_names(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            name, suffix = os.path.splitext(file.name)
            temporary = name.startswith(".") and suffix in (SHARD, MANIFEST) and NAME.match(name, 1)
            if temporary or (suffix == SHARD and NAME.fullmatch(name) and name not in visible):
                with contextlib.suppress(OSError):
                    status = file.stat()
                    yield Path(file.path), status.st_size, status.st_mtime


def _check_shard(folder: Path, name: str) -> Iterator[Finding]:
    try:
        manifest = read_manifest(folder, name)
    except FileNotFoundError:
        return  # removed since it was listed
    except BrokenShardError as error:
        yield Finding(name, None, str(error))
        return
    for key, entry in manifest.entries.items():
        try:
            read_entry(folder, name, manifest.storage, entry)
        except FileNotFoundError:
            yield Finding(name, None, "its tensors are gone")
            return
        except BrokenShardError as error:
            yield Finding(name, key, str(error))


def _entry_bytes(manifest: Manifest, key: str) -> int:
    itemsize = 2 if manifest.storage == "float16" else 4
    total = 0
    for entry in manifest.entries[key].maps:
        count = itemsize
        for side in entry.shape:
            count *= side
        total += count
    return total
