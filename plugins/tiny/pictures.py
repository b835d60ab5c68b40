"""The images that `tiny` is pretrained on: single pictures from the generator, each of a scene of its own.

Half show an object of a twin category, half an abstract thing of random parts; surroundings, light and cameras are
drawn anew for every picture, so that no object is seen twice. Seeds have another length than those of any twin
(`bench3d.synth.seeds`), so that no instance of a twin's test or training split is among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from bench3d.contracts import Progress
from bench3d.data.workers import job_results
from bench3d.files import atomic_path, make_folder
from bench3d.synth import CATEGORIES
from bench3d.synth.cameras import photo
from bench3d.synth.instances import Instance, canonical, make_instance
from bench3d.synth.mesh import Builder
from bench3d.synth.scene import HARD, PLAIN, render
from bench3d.synth.seeds import rng_of
from bench3d.synth.surroundings import random_part

VERSION = 1
CHUNK = 256
"""Pictures of a file."""

STREAM = 77
"""First number of every seed here."""


@dataclass(frozen=True)
class PictureSpec:
    """How many pictures of what size, from which seed."""

    count: int
    size: int
    seed: int


def abstract(seed: tuple[int, ...]) -> Instance:
    """A thing of two to nine random parts, stacked and turned."""
    rng = rng_of(seed, 5)
    builder = Builder()
    for _ in range(int(rng.integers(2, 10))):
        mesh, look = random_part(rng, rng.uniform(0.3, 1.2))
        mesh = mesh.turned(int(rng.integers(3)), rng.uniform(-60, 60))
        x, y, z = rng.uniform(-0.6, 0.6, 3)
        builder.add(mesh.moved(x, y, z), builder.material(look))
    return canonical(builder, "abstract", "abstract")


def picture(spec: PictureSpec, index: int) -> np.ndarray:
    """The picture `index`, (size, size, 3) uint8; depends on the spec's size and seed and the index alone."""
    seed = (STREAM, VERSION, spec.seed, index, spec.size)
    rng = rng_of(seed, 6)
    number = int(rng.integers(2 * len(CATEGORIES)))
    own = abstract(seed) if number >= len(CATEGORIES) else make_instance(CATEGORIES[number], seed)
    view = photo((*seed, 1), (spec.size, spec.size), own.vertices, hard=bool(rng.random() < 0.25))
    style = HARD if rng.random() < 0.25 else PLAIN
    return render(own, view.pose(), view.intrinsics(), (spec.size, spec.size), (*seed, 2), style).rgb


class Pictures:
    """All pictures of a spec, in files of `CHUNK` under a folder; those that are there are kept.

    Raises:
        OutputError: no space or no permission.
    """

    def __init__(self, spec: PictureSpec, folder: Path, progress: Progress, workers: int = 1) -> None:
        self.spec = spec
        self.folder = folder / f"pictures-v{VERSION}-{spec.size}px-seed{spec.seed}"
        make_folder(self.folder)
        sizes = {chunk: min(CHUNK, spec.count - chunk * CHUNK) for chunk in range(-(-spec.count // CHUNK))}
        missing = [chunk for chunk, size in sizes.items() if not self._whole(chunk, size)]
        progress.start("pictures", spec.count)
        try:
            progress.advance(spec.count - sum(sizes[chunk] for chunk in missing))
            jobs = [(spec, chunk * CHUNK, sizes[chunk], self._path(chunk)) for chunk in missing]
            for _, drawn in job_results(_write_chunk, jobs, workers):
                progress.advance(drawn)
        finally:
            progress.finish()
        self._chunks = [open_memmap(self._path(chunk), mode="r") for chunk in sizes]

    def __len__(self) -> int:
        return self.spec.count

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Pictures (N, size, size, 3) uint8."""
        return np.stack([self._chunks[i // CHUNK][i % CHUNK] for i in indices])

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:05d}.npy"

    def _whole(self, chunk: int, count: int) -> bool:
        """Whether a file holds its pictures (a last one of a longer set holds more)."""
        try:
            found = open_memmap(self._path(chunk), mode="r")
        except (OSError, ValueError):
            return False
        wanted = (self.spec.size, self.spec.size, 3)
        return found.dtype == np.uint8 and found.shape[1:] == wanted and len(found) >= count


def _write_chunk(job: tuple[PictureSpec, int, int, Path]) -> int:
    spec, first, count, path = job
    pictures = np.stack([picture(spec, index) for index in range(first, first + count)])
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, pictures)
    return count
