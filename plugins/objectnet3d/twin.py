"""The synthetic twin of ObjectNet3D: its layout, filled by the generator.

As published: annotations, images, CAD models, image lists for all classes together. What differs, and why:

- It has the seven categories that the generator draws (bicycle, bus, car, chair, couch, motorcycle, tv); the other 13
  of the 20 have no procedural shapes. Its instances are none of the PASCAL3D+ twin's.
- Every test image shows an instance of its own, and its CAD model is that instance's exact mesh (CAD index = instance).
- Every fifth image has coarse angles only. It is drawn from just these angles, so that they are exact.
- Every fourth image of the split `plain` is two photos side by side with two annotated objects. The other one is of the
  generator's next category (whatever the twin's own are: an image depends on nothing but itself). In half of these it
  is listed first, with focal 0: the protocol passes it over.
- `record.database` is "bench3d-twin". The list `test` holds the split `plain`; a further list `hard` the split `hard`.
- The viewport is 3000 pixels (2000 in the release); subtypes, ShapeNet matches, `CAD/cads.mat` and the lists train and
  val are not written. The keypoints of CAD models stand in `CAD/<class>.mat`, as in PASCAL3D+.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes
from bench3d.data.viewpoint_folder import cad_file
from bench3d.files import write_bytes
from bench3d.synth import CATEGORIES, GENERATOR_VERSION
from bench3d.synth.cameras import Photo
from bench3d.synth.posed_images import (
    Job,
    Layout,
    annotate,
    cad_table,
    coarse,
    struct_array,
    take,
    write_cad,
    write_jpeg,
    write_posed_images,
    write_record,
)
from bench3d_plugins.objectnet3d.names import CADS, annotation_path, image_path, list_name, list_path, official_class

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
FIRST_INSTANCE = 1_000_000  # instances of a split from here on: those of other twins stay below
COARSE_EVERY, PAIR_EVERY = 5, 4
COMPANION = 41  # stream of the second photo's camera and surroundings
EMPTY = np.empty((0, 0))


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    layout = Layout("ObjectNet3D twin", GENERATOR, annotation_of, write_image, write_cad_table, lists, FIRST_INSTANCE)
    write_posed_images(layout, root, spec, progress, workers)


def annotation_of(job: Job) -> str:
    """Path of an image's annotation below the root."""
    return annotation_path(job.name)


def write_image(job: Job) -> None:
    """Draws one image and writes CAD model, image and annotation."""
    official, only_coarse = official_class(job.category), job.index % COARSE_EVERY == COARSE_EVERY - 3
    taken = take(job, hard=job.split == "hard", change=_at_coarse_angles if only_coarse else None)
    write_cad(job.root / CADS / official / cad_file(job.cad_index), taken.instance)
    objects: list[dict[str, Any]] = [annotate(taken, official, job.cad_index)]
    if only_coarse:
        objects[0]["viewpoint"].update(azimuth=EMPTY, elevation=EMPTY)
    rgb = taken.picture.rgb
    if job.split == "plain" and job.index % PAIR_EVERY == PAIR_EVERY - 1:
        rgb, objects = _beside(job, rgb, objects[0])
    write_jpeg(job.root / image_path(job.name), rgb)
    write_record(job.root / annotation_of(job), job.name, (rgb.shape[1], rgb.shape[0]), struct_array(objects))


def _at_coarse_angles(shot: Photo) -> Photo:
    return replace(shot, azimuth=coarse(shot.azimuth) % 360, elevation=coarse(shot.elevation))


def _beside(job: Job, rgb: np.ndarray, one: dict[str, Any]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The image with a second photo beside it, and the objects of both in the order of the annotation."""
    category = CATEGORIES[(CATEGORIES.index(job.category) + 1) % len(CATEGORIES)]
    other_job, official = replace(job, category=category), official_class(category)
    taken = take(other_job, seed=(*other_job.instance, COMPANION))
    write_cad(job.root / CADS / official / cad_file(job.cad_index), taken.instance)
    other = annotate(taken, official, job.cad_index)
    if job.index // PAIR_EVERY % 2 == 0:
        _move_right(other, job.size)
        return np.concatenate([rgb, taken.picture.rgb], axis=1), [one, other]
    other["viewpoint"]["focal"] = 0.0
    _move_right(one, job.size)
    return np.concatenate([taken.picture.rgb, rgb], axis=1), [other, one]


def _move_right(one: dict[str, Any], pixels: int) -> None:
    """Moves everything in an object's annotation that is in pixels."""
    one["bbox"][:, [0, 2]] += pixels
    one["viewpoint"]["px"] += pixels
    for anchor in one["anchors"].values():
        if anchor["location"].size:
            anchor["location"][:, 0] += pixels


def write_cad_table(jobs: list[Job]) -> None:
    """CAD/<class>.mat of a category."""
    official = official_class(jobs[0].category)
    write_bytes(jobs[0].root / "CAD" / f"{official}.mat", mat_bytes({official: cad_table(jobs)}, compress=True))


def lists(spec: TwinSpec, jobs: Mapping[str, list[Job]]) -> dict[str, list[str]]:
    """One list per split, the categories one after another."""
    return {
        list_path(list_name(split)): [job.name for several in jobs.values() for job in several if job.split == split]
        for split in spec.splits
    }
