"""The synthetic twin of PF-PASCAL: the published layout and lists, filled by the generator.

As published: images, annotations, the standard test and validation lists, and the lists of 3DCorrEnhance: `same` is the
standard one, `different` has the targets permuted inside each class, with the lists of keypoints that they had in the
standard one. So its defect is reproduced: unequal numbers of keypoints, and pairs that belong together by luck only.

What differs, and why:

- Only the spec's categories, with the spec's number of pairs each. Pairs of the standard list are drawn first among
  images whose azimuths differ by less than 60 degrees, as the published ones show similar views.
- A fourth of the images is of the hard style. Every image shows an instance of its own.
- An annotation holds the azimuth in degrees beside `kps` and `bbox`. There is no training list.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.mat import mat_bytes, read_mat_arrays
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.voc import VOC_CLASSES, voc_name, voc_number
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes, write_text
from bench3d.synth import CATEGORIES, GENERATOR_VERSION
from bench3d.synth.keypoints import common_pairs, keypoint_order, mixed_photo
from bench3d.synth.seeds import instance_seed, rng_of
from bench3d_plugins.pf_pascal.lists import DIFFERENT, FOLDER, SAME, STANDARD, VAL

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
SPLITS = {"test": "plain", "val": "val"}
"""Splits of the layout and the seeds that their images are drawn from."""

LEAST_KEYPOINTS, LEAST_IMAGES = 3, 6
SIMILAR = 60.0  # degrees of azimuth
PAIR_STREAM, PERMUTATION_STREAM = 32, 33
HEADER = "source_image,target_image,class,XA,YA,XB,YB"


@dataclass(frozen=True)
class Job:
    """One image; `index` counts inside its category and split."""

    root: Path
    category: str
    split: str
    index: int
    seed: int
    size: int

    @property
    def official(self) -> str:
        """The VOC class."""
        return voc_name(self.category, VOC_CLASSES, "PF-PASCAL")

    @property
    def stem(self) -> str:
        """The image's name in the manner of PASCAL VOC: 2007 (test) or 2008 (val), class number, number."""
        return f"{2007 + list(SPLITS).index(self.split)}_{voc_number(self.official):02d}{self.index + 1:04d}"

    @property
    def image(self) -> str:
        """Path of the image below the root."""
        return f"JPEGImages/{self.stem}.jpg"

    @property
    def annotation(self) -> Path:
        """The annotation's file."""
        return self.root / "Annotations" / self.official / f"{self.stem}.mat"


@dataclass(frozen=True, eq=False)
class Pair:
    """One row of a list: two images, and the keypoints (N, 2) listed for each."""

    source: Job
    target: Job
    source_xy: np.ndarray
    target_xy: np.ndarray


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). An image that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    categories = [category for category in spec.categories if category in CATEGORIES]
    jobs = {(category, split): _jobs(root, spec, category, split) for category in categories for split in SPLITS}
    everything = [job for several in jobs.values() for job in several]
    # The annotation is written last of an image's files.
    missing = [job for job in everything if not job.annotation.exists()]
    progress.start("PF-PASCAL twin", len(everything))
    try:
        progress.advance(len(everything) - len(missing))
        run_jobs(write_image, missing, workers, progress.advance)
        # Lists follow the class numbers, as published.
        ordered = sorted(categories, key=lambda category: voc_number(voc_name(category, VOC_CLASSES, "PF-PASCAL")))
        test = [draw_pairs(jobs[category, "test"], spec.pairs) for category in ordered]
        val = [draw_pairs(jobs[category, "val"], max(1, spec.pairs // 5)) for category in ordered]
        for name in (STANDARD[0], SAME):
            write_text(root / name, table(test))
        write_text(root / DIFFERENT, table([permuted(pairs) for pairs in test]))
        write_text(root / VAL[0], table(val))
        close_twin(root, spec, GENERATOR)
    finally:
        progress.finish()


def _jobs(root: Path, spec: TwinSpec, category: str, split: str) -> list[Job]:
    count = spec.test_images if split == "test" else max(LEAST_IMAGES, spec.test_images // 5)
    return [Job(root, category, split, index, spec.seed, spec.image_size) for index in range(count)]


def write_image(job: Job) -> None:
    """Draws one image and writes it with its annotation: `kps` (K, 2), NaN where invisible, and `bbox` (1, 4)."""
    shown = mixed_photo(job.category, SPLITS[job.split], job.index, job.seed, job.size)
    nowhere = np.full(2, np.nan)
    kps = np.stack([shown.keypoints.get(name, nowhere) for name in keypoint_order(job.category)])
    write_bytes(job.root / job.image, shown.jpeg())
    values = {"kps": kps, "bbox": np.array([shown.box], dtype=np.float64), "azimuth": shown.shot.azimuth}
    write_bytes(job.annotation, mat_bytes(values))


def draw_pairs(jobs: list[Job], wanted: int) -> list[Pair]:
    """Pairs of a category and split that share keypoints, those of similar views first."""
    if not jobs:
        return []
    notes = [read_mat_arrays(job.annotation, ("kps", "azimuth")) for job in jobs]
    seen = [~np.isnan(note["kps"]).any(axis=1) for note in notes]
    rng = rng_of(instance_seed(jobs[0].category, SPLITS[jobs[0].split], 0, jobs[0].seed), PAIR_STREAM)
    visible = [{str(i) for i in np.flatnonzero(one)} for one in seen]
    suitable = common_pairs(visible, len(jobs) ** 2, LEAST_KEYPOINTS, rng)

    def is_far(pair: tuple[int, int]) -> bool:
        turn = float(abs(notes[pair[0]]["azimuth"] - notes[pair[1]]["azimuth"]).item()) % 360.0
        return min(turn, 360.0 - turn) >= SIMILAR

    chosen = sorted(suitable, key=is_far)[:wanted]
    return [
        Pair(jobs[a], jobs[b], notes[a]["kps"][seen[a] & seen[b]], notes[b]["kps"][seen[a] & seen[b]])
        for a, b in chosen
    ]


def permuted(pairs: list[Pair]) -> list[Pair]:
    """A category's pairs with the targets, and the keypoints listed for them, in a random order."""
    if not pairs:
        return []
    first = pairs[0].source
    rng = rng_of(instance_seed(first.category, SPLITS[first.split], 0, first.seed), PERMUTATION_STREAM)
    order = rng.permutation(len(pairs))
    return [
        Pair(one.source, pairs[i].target, one.source_xy, pairs[i].target_xy)
        for one, i in zip(pairs, order, strict=True)
    ]


def table(categories: list[list[Pair]]) -> str:
    """A CSV list of pairs."""
    rows = [HEADER]
    for pair in (pair for several in categories for pair in several):
        columns = [*pair.source_xy.T, *pair.target_xy.T]
        cells = [
            f"{FOLDER}/{pair.source.image}",
            f"{FOLDER}/{pair.target.image}",
            str(voc_number(pair.source.official)),
        ]
        cells += [";".join(f"{value:.12g}" for value in column) for column in columns]
        rows.append(",".join(cells))
    return "\n".join(rows) + "\n"
