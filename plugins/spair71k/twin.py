"""The synthetic twin of SPair-71k: the published layout, filled by the generator.

As published: images, segmentations, annotations of images and pairs, lists, file names. What differs, and why:

- Only the spec's categories that SPair-71k has (it has no couch). A fourth of the images is of the hard style, so that
  truncation and occlusion occur. Every image shows an instance of its own.
- Keypoints are exact projections, not whole pixels. Their ids are the places of the generator's names in alphabetical
  order; spair_keypoint_names.csv says which is which.
- `viewpoint_variation` and `scale_variation` follow our own rule (see `variation`), for the authors publish none; an
  image's `azimuth_id` counts 45 degrees from the front, and its exact `azimuth` stands beside it.
- `Layout/small` lists every tenth pair.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.voc import canonical_name, voc_number
from bench3d.data.workers import run_jobs
from bench3d.errors import UsageError
from bench3d.files import write_bytes, write_json, write_text
from bench3d.synth import CATEGORIES, GENERATOR_VERSION
from bench3d.synth.keypoints import KeypointPhoto, common_pairs, keypoint_order, mixed_photo
from bench3d.synth.seeds import instance_seed, rng_of
from bench3d_plugins.spair71k.annotation import GROUPS
from bench3d_plugins.spair71k.names import (
    NAMES_FILE,
    OFFICIAL,
    SLOTS,
    annotation_path,
    image_path,
    layout_path,
    mask_path,
    official_name,
    pair_files,
    pair_folder,
)

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
DATABASE = "bench3d-twin"
SPLITS = {"test": "plain", "val": "val", "trn": "train"}
"""Splits of the layout and the seeds that their images are drawn from."""

TRAINING_IMAGES, LEAST_IMAGES = 10, 6
LEAST_KEYPOINTS = 3
PAIR_STREAM = 31
VIEW_LIMITS = (30.0, 90.0)  # degrees of azimuth between the two views
SCALE_LIMITS = (1.2, 1.5)  # ratio of the boxes' longer sides


@dataclass(frozen=True)
class Job:
    """One image. `stem` is its name without suffix, in the manner of PASCAL VOC."""

    root: Path
    category: str
    split: str
    index: int
    seed: int
    size: int

    @property
    def stem(self) -> str:
        """2001 to 2003 by split, then the number."""
        return f"{2001 + list(SPLITS).index(self.split)}_{self.index + 1:06d}"


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    categories = [category for category in spec.categories if _is_known(category)]
    jobs = {(category, split): _jobs(root, spec, category, split) for category in categories for split in SPLITS}
    everything = [job for several in jobs.values() for job in several]
    # The annotation is written last of an image's files.
    missing = [job for job in everything if not _annotation(job).exists()]
    progress.start("SPair-71k twin", len(everything))
    try:
        progress.advance(len(everything) - len(missing))
        run_jobs(write_image, missing, workers, progress.advance)
        for split in SPLITS:
            lines: list[str] = []
            for category in categories:
                lines += _write_pairs(jobs[category, split], spec, len(lines) + 1)
            write_text(root / layout_path("large", split), "".join(f"{line}\n" for line in lines))
            write_text(root / layout_path("small", split), "".join(f"{line}\n" for line in lines[::10]))
        write_text(root / NAMES_FILE, names_table(categories))
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def _is_known(category: str) -> bool:
    try:
        return category in CATEGORIES and official_name(category) in OFFICIAL
    except UsageError:
        return False


def _jobs(root: Path, spec: TwinSpec, category: str, split: str) -> list[Job]:
    count = {"test": spec.test_images, "val": max(LEAST_IMAGES, spec.test_images // 5), "trn": TRAINING_IMAGES}[split]
    return [Job(root, category, split, index, spec.seed, spec.image_size) for index in range(count)]


def _annotation(job: Job) -> Path:
    return job.root / annotation_path(official_name(job.category), job.stem)


def write_image(job: Job) -> None:
    """Draws one image and writes image, segmentation and annotation."""
    official = official_name(job.category)
    shown = mixed_photo(job.category, SPLITS[job.split], job.index, job.seed, job.size)
    write_bytes(job.root / image_path(official, f"{job.stem}.jpg"), shown.jpeg())
    write_bytes(job.root / mask_path(official, job.stem), segmentation(shown.picture.mask, voc_number(official)))
    write_json(_annotation(job), annotate(job, shown))


def segmentation(mask: np.ndarray, number: int) -> bytes:
    """A palette png of the class number on the visible object (H, W), 0 elsewhere."""
    image = Image.fromarray(np.where(mask, number, 0).astype(np.uint8), mode="P")
    image.putpalette([channel for i in range(256) for channel in ((i * 64) % 256, (i * 112) % 256, (i * 200) % 256)])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def annotate(job: Job, shown: KeypointPhoto) -> dict[str, Any]:
    """An image's annotation with the published fields, and the exact azimuth."""
    slots: dict[str, list[float] | None] = {str(i): None for i in range(SLOTS)}
    order = keypoint_order(job.category)
    for name, at in shown.keypoints.items():
        slots[str(order.index(name))] = [round(float(value), 3) for value in at]
    return {
        "filename": f"{job.stem}.jpg",
        "src_database": DATABASE,
        "src_annotation": DATABASE,
        "src_image": DATABASE,
        "image_width": job.size,
        "image_height": job.size,
        "image_depth": 3,
        "category": official_name(job.category),
        "pose": "Unspecified",
        "truncated": int(shown.truncated),
        "occluded": int(shown.occluded),
        "difficult": 0,
        "bndbox": list(shown.box),
        "kps": slots,
        "azimuth_id": round(shown.shot.azimuth / 45.0) % 8,
        "azimuth": round(shown.shot.azimuth, 3),
    }


