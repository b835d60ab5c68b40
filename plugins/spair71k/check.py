"""`bench3d data check` for SPair-71k: every missing or broken file and field, without stopping at the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench3d.contracts import Problem
from bench3d.data.images import image_size, load_rgb
from bench3d.errors import Bench3DError
from bench3d_plugins.spair71k.annotation import ImageAnnotation, PairAnnotation
from bench3d_plugins.spair71k.names import OFFICIAL, SPLITS, image_path, layout_path, mask_path, official_name

if TYPE_CHECKING:
    from bench3d_plugins.spair71k.dataset import SPair71k

SLACK = 1.0  # pixels that a pair's keypoint may differ from its image's


def check(dataset: SPair71k, categories: Sequence[str] | None) -> Iterator[Problem]:
    """See `SPair71k.check`. None checks every category that the test list names."""
    if not dataset.root.is_dir():
        yield Problem(str(dataset.root), "The folder is missing.", hint="Put the data set there, or link to it.")
        return
    chosen = list(categories) if categories is not None else _present(dataset)
    if not chosen:
        path = dataset.root / layout_path(dataset.settings.layout, "test")
        yield Problem(str(path), "There is no list of test pairs.", hint="Complete the data set.")
    for category in chosen:
        official = official_name(category)
        try:
            dataset.keypoint_names(category)
        except Bench3DError as error:
            yield _problem(dataset.root, error)
        images: dict[str, ImageAnnotation | None] = {}
        for split in dict.fromkeys(SPLITS.values()):
            path = dataset.root / layout_path(dataset.settings.layout, split)
            if split != "test" and not path.exists():
                hint = "Tasks do not need it." if split == "trn" else "Needed only to choose settings."
                yield Problem(str(path), "The list is missing.", hint=hint, severity="warning")
                continue
            try:
                lines = dataset.lines(official, split)
            except Bench3DError as error:
                yield _problem(path, error)
                continue
            for line in lines:
                yield from _pair(dataset, official, line, split, images)


def _present(dataset: SPair71k) -> list[str]:
    found = []
    for official in OFFICIAL:
        try:
            dataset.lines(official, "test")
        except Bench3DError:
            continue
        found.append(official)
    return found


def _pair(
    dataset: SPair71k, official: str, line: str, split: str, images: dict[str, ImageAnnotation | None]
) -> Iterator[Problem]:
    try:
        path = dataset.pair_path(line, split)
        found = dataset.pair_annotation(line, split)
    except Bench3DError as error:
        yield _problem(dataset.root / "PairAnnotation" / split, error)
        return
    for name in (found.source, found.target):
        if name not in images:
            images[name] = None
            yield from _image(dataset, official, name, images)
    yield from _agreement(str(path), found, images)


def _image(dataset: SPair71k, official: str, name: str, images: dict[str, ImageAnnotation | None]) -> Iterator[Problem]:
    stem = Path(name).stem
    size: tuple[int, int] | None = None
    path = dataset.root / image_path(official, name)
    try:
        pixels = load_rgb(path)
        size = (pixels.shape[1], pixels.shape[0])
    except Bench3DError as error:
        yield _problem(path, error)
    try:
        found = dataset.image_annotation(official, stem)
    except Bench3DError as error:
        yield _problem(dataset.root / "ImageAnnotation" / official / f"{stem}.json", error)
        return
    images[name] = found
    file = str(dataset.root / "ImageAnnotation" / official / f"{stem}.json")
    if size and found.size != size:
        message = f"The annotation says {found.size}, the image has {size} pixels."
        yield Problem(file, message, field="image_width", hint="Use the images as published, not resized.")
    mask = dataset.root / mask_path(official, stem)
    try:
        if size and image_size(mask) != size:
            yield Problem(str(mask), f"It has {image_size(mask)} pixels, the image {size}.", severity="warning")
    except Bench3DError as error:
        yield Problem(str(mask), error.message, hint="Tasks that need no segmentation run.", severity="warning")


def _agreement(file: str, pair: PairAnnotation, images: dict[str, ImageAnnotation | None]) -> Iterator[Problem]:
    """The keypoints, sizes and boxes of a pair are those of its images."""
    sides = (
        ("src", pair.source, pair.source_size, pair.source_box, pair.source_xy),
        ("trg", pair.target, pair.target_size, pair.target_box, pair.target_xy),
    )
    for side, name, size, box, points in sides:
        image = images[name]
        if image is None:
            continue
        if size != image.size:
            yield Problem(file, f"It says {size}, the image's annotation {image.size}.", field=f"{side}_imsize")
        if np.abs(box - image.box).max() > SLACK:
            message = f"It is {box.tolist()}, in the image's annotation {image.box.tolist()}."
            yield Problem(file, message, field=f"{side}_bndbox", severity="warning")
        for key, point in zip(pair.keypoint_ids, points, strict=True):
            known = image.keypoints.get(key)
            if known is None:
                yield Problem(file, f"Keypoint {key} is not visible in {name}.", field=f"{side}_kps")
            elif np.abs(known - point).max() > SLACK:
                message = f"Keypoint {key} is at {point.tolist()}, in the image's annotation at {known.tolist()}."
                yield Problem(file, message, field=f"{side}_kps")


def _problem(path: Path, error: Bench3DError) -> Problem:
    """An error of the reader; file and field are those that it names."""
    file, found, rest = error.message.partition(": field ")
    return Problem(
        file if found else str(path), error.message, field=rest.split()[0] if found else None, hint=error.hint
    )
