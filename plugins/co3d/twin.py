"""The synthetic twin of CO3D v2: the official layout, filled by the generator.

As published: gzipped annotations with PyTorch3D cameras (`ndc_isotropic`), jpg images, png masks, depth as float16 bits
in 16-bit png, point clouds, set lists. Every sequence stands in a random similarity frame of its own. Beside the
categories lies `alignment.json`, {category: {sequence: 4x4}}, from those frames to the object's axes: exact, unless the
spec asks for noise. Point clouds hold surface points and a few of the ground, as reconstructions do.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.ply import write_ply_points
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.errors import OutputError
from bench3d.files import make_folder, output_errors, write_bytes, write_json
from bench3d.geometry.camera import to_pytorch3d
from bench3d.geometry.rotations import random_rotations, so3_exp
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.cameras import orbit
from bench3d.synth.cloud import surface_points
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.scene import PLAIN, Rendered, Scene
from bench3d.synth.seeds import instance_seed, rng_of
from bench3d_plugins.co3d.annotations import FRAMES, SEQUENCES
from bench3d_plugins.co3d.names import folder_of

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
JPEG_QUALITY = 95
SURFACE_POINTS, GROUND_POINTS = 8000, 160
PARTS = ".parts"  # per-sequence annotations, until all are there
RNG_STREAM = 31  # keeps this file's draws apart from the generator's


@dataclass(frozen=True)
class Job:
    """One sequence."""

    root: Path
    category: str
    index: int
    seed: int
    views: int
    size: int
    alignment_noise: float

    @property
    def name(self) -> str:
        """The sequence's name; three numbers, as CO3D's."""
        return f"{self.index + 1:03d}_{self.seed:05d}_{self.index:05d}"

    @property
    def folder(self) -> str:
        """CO3D's name of the category."""
        return folder_of(self.category)

    @property
    def part(self) -> Path:
        """File of this sequence's annotations while the twin is being written."""
        return self.root / PARTS / self.folder / f"{self.name}.json"

    def done(self) -> bool:
        """Whether this sequence is whole: its folder appears last, by renaming."""
        return self.part.exists() and (self.root / self.folder / self.name).is_dir()


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). A sequence that is whole is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        _remove(root / PARTS)
        return
    jobs = [
        Job(root, category, index, spec.seed, spec.views, spec.image_size, spec.alignment_noise)
        for category in spec.categories
        for index in range(spec.train_instances)
    ]
    missing = [job for job in jobs if not job.done()]
    progress.start("CO3D twin", len(jobs) * spec.views)
    try:
        progress.advance((len(jobs) - len(missing)) * spec.views)
        run_jobs(write_sequence, missing, workers, lambda: progress.advance(spec.views))
        for left in root.glob("*/.*.tmp-*"):  # every sequence stands: nobody can publish one of these any more
            _remove(left)
        try:
            _tables(root, spec, jobs)
        except FileNotFoundError:
            if not open_twin(root, spec, GENERATOR):  # else another writer has finished it and removed the parts
                raise
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()
    _remove(root / PARTS)


def _tables(root: Path, spec: TwinSpec, jobs: list[Job]) -> None:
    """Annotations and set lists of every category, and the alignment, from the parts that the sequences left."""
    alignment: dict[str, dict[str, Any]] = {}
    for category in spec.categories:
        parts = [json.loads(job.part.read_text(encoding="utf-8")) for job in jobs if job.category == category]
        _category(root / folder_of(category), parts)
        alignment[folder_of(category)] = {part["sequence"]["sequence_name"]: part["alignment"] for part in parts}
    write_json(root / "alignment.json", alignment)


