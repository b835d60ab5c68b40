"""The synthetic twin of PASCAL3D+: the release's layout, filled by the generator.

As published: annotations, images, CAD models with keypoints, image lists. What differs, and why:

- Every test image shows an instance of its own, and its CAD model is that instance's exact mesh (CAD index = instance;
  the release has about ten models per class and annotates the nearest).
- `record.database` is "bench3d-twin". The list `val` holds the split `plain`; a further list `hard` the split `hard`.
- Only classes and lists that tasks read are written: no `_pascal` subset, no train list, no VOC devkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes
from bench3d.data.viewpoint_folder import cad_file
from bench3d.files import write_bytes
from bench3d.synth import GENERATOR_VERSION
from bench3d.synth.posed_images import (
    Job,
    Layout,
    annotate,
    cad_table,
    take,
    write_cad,
    write_jpeg,
    write_posed_images,
    write_record,
)
from bench3d_plugins.pascal3d.names import CADS, annotation_path, image_path, list_name, list_path, official_class

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    layout = Layout("PASCAL3D+ twin", GENERATOR, annotation_of, write_image, write_cad_table, lists)
    write_posed_images(layout, root, spec, progress, workers)


def annotation_of(job: Job) -> str:
    """Path of an image's annotation below the root."""
    return annotation_path(official_class(job.category), job.name)


def write_image(job: Job) -> None:
    """Draws one image and writes CAD model, image and annotation."""
    official, root = official_class(job.category), job.root
    taken = take(job, hard=job.split == "hard")
    write_cad(root / CADS / official / cad_file(job.cad_index), taken.instance)
    write_jpeg(root / image_path(official, job.name), taken.picture.rgb)
    one = annotate(taken, official, job.cad_index)
    write_record(root / annotation_of(job), job.name, (job.size, job.size), one)


def write_cad_table(jobs: list[Job]) -> None:
    """CAD/<class>.mat of a category."""
    official = official_class(jobs[0].category)
    content = mat_bytes({official: cad_table(jobs)}, compress=True)
    write_bytes(jobs[0].root / CADS / f"{official}.mat", content)


def lists(spec: TwinSpec, jobs: Mapping[str, list[Job]]) -> dict[str, list[str]]:
    """A list per class and split."""
    return {
        list_path(official_class(category), list_name(split)): [job.name for job in several if job.split == split]
        for category, several in jobs.items()
        for split in spec.splits
    }
