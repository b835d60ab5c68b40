"""Single photographs with semantic keypoints: what the twins of correspondence data sets are made of."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from bench3d.geometry.camera import project
from bench3d.synth.cameras import Photo, photo
from bench3d.synth.instances import Instance, make_instance
from bench3d.synth.scene import HARD, PLAIN, Rendered, render
from bench3d.synth.seeds import instance_seed

JPEG_QUALITY = 95
DEPTH_SLACK = 0.06  # canonical units a keypoint may lie behind the drawn surface and still count as visible
REACH = 0.012  # of the image's side: how far beside the silhouette a keypoint of a corner may lie
HIDDEN_SHARE = 0.02  # of the object's pixels: more of them behind another thing is "occluded"
HARD_EVERY = 4  # each so-many-th image of a mix is of the hard style


@dataclass(frozen=True, eq=False)
class KeypointPhoto:
    """One photograph of one instance.

    Attributes:
        picture: colours, masks and depth.
        shot: the camera.
        box: (x0, y0, x1, y1) of the visible object in whole pixels, x1 and y1 behind the last one.
        keypoints: (2,) pixels of the visible keypoints by the generator's name; pixel (i, j) covers [i, i+1).
        truncated, occluded: part of the object lies outside the image; is hidden by something else.
    """

    picture: Rendered
    shot: Photo
    box: tuple[int, int, int, int]
    keypoints: dict[str, np.ndarray]
    truncated: bool
    occluded: bool

    def jpeg(self) -> bytes:
        """The photograph as a JPEG file; the same pixels give the same bytes."""
        buffer = io.BytesIO()
        Image.fromarray(self.picture.rgb).save(buffer, format="JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()


def take_photo(category: str, split: str, index: int, seed: int, size: int, hard: bool = False) -> KeypointPhoto:
    """The index-th photograph of a split: an instance, a camera and surroundings of its own.

    Args:
        category, split, index, seed: see `bench3d.synth.seeds.instance_seed`.
        size: side of the square image in pixels.
        hard: strong perspective, cut by the image's border, something in front, faults of exposure.
    """
    key = instance_seed(category, split, index, seed)
    instance = make_instance(category, key)
    shot = photo(key, (size, size), instance.vertices, hard=hard, category=category)
    return shoot(instance, shot, key, size, hard)


def mixed_photo(category: str, split: str, index: int, seed: int, size: int) -> KeypointPhoto:
    """Like `take_photo`; every fourth one is hard, so that truncation and occlusion occur."""
    hard = index % HARD_EVERY == HARD_EVERY - 1
    return take_photo(category, "hard" if hard and split == "plain" else split, index, seed, size, hard)


def shoot(instance: Instance, shot: Photo, seed: tuple[int, ...], size: int, hard: bool = False) -> KeypointPhoto:
    """The photograph of `instance` that the camera `shot` takes; `seed` decides the surroundings."""
    picture = render(instance, shot.pose(), shot.intrinsics(), (size, size), seed, HARD if hard else PLAIN)
    corners, _ = project(instance.vertices.astype(np.float64), shot.pose(), shot.intrinsics())
    hidden = 1.0 - picture.mask.sum() / max(int(picture.amodal.sum()), 1)
    return KeypointPhoto(
        picture=picture,
        shot=shot,
        box=mask_box(picture.mask if picture.mask.any() else picture.amodal),
        keypoints=visible_keypoints(instance.keypoints, shot, picture),
        truncated=bool((corners < 0).any() or (corners > size).any()),
        occluded=bool(hidden > HIDDEN_SHARE),
    )


def visible_keypoints(points: dict[str, np.ndarray], shot: Photo, picture: Rendered) -> dict[str, np.ndarray]:
    """Pixels (2,) float64 of those points (3,) that the picture shows, in the order of `points`.

    A point is seen where the drawn surface is not nearer than it by more than DEPTH_SLACK. A point whose pixel lies
    just beside the silhouette (a corner) is looked up on the nearest pixels of the object.
    """
    if not points:
        return {}
    pixels, depths = project(np.array(list(points.values()), dtype=np.float64), shot.pose(), shot.intrinsics())
    return {
        name: pixel
        for name, pixel, depth in zip(points, pixels, depths, strict=True)
        if _is_seen(pixel, float(depth), picture)
    }


def _is_seen(pixel: np.ndarray, depth: float, picture: Rendered) -> bool:
    height, width = picture.mask.shape
    if not (0 <= pixel[0] < width and 0 <= pixel[1] < height):
        return False
    column, row = int(pixel[0]), int(pixel[1])
    if picture.amodal[row, column]:
        return bool(picture.mask[row, column] and depth <= picture.depth[row, column] + DEPTH_SLACK)
    reach = max(1, round(REACH * max(width, height)))
    around = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    near = np.abs(picture.depth[around] - depth) <= DEPTH_SLACK
    return bool((picture.mask[around] & near).any())


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) of the true pixels of (H, W), x1 and y1 behind the last; the whole image where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, mask.shape[1], mask.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@lru_cache(maxsize=16)
def keypoint_order(category: str) -> tuple[str, ...]:
    """The keypoint names of a category in alphabetical order: a name's place is its number in every twin."""
    return tuple(sorted(make_instance(category, instance_seed(category, "train", 0, 0)).keypoints))


def common_pairs(visible: list[set[str]], wanted: int, least: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Up to `wanted` ordered pairs of different images that share at least `least` visible keypoints, in random order.

    `visible` holds the names per image; no pair occurs twice.
    """
    suitable = [
        (a, b)
        for a in range(len(visible))
        for b in range(len(visible))
        if a != b and len(visible[a] & visible[b]) >= least
    ]
    order = rng.permutation(len(suitable))[:wanted]
    return [suitable[i] for i in order]