def _write_pairs(jobs: list[Job], spec: TwinSpec, first: int) -> list[str]:
    """Draws and writes the pairs of a category and split, numbered from `first`; returns their names."""
    if not jobs:
        return []
    root, category, split = jobs[0].root, jobs[0].category, jobs[0].split
    notes = [json.loads(_annotation(job).read_bytes()) for job in jobs]
    visible = [{key for key, at in note["kps"].items() if at is not None} for note in notes]
    wanted = spec.pairs if split == "test" else max(1, spec.pairs // 5)
    rng = rng_of(instance_seed(category, SPLITS[split], 0, spec.seed), PAIR_STREAM)
    lines = []
    for number, (a, b) in enumerate(common_pairs(visible, wanted, LEAST_KEYPOINTS, rng), start=first):
        line = f"{number:06d}-{jobs[a].stem}-{jobs[b].stem}:{official_name(category)}"
        name = pair_files(line)[0]
        write_json(root / pair_folder(split) / name, pair_record(number, name, notes[a], notes[b]))
        lines.append(line)
    return lines


def pair_record(number: int, name: str, source: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    """A pair's annotation with the published fields; the keypoints are those that both images show."""
    ids = [key for key, at in source["kps"].items() if at is not None and target["kps"][key] is not None]
    record: dict[str, Any] = {"pair_id": number, "filename": name, "category": source["category"], "kps_ids": ids}
    for side, note in (("src", source), ("trg", target)):
        record[f"{side}_imname"] = note["filename"]
        record[f"{side}_imsize"] = [note["image_width"], note["image_height"], note["image_depth"]]
        record[f"{side}_bndbox"] = note["bndbox"]
        record[f"{side}_pose"] = note["pose"]
        record[f"{side}_kps"] = [note["kps"][key] for key in ids]
    return record | dict(zip(GROUPS, variation(source, target), strict=True))


def variation(source: dict[str, Any], target: dict[str, Any]) -> tuple[int, int, int, int, int]:
    """Viewpoint and scale variation (0 small, 1 middle, 2 large), truncation, occlusion, mirror of a pair.

    Viewpoint: azimuths differ by less than 30, less than 90, or more degrees. Scale: the boxes' longer sides stand in
    a ratio below 1.2, below 1.5, or above. Truncation and occlusion: 0 none, 1 source, 2 target, 3 both.
    """
    turn = abs(source["azimuth"] - target["azimuth"]) % 360.0
    sides = [max(n["bndbox"][2] - n["bndbox"][0], n["bndbox"][3] - n["bndbox"][1]) for n in (source, target)]
    ratio = max(sides) / max(min(sides), 1)
    return (
        sum(min(turn, 360.0 - turn) >= limit for limit in VIEW_LIMITS),
        sum(ratio >= limit for limit in SCALE_LIMITS),
        source["truncated"] + 2 * target["truncated"],
        source["occluded"] + 2 * target["occluded"],
        0,
    )


def names_table(categories: list[str]) -> str:
    """The CSV file of keypoint names: one row per id, one column per category by its published name."""
    known = [canonical_name(name) for name in OFFICIAL]
    orders = [keypoint_order(category) if category in categories else () for category in known]
    rows = ["kp_id," + ",".join(OFFICIAL)]
    for slot in range(SLOTS):
        cells = [order[slot].replace("_", " ") if slot < len(order) else "" for order in orders]
        rows.append(f"{slot}," + ",".join(cells))
    return "\n".join(rows) + "\n"
