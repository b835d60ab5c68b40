"""The synthetic twin of OnePose-LowTexture: hand-held turns around objects of the generator, in the published layout.

As published: files and names, 512x512 crops around the object (at the spec's image size), poses object-to-camera in
metres, pixel centres at whole numbers in cameras and keypoints, two sequences in different surroundings, annotations of
every fifth reference frame, points as structure from motion leaves them: a share of what a view sees, slightly off.

What differs: frames of the reference sequence that have no annotation, the videos (Frames.m4v), intrinsics.txt,
reproj_box and the descriptors in the SfM outputs are not written; `descriptors3d` is a single zero per point. The 3D
points lie exactly on the surface. The queries are fewer (see `counts`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_json, write_text
from bench3d.geometry.camera import project, viewpoint_pose
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.cloud import surface_points
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.scene import Scene, Style
from bench3d.synth.seeds import Seed, instance_seed, rng_of
from bench3d_plugins.onepose.annotation import CENTRE
from bench3d_plugins.onepose.layout import (
    ANNOTATIONS,
    COLOR,
    CORNERS,
    INTRINSICS,
    OBJECTS,
    POINTS,
    POSES,
    REFERENCE,
    SFM,
    TEST,
)

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
FIRST_INDEX = 400_000  # instances from here on: those of other twins stay below
FIRST_ID = 700
EVERY = 5  # reference frames per annotation
LONGEST = (0.10, 0.25)  # metres of an object's longest side
MARGIN = 1.15  # side of a crop in sides of the object's box in the image
SHARE = 0.6  # of the visible points that an image's annotation holds
NOISE = 0.3  # sigma in pixels of where it saw them
TOLERANCE = 0.02  # canonical units by which a visible point's depth may differ from the depth map
CORNER_SIGNS = tuple((x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1))
STYLE = Style(clutter=0.6)
MOST_QUERIES, MOST_REFERENCES = 200, 60


@dataclass(frozen=True)
class Job:
    """One object."""

    root: Path
    category: str
    index: int
    number: int
    seed: int
    size: int
    views: int

    @property
    def name(self) -> str:
        """Of its folder: id, name without a hyphen, category."""
        return f"{FIRST_ID + self.number:04d}-{self.category}{self.index}-{self.category}"

    @property
    def short(self) -> str:
        """Of its sequences."""
        return f"{self.category}{self.index}"


def counts(views: int) -> tuple[int, int]:
    """Annotated reference frames and test frames of an object."""
    return min(4 * views, MOST_REFERENCES), min(20 * views, MOST_QUERIES)


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An object that is whole is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    size = 512 if spec.image_size >= 256 else 2 * spec.image_size
    pairs = [(category, index) for category in spec.categories for index in range(spec.objects)]
    jobs = [
        Job(root, category, index, number, spec.seed, size, spec.views)
        for number, (category, index) in enumerate(pairs)
    ]
    # The corners are written last of an object's files.
    missing = [job for job in jobs if not (root / OBJECTS / job.name / CORNERS).is_file()]
    progress.start("OnePose-LowTexture twin", len(jobs))
    try:
        progress.advance(len(jobs) - len(missing))
        run_jobs(write_object, missing, workers, progress.advance)
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def write_object(job: Job) -> None:
    """Draws both sequences of one object and writes their files."""
    seed = instance_seed(job.category, "plain", FIRST_INDEX + job.index, job.seed)
    instance = make_instance(job.category, seed)
    rng = rng_of(seed, 41)
    scale = float(rng.uniform(*LONGEST)) / float(np.ptp(instance.vertices, axis=0).max())
    references, queries = counts(job.views)
    count = 15_000 if job.size >= 512 else 1_500
    points = surface_points(instance, count, rng).astype(np.float64)
    frames = [EVERY * i for i in range(references)]
    folder = job.root / OBJECTS / job.name
    _reference(job, folder / f"{job.short}-{REFERENCE}", Scene(instance, (*seed, 1), STYLE), frames, points, scale)
    _test(job, folder / f"{job.short}-{TEST}", Scene(instance, (*seed, 2), STYLE), queries, scale)
    _write_points(job.root / SFM / job.name / POINTS, points * scale)
    corners = np.array(CORNER_SIGNS) * np.ptp(instance.vertices, axis=0) / 2 * scale
    write_text(folder / CORNERS, _rows(corners))


def turn(instance: Instance, count: int, seed: Seed, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cameras of a hand-held turn around an object, each with the intrinsics of the square crop around it.

    Azimuth runs once around with jitter, elevation swings between about 10 and 55 degrees; canonical units.
    """
    rng = rng_of(seed, 42)
    step = 360.0 / count * float(rng.choice([-1, 1]))
    azimuths = rng.uniform(0, 360) + step * (np.arange(count) + rng.uniform(-0.3, 0.3, count))
    phase, base, swing = rng.uniform(0, 2 * np.pi), rng.uniform(26, 36), rng.uniform(12, 20)
    elevations = base + swing * np.sin(phase + 4 * np.pi * np.arange(count) / count) + rng.normal(0, 1.5, count)
    thetas = np.clip(rng.normal(0, 5, count), -15, 15)
    distances = rng.uniform(4.0, 5.5) * (1 + rng.normal(0, 0.03, count))
    out = []
    for view in zip(azimuths, elevations, thetas, distances, strict=True):
        pose = viewpoint_pose(*view)
        flat, _ = project(instance.vertices, pose, np.eye(3))
        low, high = flat.min(0), flat.max(0)
        focal = size / (MARGIN * float((high - low).max()))
        centre = size / 2 - focal * (low + high) / 2
        out.append((pose, np.array([[focal, 0.0, centre[0]], [0.0, focal, centre[1]], [0.0, 0.0, 1.0]])))
    return out


