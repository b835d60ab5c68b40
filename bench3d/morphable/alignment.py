"""Unsupervised alignment of the sequences of a category: each into the frame of a reference sequence.

Source: protocol page common3d.md 7.2a. Stages, each of which leaves one file per sequence (or per pair) so that a run
that was killed goes on where it stopped: proxy meshes, appearances of their vertices, similarities to the references.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import ObjectSequence, Progress
from bench3d.data.hashing import Digest
from bench3d.data.workers import job_results
from bench3d.errors import DataError
from bench3d.morphable.alignment_features import appearance
from bench3d.morphable.alignment_ransac import Fit
from bench3d.morphable.alignment_settings import AlignmentSettings
from bench3d.morphable.alignment_stages import (
    NO_APPEARANCE,
    NO_SIMILARITY,
    MeshJob,
    PairJob,
    Place,
    is_json,
    load_arrays,
    make_mesh,
    make_pair,
    save_arrays,
)

if TYPE_CHECKING:
    from bench3d.features.extract import Extractor


@dataclass(frozen=True, eq=False)
class Aligned:
    """One sequence in the frame of a reference.

    Attributes:
        transform: (4, 4) similarity from the sequence's frame to the reference's.
        fit: what the similarity was chosen by; None for the reference itself.
        vertices, features, frames: of its proxy mesh, their appearances, and the frames looked at.
        seconds: of each stage.
    """

    name: str
    transform: np.ndarray
    fit: Fit | None
    vertices: int
    features: int
    frames: int
    seconds: dict[str, float]


@dataclass
class CategoryAlignment:
    """All sequences of a category in the frame of one reference; `skipped`: sequence -> (short reason, sentence)."""

    category: str
    reference: str
    aligned: list[Aligned]
    skipped: dict[str, tuple[str, str]] = field(default_factory=dict)


class Alignment:
    """Aligns one category. Made once; `to` may be called for several references.

    Args:
        sequences: each in its own frame.
        make_extractor: gives the extractor of the features; called only where features are missing.
        folder: for the files between; its name must depend on the backbone and on what decides meshes and features.
    """

    def __init__(
        self,
        category: str,
        sequences: Sequence[ObjectSequence],
        make_extractor: Callable[[], Extractor],
        folder: Path,
        settings: AlignmentSettings,
        progress: Progress,
        workers: int = 1,
    ) -> None:
        self.category = category
        self.place = Place(folder, settings)
        self.skipped: dict[str, tuple[str, str]] = {}
        self._progress, self._workers = progress, workers
        self._make_extractor = make_extractor
        self._sequences = {s.name: s for s in sequences}
        self._files = {s.name: f"{s.name}-{_digest(s)}" for s in sequences}

    @cached_property
    def ready(self) -> dict[str, ObjectSequence]:
        """Sequences with mesh and appearances; making them is most of the work. The others are in `skipped`."""
        self._make_meshes()
        self._make_features()
        return {name: s for name, s in self._sequences.items() if name not in self.skipped}

    def mesh(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) in the sequence's frame, and faces (F, 3)."""
        found = load_arrays(self.place.mesh(self._files[name]))
        return found["vertices"], found["faces"]

    def best_covered(self) -> str:
        """The sequence seen from most sides; the first one of equals.

        Raises:
            DataError: no sequence is usable.
        """
        if not self.ready:
            raise DataError(f"No sequence of {self.category} can be aligned.", _why(self.skipped))
        shares = {name: view_coverage(s, self.mesh(name)[0]) for name, s in self.ready.items()}
        return max(shares, key=lambda name: shares[name])

    def to(self, reference: str) -> CategoryAlignment:
        """Every sequence in the frame of `reference`.

        Raises:
            DataError: the reference itself cannot be used.
        """
        if reference not in self.ready:
            reason = self.skipped.get(reference, ("", "it is not among the sequences"))[1]
            raise DataError(f"The reference {reference} of {self.category} cannot be used: {reason}", "Choose another.")
        skipped = dict(self.skipped)
        jobs = [
            PairJob(self.place, self._files[name], self._files[reference], self.category)
            for name in self.ready
            if name != reference
        ]
        names = {job.name: name for name, job in zip((n for n in self.ready if n != reference), jobs, strict=True)}
        missing = [job for job in jobs if not is_json(self.place.pair(job.reference, job.name))]
        self._progress.start(f"{self.category}: similarities", len(jobs))
        self._progress.advance(len(jobs) - len(missing))
        for job, problem in job_results(make_pair, missing, self._workers):
            if problem is not None:
                skipped[names[job.name]] = (NO_SIMILARITY, problem)
            self._progress.advance()
        self._progress.finish()
        aligned = [self._aligned(reference, name) for name in self.ready if name not in skipped]
        return CategoryAlignment(self.category, reference, aligned, skipped)

    def _aligned(self, reference: str, name: str) -> Aligned:
        mesh, features = (load_arrays(path(self._files[name])) for path in (self.place.mesh, self.place.features))
        seconds = {"mesh": float(mesh["seconds"]), "features": float(features["seconds"])}
        transform, fit = np.eye(4), None
        if name != reference:
            found = json.loads(self.place.pair(self._files[reference], self._files[name]).read_text(encoding="utf-8"))
            seconds["similarity"] = found.pop("seconds")
            fit = Fit(**{**found, "transform": np.array(found["transform"])})
            transform = fit.transform
        counts = len(mesh["vertices"]), len(features["values"]), int(features["frames"])
        return Aligned(name, transform, fit, *counts, seconds)

    def _make_meshes(self) -> None:
        jobs = [MeshJob(self.place, self._files[name], s) for name, s in self._sequences.items()]
        missing = [job for job in jobs if not self.place.mesh(job.name).exists()]
        self._progress.start(f"{self.category}: proxy meshes", len(jobs))
        self._progress.advance(len(jobs) - len(missing))
        for job, problem in job_results(make_mesh, missing, self._workers):
            if problem is not None:
                self.skipped[job.sequence.name] = problem
            self._progress.advance()
        self._progress.finish()

    def _make_features(self) -> None:
        from bench3d.plugins import renderer_for

        wanted = [name for name in self._sequences if name not in self.skipped]
        missing = [name for name in wanted if not self.place.features(self._files[name]).exists()]
        if not missing:
            return
        extractor, renderer = self._make_extractor(), renderer_for("cpu")
        self._progress.start(f"{self.category}: features", len(wanted))
        self._progress.advance(len(wanted) - len(missing))
        for name in missing:
            began = time.perf_counter()
            try:
                found = appearance(self._sequences[name], self.mesh(name), extractor, renderer, self.place.settings)
                seconds = time.perf_counter() - began
                arrays = {"values": found.values, "starts": found.starts, "frames": np.array(found.frames)}
                save_arrays(self.place.features(self._files[name]), {**arrays, "seconds": np.array(seconds)})
            except DataError as error:
                self.skipped[name] = (NO_APPEARANCE, error.message)
            self._progress.advance()
        self._progress.finish()


