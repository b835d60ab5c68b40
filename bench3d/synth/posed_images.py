"""Synthetic twins of posed single images (PASCAL3D+, ObjectNet3D): photos, their annotations, CAD models, the writing.

What the two layouts have in common: one image shows one instance, whose exact mesh is its CAD model (CAD index =
instance; the releases have a few models per class and annotate the nearest), and a MATLAB record in the releases'
nesting says what is seen. Paths, lists and what else stands in an image are the data sets' own (`Layout`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes
from bench3d.data.off import write_off
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.viewpoint import CAD_SCALE
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_text
from bench3d.geometry.camera import project
from bench3d.synth.cameras import Photo, photo
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.scene import HARD, PLAIN, Rendered, render
from bench3d.synth.seeds import Seed, instance_seed

DATABASE = "bench3d-twin"
JPEG_QUALITY = 95
HARD_NUMBERS_FROM = 500_000
SYNSETS = {
    "bicycle": "n02834778", "bus": "n02924116", "car": "n02958343", "chair": "n03001627", "couch": "n04256520",
    "motorcycle": "n03790512", "tv": "n03211117",
}  # fmt: skip
# Keypoint states of the annotation tool that the releases were made with.
VISIBLE, SELF_OCCLUDED, OCCLUDED, TRUNCATED = 1.0, 2.0, 3.0, 4.0
DEPTH_SLACK = 0.06  # canonical units a keypoint may lie behind the drawn surface and still count as visible
COARSE_STEP = 10.0  # degrees of the coarse angles


@dataclass(frozen=True)
class Job:
    """One image; `cad_index` counts over the splits of a category.

    `first` is where the data set counts its instances from: twins that shall share no instance have ranges of their
    own.
    """

    root: Path
    category: str
    split: str
    index: int
    cad_index: int
    seed: int
    size: int
    first: int = 0

    @property
    def name(self) -> str:
        """The image's name: synset and number, as in ImageNet."""
        return f"{SYNSETS[self.category]}_{self.index + (HARD_NUMBERS_FROM if self.split == 'hard' else 0):06d}"

    @property
    def instance(self) -> tuple[int, int, int, int]:
        """Seed of the instance, and of everything in the image."""
        return instance_seed(self.category, self.split, self.first + self.index, self.seed)


@dataclass(frozen=True)
class Layout:
    """Where a data set's twin stands and how its files are made. The functions are of a module: workers import them.

    Attributes:
        title: shown beside the progress bar. generator: version of what is written.
        first: see `Job.first`.
        annotation: path of an image's annotation below the root.
        write_image: draws an image and writes its files, the annotation last.
        write_cads: writes a category's table of CAD models.
        lists: of a spec and its jobs by category: paths of the image lists below the root, and the names in each.
    """

    title: str
    generator: str
    annotation: Callable[[Job], str]
    write_image: Callable[[Job], None]
    write_cads: Callable[[list[Job]], None]
    lists: Callable[[TwinSpec, Mapping[str, list[Job]]], Mapping[str, list[str]]]
    first: int = 0


def write_posed_images(layout: Layout, root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes a twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, layout.generator):
        return
    jobs = {category: jobs_of(root, spec, category, layout.first) for category in spec.categories}
    everything = [job for several in jobs.values() for job in several]
    missing = [job for job in everything if not (root / layout.annotation(job)).exists()]
    progress.start(layout.title, len(everything) + len(jobs))
    try:
        progress.advance(len(everything) - len(missing))
        pending: list[Job | list[Job]] = [*jobs.values(), *missing]
        run_jobs(partial(_draw, layout), pending, workers, progress.advance)
        for path, names in layout.lists(spec, jobs).items():
            write_text(root / path, "".join(name + "\n" for name in names))
        close_twin(root, spec, layout.generator)
    finally:
        progress.finish()


def jobs_of(root: Path, spec: TwinSpec, category: str, first: int) -> list[Job]:
    """The images of a category, split after split."""
    pairs = [(split, index) for split in spec.splits for index in range(spec.images(split))]
    return [
        Job(root, category, split, index, number, spec.seed, spec.image_size, first)
        for number, (split, index) in enumerate(pairs, start=1)
    ]


def _draw(layout: Layout, job: Job | list[Job]) -> None:
    """One image, or the CAD table of a category's images."""
    if isinstance(job, Job):
        layout.write_image(job)
    else:
        layout.write_cads(job)


