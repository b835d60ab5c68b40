"""What a model is shown and given under a protocol: the crop, and exactly the oracles that the protocol names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench3d.contracts import Given, ImageBatch, PoseSample, Protocol
from bench3d.data.batches import assumed_intrinsics, crop_batch
from bench3d.data.images import load_rgb
from bench3d.geometry.camera import clip_matrix, project
from bench3d.geometry.crops import box_zoom, mask_zoom
from bench3d.geometry.pixels import PixelGeometry
from bench3d.render.raster import rasterize
from bench3d_plugins.single_object.settings import Pascal3DPoseSettings


@dataclass(frozen=True)
class Prepared:
    """A batch as the model sees it.

    Attributes:
        given: the protocol's oracles.
        intrinsics: (B, 3, 3) float64, the camera that estimates refer to: the true one of the crop, or the assumed one.
    """

    batch: ImageBatch
    given: Given
    intrinsics: np.ndarray


def prepare(samples: Sequence[PoseSample], protocol: Protocol, settings: Pascal3DPoseSettings, canvas: int) -> Prepared:
    """Loads, crops and gathers the oracles of samples of one category.

    Raises:
        DataError: an image or a CAD model is missing or broken.
    """
    by_mask = any(oracle.startswith("crop-mask") for oracle in protocol.oracles)
    images = [load_rgb(s.image, s.size) for s in samples]
    if by_mask:
        crops = [mask_crop(s, canvas) for s in samples]
    else:
        crops = [box_zoom(s.size, s.box, canvas, settings.box_margin) for s in samples]
    if "intrinsics" in protocol.oracles:
        intrinsics = np.stack([g.input_intrinsics(s.intrinsics) for g, s in zip(crops, samples, strict=True)])
    else:
        intrinsics = np.stack([assumed_intrinsics(canvas, settings.focal)] * len(samples))
    category = samples[0].category
    return Prepared(
        batch=crop_batch(images, crops, [s.id for s in samples], category),
        given=Given(
            category=category if "category" in protocol.oracles else None,
            intrinsics=torch.from_numpy(intrinsics).float(),
            translation=_translations(samples) if "translation" in protocol.oracles else None,
            box=_boxes(samples, crops) if "box" in protocol.oracles else None,
        ),
        intrinsics=intrinsics,
    )


def mask_crop(sample: PoseSample, canvas: int) -> PixelGeometry:
    """Common3D's crop: around the projected object origin, fitted to the mask of the CAD model at the true pose."""
    centre, _ = project(np.zeros((1, 3)), sample.cam_T_obj, sample.intrinsics)
    return mask_zoom(cad_mask(sample), centre[0], canvas)


def cad_mask(sample: PoseSample) -> np.ndarray:
    """(H, W) bool: the CAD model at the true pose, amodal. On the CPU always, so that no device changes a crop."""
    vertices, faces = sample.mesh()
    projection = clip_matrix(sample.intrinsics, sample.size)
    camera = vertices @ sample.cam_T_obj[:3, :3].T + sample.cam_T_obj[:3, 3]
    clip = np.concatenate([camera, np.ones((len(camera), 1))], axis=1) @ projection.T
    raster = rasterize(clip[None].astype(np.float32), np.asarray(faces, dtype=np.int32), sample.size[::-1])
    mask: np.ndarray = raster[0, ..., 3] > 0
    return mask


def _translations(samples: Sequence[PoseSample]) -> torch.Tensor:
    return torch.from_numpy(np.stack([s.cam_T_obj[:3, 3] for s in samples])).float()


def _boxes(samples: Sequence[PoseSample], crops: Sequence[PixelGeometry]) -> torch.Tensor:
    corners = [
        g.original_to_input(np.asarray(s.box, dtype=np.float64).reshape(2, 2))
        for g, s in zip(crops, samples, strict=True)
    ]
    return torch.from_numpy(np.stack(corners).reshape(len(samples), 4)).float()