def _reference(job: Job, folder: Path, scene: Scene, frames: list[int], points: np.ndarray, scale: float) -> None:
    own: Seed = (*instance_seed(job.category, "plain", FIRST_INDEX + job.index, job.seed), REFERENCE)
    for frame, (pose, camera) in zip(frames, turn(scene.instance, len(frames), own, job.size), strict=True):
        depth = _write_frame(folder, frame, scene, pose, camera, job.size, scale)
        rng = rng_of(own, 43, frame)
        xy, z = project(points, pose, camera)
        inside = (z > 0) & (xy >= 0).all(axis=1) & (xy < job.size).all(axis=1)
        column, row = np.floor(np.where(inside[:, None], xy, 0.0)).astype(np.int64).T
        seen = np.flatnonzero(inside & (np.abs(depth[row, column] - z) < TOLERANCE))
        seen = seen[rng.random(len(seen)) < SHARE]
        keypoints = xy[seen] + rng.normal(0.0, NOISE, (len(seen), 2)) - CENTRE
        annotation: dict[str, Any] = {
            "keypoints2d": [[round(float(v), 3) for v in point] for point in keypoints],
            "assign_matrix": [list(range(len(seen))), [int(i) for i in seen]],
        }
        write_json(folder / ANNOTATIONS / f"{frame}.json", annotation)


def _test(job: Job, folder: Path, scene: Scene, count: int, scale: float) -> None:
    own: Seed = (*instance_seed(job.category, "plain", FIRST_INDEX + job.index, job.seed), TEST)
    for frame, (pose, camera) in enumerate(turn(scene.instance, count, own, job.size)):
        _write_frame(folder, frame, scene, pose, camera, job.size, scale)


def _write_frame(
    folder: Path, frame: int, scene: Scene, pose: np.ndarray, camera: np.ndarray, size: int, scale: float
) -> np.ndarray:
    """Writes image, camera and pose; gives the depth map in canonical units."""
    picture = scene.render(pose, camera, (size, size), frame)
    write_bytes(folder / COLOR / f"{frame}.png", cv2.imencode(".png", picture.rgb[..., ::-1])[1].tobytes())
    file_camera = camera.copy()
    file_camera[:2, 2] -= CENTRE
    write_text(folder / INTRINSICS / f"{frame}.txt", _rows(file_camera))
    metric = pose.copy()
    metric[:3, 3] *= scale
    write_text(folder / POSES / f"{frame}.txt", _rows(metric))
    return picture.depth


def _write_points(path: Path, points: np.ndarray) -> None:
    """The npz; numpy dates its members 1980, so that the bytes depend on nothing else."""
    buffer = io.BytesIO()
    empty = np.zeros((1, len(points)), dtype=np.float32)
    np.savez(buffer, keypoints3d=points, descriptors3d=empty, scores3d=np.ones((len(points), 1), dtype=np.float32))
    write_bytes(path, buffer.getvalue())


def _rows(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:.12g}" for value in row) for row in matrix) + "\n"