def view_coverage(sequence: ObjectSequence, vertices: np.ndarray) -> float:
    """Share of 100 directions, evenly spread over the sphere, that have a camera within 25 degrees of them."""
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    centres = np.stack([-f.cam_T_obj[:3, :3].T @ f.cam_T_obj[:3, 3] for f in sequence.frames]) - middle
    views = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    height = 1 - 2 * (np.arange(100) + 0.5) / 100
    turn = np.arange(100) * np.pi * (3 - 5**0.5)
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
    return float(((sphere @ views.T).max(axis=1) > np.cos(np.deg2rad(25))).mean())


def counted(skipped: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many sequences were left out, by short reason."""
    counts: dict[str, int] = {}
    for reason, _ in skipped:
        counts[reason] = counts.get(reason, 0) + 1
    return counts


def _why(skipped: dict[str, tuple[str, str]]) -> str:
    return "; ".join(f"{n} with {reason}" for reason, n in counted(skipped.values()).items()) or "There is none."


def _digest(sequence: ObjectSequence) -> str:
    """Eight digits of what a sequence is: its frames' files and cameras, as far as no image is decoded."""
    digest = Digest()
    for frame in sequence.frames:
        digest.add(frame.image.name, frame.cam_T_obj.tobytes() + np.asarray(frame.intrinsics).tobytes())
        digest.add(frame.mask.name, repr(frame.size).encode())
    return digest.hexdigest()[:8]
