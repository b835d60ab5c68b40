"""The synthetic twin of PASCAL3D+: the release's layout, filled by the generator.

As published: annotations, images, CAD models with keypoints, image lists. What differs, and why:

- Every test image shows an instance of its own, and its CAD model is that instance's exact mesh (CAD index = instance;
  the release has about ten models per class and annotates the nearest).
- `record.database` is "bench3d-twin". The list `val` holds the split `plain`; a further list `hard` the split `hard`.
- Only classes and lists that tasks read are written: no `_pascal` subset, no train list, no VOC devkit.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes
from bench3d.data.off import write_off
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_text
from bench3d.geometry.camera import project
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.cameras import Photo, photo
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.scene import HARD, PLAIN, Rendered, render
from bench3d.synth.seeds import instance_seed
from bench3d_plugins.pascal3d.names import (
    CAD_SCALE,
    annotation_path,
    cad_path,
    image_path,
    list_name,
    list_path,
    official_class,
)

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
DATABASE = "bench3d-twin"
JPEG_QUALITY = 95
HARD_NUMBERS_FROM = 500_000
SYNSETS = {
    "bicycle": "n02834778", "bus": "n02924116", "car": "n02958343", "chair": "n03001627", "couch": "n04256520",
    "motorcycle": "n03790512", "tv": "n03211117",
}  # fmt: skip
# Keypoint states of the annotation tool that the release was made with.
VISIBLE, SELF_OCCLUDED, OCCLUDED, TRUNCATED = 1.0, 2.0, 3.0, 4.0
DEPTH_SLACK = 0.06  # canonical units a keypoint may lie behind the drawn surface and still count as visible
COARSE_STEP = 10.0  # degrees of the coarse angles


@dataclass(frozen=True)
class Job:
    """One image; `cad_index` counts over the splits of a category."""

    root: Path
    category: str
    split: str
    index: int
    cad_index: int
    seed: int
    size: int

    @property
    def name(self) -> str:
        """The image's name: synset and number, as in ImageNet."""
        return f"{SYNSETS[self.category]}_{self.index + (HARD_NUMBERS_FROM if self.split == 'hard' else 0):06d}"


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    jobs = {category: _jobs(root, spec, category) for category in spec.categories}
    everything = [job for several in jobs.values() for job in several]
    # The annotation is written last of an image's files.
    missing = [
        job for job in everything if not (root / annotation_path(official_class(job.category), job.name)).exists()
    ]
    progress.start("PASCAL3D+ twin", len(everything) + len(jobs))
    try:
        progress.advance(len(everything) - len(missing))
        pending: list[Job | list[Job]] = [*jobs.values(), *missing]
        run_jobs(_draw, pending, workers, progress.advance)
        for category, several in jobs.items():
            for split in spec.splits:
                names = [job.name + "\n" for job in several if job.split == split]
                write_text(root / list_path(official_class(category), list_name(split)), "".join(names))
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def _jobs(root: Path, spec: TwinSpec, category: str) -> list[Job]:
    pairs = [(split, index) for split in spec.splits for index in range(spec.images(split))]
    return [
        Job(root, category, split, index, number, spec.seed, spec.image_size)
        for number, (split, index) in enumerate(pairs, start=1)
    ]


def _draw(job: Job | list[Job]) -> None:
    """One image, or the CAD table of a category's images."""
    if isinstance(job, Job):
        write_image(job)
    else:
        write_cad_table(job)


def write_image(job: Job) -> None:
    """Draws one image and writes CAD model, image and annotation."""
    official = official_class(job.category)
    seed = instance_seed(job.category, job.split, job.index, job.seed)
    instance, size, hard = make_instance(job.category, seed), (job.size, job.size), job.split == "hard"
    shot = photo(seed, size, instance.vertices, hard=hard, category=job.category)
    picture = render(instance, shot.pose(), shot.intrinsics(), size, seed, HARD if hard else PLAIN)
    write_off(job.root / cad_path(official, job.cad_index), instance.vertices / CAD_SCALE, instance.faces)
    buffer = io.BytesIO()
    Image.fromarray(picture.rgb).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    write_bytes(job.root / image_path(official, job.name), buffer.getvalue())
    record = annotate(job, official, instance, shot, picture)
    write_bytes(job.root / annotation_path(official, job.name), mat_bytes({"record": record}))


