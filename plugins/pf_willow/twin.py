"""The synthetic twin of PF-WILLOW: the published layout, filled by the generator.

As published: the folders of side views car(S) and motorbike(S) with ten images each, png files with a `.mat` file of
ten keypoints beside each, and the list test_pairs_pf.csv with every ordered pair of a folder. What differs, and why:

- Only the spec's categories that PF-WILLOW has, at most the spec's images and pairs; no general or mixed views.
- All images show the object's left side (azimuth 75 to 105 degrees). The ten keypoints are named parts of that side and
  points midway between two of them; all are marked in every image, as published, even where the body bulges over them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes, read_mat_arrays
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_text
from bench3d.geometry.camera import project
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.cameras import Photo, photo
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.keypoints import shoot
from bench3d.synth.seeds import Seed, instance_seed, rng_of
from bench3d_plugins.pf_willow.names import COLUMNS, FOLDER, LISTS

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
FOLDERS = {"car": "car(S)", "motorcycle": "motorbike(S)"}
IMAGES = 10
VIEWS = (75.0, 105.0)  # degrees of azimuth; 90 sees the left side
TRIES = 1000  # instances that are looked through for a side view; each has its own seed
PAIR_STREAM = 34
PARTS = {
    "car": (
        ("left_front_light",), ("left_back_trunk",), ("left_front_wheel",), ("left_back_wheel",),
        ("upper_left_windshield",), ("upper_left_rearwindow",), ("left_front_wheel", "left_back_wheel"),
        ("upper_left_windshield", "upper_left_rearwindow"), ("left_front_light", "left_front_wheel"),
        ("left_back_trunk", "left_back_wheel"),
    ),
    "motorcycle": (
        ("left_front_wheel",), ("left_back_wheel",), ("headlight_center",), ("head_center",), ("left_handle_center",),
        ("front_seat",), ("back_seat",), ("front_seat", "back_seat"), ("left_front_wheel", "left_back_wheel"),
        ("back_seat", "left_back_wheel"),
    ),
}  # fmt: skip
"""The ten keypoints: a named part, or the point midway between two."""


@dataclass(frozen=True)
class Job:
    """One image."""

    root: Path
    category: str
    index: int
    seed: int
    size: int

    @property
    def stem(self) -> str:
        """The image's path below the root, without suffix."""
        return f"{FOLDERS[self.category]}/{self.index + 1:02d}_0000"

    @property
    def annotation(self) -> Path:
        """The annotation's file."""
        return self.root / f"{self.stem}.mat"


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    count = max(2, min(IMAGES, spec.test_images))
    jobs = {
        category: [Job(root, category, index, spec.seed, spec.image_size) for index in range(count)]
        for category in spec.categories
        if category in FOLDERS
    }
    everything = [job for several in jobs.values() for job in several]
    # The annotation is written last of an image's files.
    missing = [job for job in everything if not job.annotation.exists()]
    progress.start("PF-WILLOW twin", len(everything))
    try:
        progress.advance(len(everything) - len(missing))
        run_jobs(write_image, missing, workers, progress.advance)
        rows = [",".join(["imageA", "imageB", *(name for names in COLUMNS.values() for name in names)])]
        for several in jobs.values():
            rows += table(several, spec.pairs)
        write_text(root / LISTS[0], "\n".join(rows) + "\n")
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def write_image(job: Job) -> None:
    """Draws one image and writes it with its annotation: `pts_coord` (2, 10)."""
    instance, shot, seed = side_view(job)
    shown = shoot(instance, shot, seed, job.size)
    buffer = io.BytesIO()
    Image.fromarray(shown.picture.rgb).save(buffer, format="PNG")
    write_bytes(job.root / f"{job.stem}.png", buffer.getvalue())
    points, _ = project(parts(instance), shot.pose(), shot.intrinsics())
    write_bytes(job.annotation, mat_bytes({"pts_coord": points.T}))


def side_view(job: Job) -> tuple[Instance, Photo, tuple[int, ...]]:
    """The job's instance, its camera and its seed: the first of the job's own seeds that gives a view of the left."""
    for number in range(TRIES):
        seed = instance_seed(job.category, "plain", job.index * TRIES + number, job.seed)
        instance = make_instance(job.category, seed)
        shot = photo(seed, (job.size, job.size), instance.vertices, category=job.category)
        if VIEWS[0] <= shot.azimuth <= VIEWS[1]:
            break
    return instance, shot, seed


def parts(instance: Instance) -> np.ndarray:
    """(10, 3) float64: the keypoints of an instance in the canonical frame."""
    return np.stack(
        [np.mean([instance.keypoints[name] for name in names], axis=0) for names in PARTS[instance.category]]
    ).astype(np.float64)


def table(jobs: list[Job], wanted: int) -> list[str]:
    """Rows of the list: every ordered pair of a folder, or `wanted` of them in a random draw, in order."""
    points = [read_mat_arrays(job.annotation, ("pts_coord",))["pts_coord"] for job in jobs]
    pairs = [(a, b) for a in range(len(jobs)) for b in range(len(jobs)) if a != b]
    first: Seed = instance_seed(jobs[0].category, "plain", 0, jobs[0].seed)
    kept = sorted(rng_of(first, PAIR_STREAM).permutation(len(pairs))[:wanted].tolist())
    rows = []
    for a, b in (pairs[i] for i in kept):
        cells = [f"{FOLDER}/{jobs[a].stem}.png", f"{FOLDER}/{jobs[b].stem}.png"]
        cells += [f"{value:.12g}" for side in (a, b) for value in points[side].ravel()]
        rows.append(",".join(cells))
    return rows
