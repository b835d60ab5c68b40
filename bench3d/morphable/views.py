"""Training views: a frame cropped around its object, with mask, distance transform and camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from bench3d.contracts import ImageBatch, ObjectSequence, PosedFrame
from bench3d.data.images import load_mask, load_rgb
from bench3d.errors import DataError
from bench3d.fit.draws import derived_generator
from bench3d.geometry.camera import clip_matrix, project
from bench3d.geometry.crops import centre_zoom, mask_zoom, resample, valid_mask
from bench3d.geometry.pixels import PixelGeometry
from bench3d.morphable.augment import augment_colour
from bench3d.morphable.settings import ViewSettings


@dataclass(frozen=True, eq=False)
class View:
    """One crop. Maps are (R, R) float32 with R = render_size.

    Attributes:
        image: (canvas, canvas, 3) uint8, or None where only geometry was asked for.
        mask: foreground share; distance: distance transform in canvas sides; valid: share inside the original image.
        intrinsics: (3, 3) of the canvas; cam_T_obj: (4, 4).
        box: (x0, y0, x1, y1) of the mask on the canvas.
        sequence: number of the frame's sequence.
    """

    image: np.ndarray | None
    mask: np.ndarray
    distance: np.ndarray
    valid: np.ndarray
    intrinsics: np.ndarray
    cam_T_obj: np.ndarray
    box: np.ndarray
    sequence: int
    geometry: PixelGeometry
    id: str


@dataclass
class ViewBatch:
    """A batch of views as tensors.

    Attributes:
        features: (B, C, h, w) of the backbone, or None.
        mask, distance, valid: (B, R, R).
        projection: (B, 4, 4) from canonical object coordinates to the renderer's clip space.
        intrinsics: (B, 3, 3); cam_T_obj: (B, 4, 4); box: (B, 4).
        sequences: numbers of the sequences.
    """

    features: torch.Tensor | None
    mask: torch.Tensor
    distance: torch.Tensor
    valid: torch.Tensor
    projection: torch.Tensor
    intrinsics: torch.Tensor
    cam_T_obj: torch.Tensor
    box: torch.Tensor
    sequences: list[int]


def split_sequences(
    sequences: Sequence[ObjectSequence], held_out: float
) -> tuple[Sequence[ObjectSequence], Sequence[ObjectSequence]]:
    """First int((1 - held_out) N) sequences for training (one at least), the rest held out.

    Raises:
        DataError: there is no sequence.
    """
    if not sequences:
        raise DataError("There are no training sequences.", "Check the sequence list with `bench3d data check`.")
    count = max(1, int((1 - held_out) * len(sequences) + 1e-9))
    return sequences[:count], sequences[count:]


def make_view(
    frame: PosedFrame,
    sequence: int,
    settings: ViewSettings,
    generator: torch.Generator | None,
    with_image: bool = True,
) -> View:
    """Crops a frame (protocol page 1.3 and 4).

    With a `generator` it is a training view: the fitted scale times U(scale_range), colours augmented; without one
    the crop just fits and colours stay.

    Raises:
        DataError: image or mask is missing or broken.
    """
    mask = load_mask(frame.mask, frame.size)
    centre = project(np.zeros((1, 3)), frame.cam_T_obj, frame.intrinsics)[0][0]
    crop = mask_zoom(mask, centre, settings.canvas)
    if generator is not None:
        low, high = settings.scale_range
        factor = low + (high - low) * float(torch.rand(1, generator=generator))
        middle = (settings.canvas / 2 - np.array(crop.offset)) / np.array(crop.scale)
        crop = centre_zoom(frame.size, middle, crop.scale[0] * factor, settings.canvas)
    image = None
    if with_image:
        image = resample(load_rgb(frame.image, frame.size), crop)
        if generator is not None:
            image = augment_colour(image, settings, generator)
    cropped = resample(mask.astype(np.uint8), crop, nearest=True)
    return View(
        image=image,
        mask=_shrink(cropped, settings.render_size),
        distance=_shrink(distance_map(cropped), settings.render_size),
        valid=_shrink(valid_mask(crop).astype(np.float32), settings.render_size),
        intrinsics=crop.input_intrinsics(frame.intrinsics),
        cam_T_obj=np.asarray(frame.cam_T_obj, dtype=np.float64),
        box=_mask_box(cropped),
        sequence=sequence,
        geometry=crop,
        id=frame.id,
    )


def distance_map(mask: np.ndarray) -> np.ndarray:
    """Exact Euclidean distance to the background in sides of the canvas, (S, S) -> (S, S) float32; 1 without any."""
    if mask.all():
        return np.ones(mask.shape, dtype=np.float32)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bits depend on memory alignment; squared distances between pixels are integers, which settles them.
    return np.sqrt(np.rint(np.square(distance))) / np.float32(mask.shape[0])


def collate(views: Sequence[View], features: torch.Tensor | None, device: str | torch.device) -> ViewBatch:
    """Stacks views; `features` are passed through."""

    def stack(arrays: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays).astype(np.float32)).to(device)

    size = (views[0].geometry.input_size[0], views[0].geometry.input_size[1])
    return ViewBatch(
        features=features,
        mask=stack([v.mask for v in views]),
        distance=stack([v.distance for v in views]),
        valid=stack([v.valid for v in views]),
        projection=stack([clip_matrix(v.intrinsics, size) @ v.cam_T_obj for v in views]),
        intrinsics=stack([v.intrinsics for v in views]),
        cam_T_obj=stack([v.cam_T_obj for v in views]),
        box=stack([v.box for v in views]),
        sequences=[v.sequence for v in views],
    )


def image_batch(views: Sequence[View]) -> ImageBatch:
    """The views as a model wants them; every view must have its image."""
    images = torch.from_numpy(np.stack([v.image for v in views if v.image is not None]))
    valid = torch.from_numpy(np.stack([valid_mask(v.geometry) for v in views]))
    return ImageBatch(
        images=images.permute(0, 3, 1, 2).float() / 255,
        valid=valid[:, None].float(),
        geometry=tuple(v.geometry for v in views),
        ids=tuple(v.id for v in views),
    )


def read_cloud(sequence: ObjectSequence, limit: int, seed: int) -> torch.Tensor:
    """At most `limit` random points (N, 3) float32 of a sequence's cloud.

    Raises:
        DataError: the cloud is empty or not finite.
    """
    points = np.asarray(sequence.points(), dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or not np.isfinite(points).all():
        raise DataError(
            f"The point cloud of sequence {sequence.name} is empty or not finite.",
            "Check it with `bench3d data check`.",
        )
    generator = derived_generator(seed, "cloud", sequence.category, sequence.name)
    chosen = torch.randperm(len(points), generator=generator)[:limit]
    return torch.from_numpy(points)[chosen]


def _shrink(image: np.ndarray, size: int) -> np.ndarray:
    """Plain bilinear sampling at the centres of `size` x `size` cells, without averaging."""
    return cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def _mask_box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return np.array([0.0, 0.0, mask.shape[1], mask.shape[0]])
    return np.array([columns[0], rows[0], columns[-1] + 1.0, rows[-1] + 1.0])