def annotate(job: Job, official: str, instance: Instance, shot: Photo, picture: Rendered) -> dict[str, Any]:
    """The `record` of an annotation, in the release's nesting."""
    corners, _ = project(instance.vertices.astype(np.float64), shot.pose(), shot.intrinsics())
    truncated = bool((corners < 0).any() or (corners > job.size).any())
    hidden = 1.0 - picture.mask.sum() / max(picture.amodal.sum(), 1)
    one = {
        "class": official,
        "view": "",
        "bbox": _box(picture.mask if picture.mask.any() else picture.amodal),
        "anchors": _anchors(instance, shot, picture),
        "viewpoint": _viewpoint(shot, len(instance.keypoints)),
        "cad_index": float(job.cad_index),
        "truncated": float(truncated),
        "occluded": float(hidden > 0.02),
        "difficult": 0.0,
    }
    return {
        "filename": f"{job.name}.JPEG",
        "database": DATABASE,
        "size": {"width": float(job.size), "height": float(job.size), "depth": 3.0},
        "imgsize": np.array([[job.size, job.size, 3]], dtype=np.float64),
        "objects": one,
    }


def _box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.float64)


def _viewpoint(shot: Photo, anchors: int) -> dict[str, float]:
    return {
        "azimuth_coarse": round(shot.azimuth / COARSE_STEP) * COARSE_STEP % 360,
        "elevation_coarse": round(shot.elevation / COARSE_STEP) * COARSE_STEP,
        "azimuth": shot.azimuth,
        "elevation": shot.elevation,
        "distance": shot.distance,
        "focal": shot.focal,
        "px": shot.px,
        "py": shot.py,
        "theta": shot.theta,
        "error": 0.0,
        "interval_azimuth": COARSE_STEP,
        "interval_elevation": COARSE_STEP,
        "num_anchor": float(anchors),
        "viewport": shot.viewport,
    }


def _anchors(instance: Instance, shot: Photo, picture: Rendered) -> dict[str, Any]:
    names = list(instance.keypoints)
    points = np.array([instance.keypoints[name] for name in names], dtype=np.float64)
    pixels, depths = project(points, shot.pose(), shot.intrinsics())
    found: dict[str, Any] = {}
    for name, pixel, depth in zip(names, pixels, depths, strict=True):
        state = _state(pixel, float(depth), picture)
        found[name] = {"location": pixel[None] if state == VISIBLE else np.empty((0, 0)), "status": state}
    return found


def _state(pixel: np.ndarray, depth: float, picture: Rendered) -> float:
    height, width = picture.mask.shape
    if not (0 <= pixel[0] < width and 0 <= pixel[1] < height):
        return TRUNCATED
    column, row = int(pixel[0]), int(pixel[1])
    if picture.amodal[row, column] and not picture.mask[row, column]:
        return OCCLUDED
    drawn = picture.depth[row, column]
    return SELF_OCCLUDED if picture.mask[row, column] and depth > drawn + DEPTH_SLACK else VISIBLE


def write_cad_table(jobs: list[Job]) -> None:
    """CAD/<class>.mat of a category: vertices, one-based faces and keypoints (1x3 or empty) of every CAD model."""
    instances = [make_instance(j.category, instance_seed(j.category, j.split, j.index, j.seed)) for j in jobs]
    keypoints = list(dict.fromkeys(name for instance in instances for name in instance.keypoints))
    table = np.empty((1, len(instances)), dtype=[(name, object) for name in ("vertices", "faces", *keypoints)])
    for column, instance in enumerate(instances):
        entry = table[0, column]
        entry["vertices"] = instance.vertices / np.float32(CAD_SCALE)
        entry["faces"] = instance.faces + 1
        for name in keypoints:
            point = instance.keypoints.get(name)
            entry[name] = np.empty((0, 0)) if point is None else np.asarray(point, np.float64)[None] / CAD_SCALE
    official = official_class(jobs[0].category)
    write_bytes(jobs[0].root / "CAD" / f"{official}.mat", mat_bytes({official: table}, compress=True))