@dataclass(frozen=True, eq=False)
class Taken:
    """A photo that was taken of an instance: `shot` is its camera, `size` the side in pixels."""

    instance: Instance
    shot: Photo
    picture: Rendered
    size: int


def take(
    job: Job, seed: Seed | None = None, hard: bool = False, change: Callable[[Photo], Photo] | None = None
) -> Taken:
    """Draws a photo of a job's instance.

    Args:
        job: says which instance, and the photo's size.
        seed: of camera, surroundings and image faults; None for the instance's own.
        hard: the style of the split `hard`.
        change: alters the camera before the photo is taken.
    """
    seed = job.instance if seed is None else seed
    instance, size = make_instance(job.category, job.instance), (job.size, job.size)
    shot = photo(seed, size, instance.vertices, hard=hard, category=job.category)
    shot = shot if change is None else change(shot)
    picture = render(instance, shot.pose(), shot.intrinsics(), size, seed, HARD if hard else PLAIN)
    return Taken(instance, shot, picture, job.size)


def write_cad(path: Path, instance: Instance) -> None:
    """Writes an instance as a CAD model."""
    write_off(path, instance.vertices / CAD_SCALE, instance.faces)


def write_jpeg(path: Path, rgb: np.ndarray) -> None:
    """Writes (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    write_bytes(path, buffer.getvalue())


def write_record(path: Path, name: str, size: tuple[int, int], objects: object) -> None:
    """Writes an annotation: the struct `record` of an image of `size` (W, H) with one or several objects."""
    record = {
        "filename": f"{name}.JPEG",
        "database": DATABASE,
        "size": {"width": float(size[0]), "height": float(size[1]), "depth": 3.0},
        "imgsize": np.array([[*size, 3]], dtype=np.float64),
        "objects": objects,
    }
    write_bytes(path, mat_bytes({"record": record}))


def struct_array(several: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """A 1xN MATLAB struct array of structs with the same fields."""
    names = list(several[0])
    array = np.empty((1, len(several)), dtype=[(name, object) for name in names])
    for column, one in enumerate(several):
        for name in names:
            array[0, column][name] = one[name]
    return array


def annotate(taken: Taken, official: str, cad_index: int) -> dict[str, Any]:
    """One of a record's `objects`, in the releases' nesting."""
    shot, picture = taken.shot, taken.picture
    corners, _ = project(taken.instance.vertices.astype(np.float64), shot.pose(), shot.intrinsics())
    truncated = bool((corners < 0).any() or (corners > taken.size).any())
    hidden = 1.0 - picture.mask.sum() / max(picture.amodal.sum(), 1)
    return {
        "class": official,
        "view": "",
        "bbox": _box(picture.mask if picture.mask.any() else picture.amodal),
        "anchors": _anchors(taken.instance, shot, picture),
        "viewpoint": _viewpoint(shot, len(taken.instance.keypoints)),
        "cad_index": float(cad_index),
        "truncated": float(truncated),
        "occluded": float(hidden > 0.02),
        "difficult": 0.0,
    }


def coarse(angle: float) -> float:
    """An angle in degrees at the coarse angles' step."""
    return round(angle / COARSE_STEP) * COARSE_STEP


def _box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], dtype=np.float64)


def _viewpoint(shot: Photo, anchors: int) -> dict[str, Any]:
    return {
        "azimuth_coarse": coarse(shot.azimuth) % 360,
        "elevation_coarse": coarse(shot.elevation),
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


def cad_table(jobs: list[Job]) -> np.ndarray:
    """The struct array of a category's CAD models: vertices, one-based faces and keypoints (1x3 or empty) of each."""
    instances = [make_instance(job.category, job.instance) for job in jobs]
    keypoints = list(dict.fromkeys(name for instance in instances for name in instance.keypoints))
    table = np.empty((1, len(instances)), dtype=[(name, object) for name in ("vertices", "faces", *keypoints)])
    for column, instance in enumerate(instances):
        entry = table[0, column]
        entry["vertices"] = instance.vertices / np.float32(CAD_SCALE)
        entry["faces"] = instance.faces + 1
        for name in keypoints:
            point = instance.keypoints.get(name)
            entry[name] = np.empty((0, 0)) if point is None else np.asarray(point, np.float64)[None] / CAD_SCALE
    return table
