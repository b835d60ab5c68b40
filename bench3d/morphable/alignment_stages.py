"""The stages of aligning, each of which leaves one file per sequence (or per pair): proxy meshes, similarities.

A file appears whole or not at all, so that work that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench3d.contracts import ObjectSequence
from bench3d.errors import Bench3DError, DataError
from bench3d.files import atomic_path, write_json
from bench3d.morphable.alignment_features import Appearance, min_avg_distance
from bench3d.morphable.alignment_ransac import ransac
from bench3d.morphable.alignment_settings import AlignmentSettings
from bench3d.morphable.proxy_mesh import proxy_mesh
from bench3d.records import identity_hash

VERSION = 1
"""Raised when the same input gives another result."""
NO_MESH, NO_APPEARANCE, NO_SIMILARITY = "no proxy mesh", "no appearance", "no similarity"
BROKEN = "broken files"


class LeftOut(DataError):
    """A sequence that its reader leaves out; the message is the reason, in a few words."""


@dataclass(frozen=True)
class Place:
    """Files of one category. `folder` belongs to one backbone and to the settings that decide meshes and features."""

    folder: Path
    settings: AlignmentSettings

    def mesh(self, name: str) -> Path:
        """The proxy mesh."""
        return self.folder / f"{name}.mesh.npz"

    def features(self, name: str) -> Path:
        """The appearances."""
        return self.folder / f"{name}.features.npz"

    def pair(self, reference: str, name: str) -> Path:
        """The similarity from a sequence to a reference; its folder depends on all settings."""
        key = identity_hash(self.settings.model_dump(mode="json"))[:8]
        return self.folder / f"to-{reference}-{key}" / f"{name}.json"


@dataclass(frozen=True)
class MeshJob:
    """One sequence whose proxy mesh is wanted."""

    place: Place
    name: str
    sequence: ObjectSequence


@dataclass(frozen=True)
class PairJob:
    """One sequence to bring to one reference."""

    place: Place
    name: str
    reference: str
    category: str


def make_mesh(job: MeshJob) -> tuple[str, str] | None:
    """Writes the proxy mesh of a sequence; where there can be none, says why in a few words and in a sentence."""
    began = time.perf_counter()
    settings = job.place.settings
    try:
        points = np.asarray(job.sequence.points(), dtype=np.float64)
    except LeftOut as error:
        return error.message, f"{error.message}."
    except DataError as error:
        return BROKEN, error.message
    try:
        vertices, faces = proxy_mesh(
            points,
            seed=settings.seed,
            most_points=settings.most_points,
            most_vertices=settings.most_vertices,
        )
    except DataError as error:
        return NO_MESH, error.message
    seconds = np.array(time.perf_counter() - began)
    save_arrays(job.place.mesh(job.name), {"vertices": vertices, "faces": faces, "seconds": seconds})
    return None


def make_pair(job: PairJob) -> str | None:
    """Writes the similarity from a sequence to a reference; where there is none, says why.

    As published the reference's vertices are sampled and moved, and the result is turned round.
    """
    began = time.perf_counter()
    try:
        a, b = (load_arrays(job.place.mesh(name))["vertices"] for name in (job.reference, job.name))
        looks = [load_appearance(job.place.features(name)) for name in (job.reference, job.name)]
        seed = [job.place.settings.seed, *(zlib.crc32(n.encode()) for n in (job.category, job.reference, job.name))]
        fit = ransac(a, b, min_avg_distance(*looks), job.place.settings, seed)
    except DataError as error:
        return error.message
    values = {**asdict(fit), "transform": np.linalg.inv(fit.transform).tolist()}
    write_json(job.place.pair(job.reference, job.name), {**values, "seconds": time.perf_counter() - began})
    return None


def load_appearance(path: Path) -> Appearance:
    """The appearances in a file."""
    found = load_arrays(path)
    return Appearance(found["values"], found["starts"], int(found["frames"]))


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays as npz, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file; Bench3DError where it is broken."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:
        # numpy raises ValueError, BadZipFile, OSError, zlib.error ... for a broken file.
        raise Bench3DError(f"The file {path} is broken ({error}).", "Remove it and run again.") from error


def is_json(path: Path) -> bool:
    """Whether a whole JSON table is there."""
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False
