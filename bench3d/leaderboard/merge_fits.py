"""Fits of several results folders become one folder's: whole folders, named by the recipe that made them."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import DataError
from bench3d.leaderboard.merge import Merged, check_sources
from bench3d.leaderboard.merge_files import copy_file, own_files
from bench3d.leaderboard.safety import plain_text
from bench3d.records import publish_folder, short
from bench3d.records.attempts import Owned
from bench3d.runner.jobs import ARTIFACT, is_artifact

_MOST_BYTES = 4_000_000
_MERGING = ".merging"  # not `.<fit>.<token>`: those are fits that were begun, and are gone on with


def merge_fits(
    sources: Sequence[Path], into: Path, *, dry_run: bool = False, progress: Progress | None = None
) -> Iterator[Merged]:
    """Brings the artifacts of results folders into the results folder `into`. One that stands there stays.

    Raises:
        DataError, UsageError, OutputError: as `merge_runs`.
    """
    progress = progress or NullProgress()
    found = [
        (source, path.parent)
        for source in check_sources(sources, into)
        for path in sorted((source / "fits").glob(f"[!.]*/[!.]*/[!.]*/{ARTIFACT}"))
    ]
    planned: set[Path] = set()
    progress.start("fits", len(found))
    for source, folder in found:
        merged = _merge_fit(source, folder, into, dry_run, planned)
        if merged.outcome == "copied" and merged.target is not None:
            planned.add(merged.target)
        yield merged
        progress.advance()
    progress.finish()


def _merge_fit(source: Path, folder: Path, into: Path, dry_run: bool, planned: set[Path]) -> Merged:
    place = folder.relative_to(source)
    target = into / place
    merged = Merged(folder, plain_text(str(place), 200), "copied", target=target)
    try:
        recipe = _recipe(source, folder)
        if target in planned or is_artifact(target, recipe):
            return replace(merged, outcome="there")
        files, links = own_files(folder)
        if links:
            raise DataError(f"{folder} holds symbolic links.", "Put the files themselves there.")
        for path in files:
            _check_tensors(path)
        size = sum(path.stat().st_size for path in files)
        if not dry_run and not _copy(folder, files, target, recipe):
            return replace(merged, outcome="there", reason="another process was first")
        return replace(merged, bytes=size)
    except DataError as error:
        return replace(merged, outcome="refused", reason=plain_text(error.message), target=None)


def _recipe(source: Path, folder: Path) -> str:
    """The recipe of an artifact, which its folder is named by. DataError where it is not, or is broken."""
    if not folder.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{folder} is a link that leads out of {source}.")
    path = folder / ARTIFACT
    value: Any = None
    try:
        if path.stat().st_size <= _MOST_BYTES:
            value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    recipe = value.get("recipe") if isinstance(value, dict) else None
    if not isinstance(recipe, str) or not re.fullmatch("[0-9a-f]{64}", recipe):
        raise DataError(f"{path}, field recipe: missing or no digest.")
    if not folder.name.endswith(f"-{short(recipe)}"):
        raise DataError(f"{path}, field recipe: {short(recipe)} is not the one that its folder is named by.")
    return recipe


def _check_tensors(path: Path) -> None:
    """DataError where a safetensors file is cut off: its header says how long it is."""
    if path.suffix != ".safetensors":
        return
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length)) if length <= path.stat().st_size else {}
        ends = [int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"]
        whole = 8 + length + max(ends, default=0) == path.stat().st_size
    except (OSError, struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DataError(f"{path} is no safetensors file.") from error
    if not whole:
        raise DataError(f"{path} is cut off.")


def _copy(folder: Path, files: Sequence[Path], target: Path, recipe: str) -> bool:
    """Copies an artifact and publishes it; whether it was the first."""
    owned = Owned.open(target.parent / _MERGING, target.name, f"merge {target.name}")
    try:
        for path in files:
            copy_file(path, owned.work / path.relative_to(folder))
        if not is_artifact(owned.work, recipe):
            raise DataError(f"{folder / ARTIFACT} was changed while it was copied.")
        won = publish_folder(owned.work, target, owned.root / "old-", lambda place: is_artifact(place, recipe))
        for left in owned.others():
            owned.remove_dead(left)
        return won
    finally:
        owned.close()
