"""The synthetic twin of Objaverse renderings: objects of the generator at the 42 published poses.

As published: files, camera, poses, units (the longest side of an object's bounding box is 1, the depth files count
thousandths), the object alone on black. What differs: objects are of known categories and are called "car-0000";
light comes from one lamp and from all around instead of three lamps, and no paint is quite black;
background depth is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_text
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.instances import make_instance
from bench3d.synth.seeds import instance_seed
from bench3d.synth.studio import Studio
from bench3d_plugins.objaverse.layout import PARTS, TRAINING_LIST, file_name, view_files
from bench3d_plugins.objaverse.poses import SIZE, intrinsics, published_poses

GENERATOR = f"{GENERATOR_VERSION}.2"  # the second number is raised when this file writes other bytes
FIRST_INDEX = 100_000  # instances of a split from here on: those of other twins stay below
CANONICAL = 2.0  # canonical units (longest half side 1) of one object unit (longest side 1)


@dataclass(frozen=True)
class Job:
    """One object."""

    root: Path
    category: str
    index: int
    seed: int
    size: int
    training: bool = False

    @property
    def name(self) -> str:
        """The object's folder."""
        return f"{self.category}-{'t' if self.training else ''}{self.index:04d}"


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An object that is whole is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    size = SIZE if spec.image_size >= 256 else 2 * spec.image_size
    jobs = [
        Job(root, category, index, spec.seed, size, training)
        for category in spec.categories
        for training, count in ((False, spec.objects), (True, spec.train_objects))
        for index in range(count)
    ]
    missing = [job for job in jobs if not _whole(job)]
    progress.start("Objaverse renderings twin", len(jobs))
    try:
        progress.advance(len(jobs) - len(missing))
        write_text(root / TRAINING_LIST, "".join(f"{job.name}\n" for job in jobs if job.training))
        run_jobs(write_object, missing, workers, progress.advance)
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def write_object(job: Job) -> None:
    """Draws one object from all poses and writes its files."""
    split = "train" if job.training else "plain"
    seed = instance_seed(job.category, split, FIRST_INDEX + job.index, job.seed)
    studio = Studio(make_instance(job.category, seed), seed)
    for view, pose in enumerate(published_poses()):
        pose[:3, 3] *= CANONICAL
        picture = studio.render(pose, intrinsics(job.size), (job.size, job.size))
        depth = np.round(picture.depth * (1000.0 / CANONICAL)).astype(np.uint16)
        files = {"color": picture.rgb[..., ::-1], "depth": depth, "mask": picture.mask.astype(np.uint8) * 255}
        for part in PARTS:
            write_bytes(job.root / job.name / file_name(part, view), cv2.imencode(".png", files[part])[1].tobytes())


def _whole(job: Job) -> bool:
    folder = job.root / job.name
    found = view_files(folder) if folder.is_dir() else {}
    return len(found) == len(published_poses()) and all(parts == set(PARTS) for parts in found.values())