def write_sequence(job: Job) -> None:
    """Draws one sequence: everything goes into a temporary folder that is renamed at the end.

    Of two processes that draw it at once the first wins; the other's is the same and dropped.
    """
    seed = instance_seed(job.category, "train", job.index, job.seed)
    instance, size = make_instance(job.category, seed), (job.size, job.size)
    rng = rng_of(seed, RNG_STREAM)
    raw_T_obj = random_similarity(rng)
    scene = Scene(instance, seed, PLAIN)
    final = job.root / job.folder / job.name
    place = final.with_name(f".{job.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with output_errors(final):
            frames = []
            for number, (cam_T_obj, intrinsics) in enumerate(orbit(job.views, seed, size, instance.vertices)):
                picture = scene.render(cam_T_obj, intrinsics, size, frame=number)
                frames.append(_write_frame(place, job, number, picture, raw_T_obj))
                frames[-1]["viewpoint"] = _viewpoint(cam_T_obj, intrinsics, size, raw_T_obj)
            points = _cloud(instance, rng) @ raw_T_obj[:3, :3].T + raw_T_obj[:3, 3]
            write_ply_points(place / "pointcloud.ply", points)
            part = {"sequence": _sequence(job, len(points)), "frames": frames}
            part["alignment"] = _alignment(raw_T_obj, job.alignment_noise, rng).tolist()
            write_json(job.part, part)
            os.replace(place, final)
    except OutputError:
        if not job.done():
            raise
    finally:
        _remove(place)


def random_similarity(rng: np.random.Generator) -> np.ndarray:
    """(4, 4) raw_T_obj: uniform rotation, scale log-uniform in 0.3 to 3, translation of a few units."""
    out = np.eye(4)
    out[:3, :3] = random_rotations(1, rng)[0] * np.exp(rng.uniform(np.log(0.3), np.log(3.0)))
    out[:3, 3] = rng.normal(0.0, 2.0, 3)
    return out


def _alignment(raw_T_obj: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """obj_T_raw, turned about the object's origin by a rotation vector of sigma `noise` degrees per axis."""
    turn = np.eye(4)
    turn[:3, :3] = so3_exp(rng.normal(0.0, 1.0, 3) * np.deg2rad(noise))
    return turn @ np.linalg.inv(raw_T_obj)


def _cloud(instance: Instance, rng: np.random.Generator) -> np.ndarray:
    """(N, 3) canonical: points of the surface, and of the ground around, which the masks do not cover."""
    surface = surface_points(instance, SURFACE_POINTS, rng)
    angle, radius = rng.uniform(0, 2 * np.pi, GROUND_POINTS), rng.uniform(2.2, 4.0, GROUND_POINTS)
    floor = np.full(GROUND_POINTS, float(instance.vertices[:, 2].min()))
    return np.concatenate([surface, np.stack([radius * np.cos(angle), radius * np.sin(angle), floor], axis=1)])


def _viewpoint(
    cam_T_obj: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], raw_T_obj: np.ndarray
) -> dict[str, Any]:
    """The camera in raw units, PyTorch3D's row vectors and isotropic NDC."""
    scale = np.cbrt(np.linalg.det(raw_T_obj[:3, :3]))
    cam_T_raw = cam_T_obj @ np.linalg.inv(raw_T_obj)
    cam_T_raw[:3] *= scale
    rotation, translation = to_pytorch3d(cam_T_raw)
    half = min(size) / 2
    principal = (np.asarray(size) / 2 - intrinsics[:2, 2]) / half
    return {
        "R": rotation.tolist(),
        "T": translation.tolist(),
        "focal_length": [intrinsics[0, 0] / half, intrinsics[1, 1] / half],
        "principal_point": principal.tolist(),
        "intrinsics_format": "ndc_isotropic",
    }


def _write_frame(place: Path, job: Job, number: int, picture: Rendered, raw_T_obj: np.ndarray) -> dict[str, Any]:
    stem, inside = f"frame{number + 1:06d}", f"{job.folder}/{job.name}"
    mask = picture.mask.astype(np.uint8) * 255
    scale = float(np.cbrt(np.linalg.det(raw_T_obj[:3, :3])))
    adjustment = 0.5 * scale
    depth = (picture.depth * (scale / adjustment)).astype(np.float16)
    files = {
        f"images/{stem}.jpg": _encode(picture.rgb, "JPEG", quality=JPEG_QUALITY),
        f"masks/{stem}.png": _encode(mask, "PNG", compress_level=1),
        f"depths/{stem}.jpg.geometric.png": _encode(depth.view(np.uint16), "PNG", compress_level=1),
        f"depth_masks/{stem}.png": _encode(mask, "PNG", compress_level=1),
    }
    for name, content in files.items():
        make_folder((place / name).parent)
        (place / name).write_bytes(content)
    image, drawn, deep, known = (f"{inside}/{name}" for name in files)
    return {
        "sequence_name": job.name,
        "frame_number": number,
        "frame_timestamp": number / 10,
        "image": {"path": image, "size": [job.size, job.size]},
        "depth": {"path": deep, "scale_adjustment": adjustment, "mask_path": known},
        "mask": {"path": drawn, "mass": float(picture.mask.sum())},
        "meta": {"frame_type": "train_known"},
    }


def _encode(values: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=form, **options)
    return buffer.getvalue()


def _sequence(job: Job, points: int) -> dict[str, Any]:
    path = f"{job.folder}/{job.name}/pointcloud.ply"
    return {
        "sequence_name": job.name,
        "category": job.folder,
        "video": None,
        "point_cloud": {"path": path, "quality_score": 1.0, "n_points": points},
        "viewpoint_quality_score": 1.0,
    }


def _category(place: Path, parts: list[dict[str, Any]]) -> None:
    """The files of a category that name all of its sequences."""
    frames = [frame for part in parts for frame in part["frames"]]
    write_bytes(place / FRAMES, _jgz(frames))
    write_bytes(place / SEQUENCES, _jgz([part["sequence"] for part in parts]))
    listed = [[frame["sequence_name"], frame["frame_number"], frame["image"]["path"]] for frame in frames]
    write_json(place / "set_lists" / "set_lists_fewview_train.json", {"train": listed, "val": [], "test": []})


def _jgz(value: Any) -> bytes:
    """Gzipped JSON without a date or a file name in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as handle:
        handle.write(json.dumps(value).encode("utf-8"))
    return buffer.getvalue()


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
