"""What a model is shown and given under a protocol: the crop, and exactly the oracles that the protocol names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench3d.contracts import Given, ImageBatch, PoseSample, Protocol
from bench3d.data.batches import assumed_intrinsics, crop_batch
from bench3d.data.images import load_rgb
from bench3d.errors import CapabilityError
from bench3d.geometry.camera import clip_matrix, project
from bench3d.geometry.crops import box_zoom, mask_zoom
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import renderer_for
from bench3d.render.raster import rasterize
from bench3d_plugins.single_object.published import PublishedCrop, published_pixels, published_valid, published_zoom
from bench3d_plugins.single_object.settings import CropSettings


@dataclass(frozen=True)
class Prepared:
    """A batch as the model sees it.

    Attributes:
        given: the protocol's oracles, and those of the model's that the protocol can give.
        intrinsics: (B, 3, 3) float64, the camera that estimates refer to: the true one of the crop, or the assumed one.
    """

    batch: ImageBatch
    given: Given
    intrinsics: np.ndarray


def prepare(
    samples: Sequence[PoseSample],
    protocol: Protocol,
    settings: CropSettings,
    canvas: int,
    wanted: frozenset[str] = frozenset(),
) -> Prepared:
    """Loads, crops and gathers the oracles of samples of one category.

    Args:
        wanted: what the model asks for beside the protocol's oracles (`Model.oracles`).

    Raises:
        DataError: an image or a CAD model is missing or broken.
        CapabilityError: the protocol cannot give what is wanted.
    """
    refuse(protocol, wanted)
    batch = _batch(samples, protocol, settings, canvas)
    crops = batch.geometry
    if "intrinsics" in protocol.oracles:
        intrinsics = np.stack([g.input_intrinsics(s.intrinsics) for g, s in zip(crops, samples, strict=True)])
    else:
        intrinsics = np.stack([assumed_intrinsics(canvas, settings.focal)] * len(samples))
    return Prepared(
        batch=batch,
        given=Given(
            category=batch.category if "category" in protocol.oracles else None,
            intrinsics=torch.from_numpy(intrinsics).float(),
            translation=_translations(samples) if "translation" in protocol.oracles else None,
            box=_boxes(samples, crops) if "box" in protocol.oracles else None,
            depth=_depths(samples, crops) if "depth" in wanted else None,
        ),
        intrinsics=intrinsics,
    )


def refuse(protocol: Protocol, wanted: frozenset[str]) -> None:
    """CapabilityError where a model wants what the protocol does not offer."""
    for name in sorted(wanted):
        if name not in protocol.offers:
            raise CapabilityError(
                f"The model asks for the true {name}, which the protocol {protocol.name} does not give.",
                "Choose --protocol paper, or another shape model.",
            )


def mask_crop(sample: PoseSample, canvas: int) -> PixelGeometry:
    """Common3D's crop: around the projected object origin, fitted to the mask of the CAD model at the true pose."""
    return mask_zoom(cad_mask(sample), _centre(sample), canvas)


def cad_mask(sample: PoseSample) -> np.ndarray:
    """(H, W) bool: the CAD model at the true pose, amodal. On the CPU always, so that no device changes a crop."""
    clip, faces, _ = _clip(sample, sample.intrinsics, sample.size)
    raster = rasterize(clip, faces, sample.size[::-1])
    mask: np.ndarray = raster[0, ..., 3] > 0
    return mask


def soft_cad_mask(sample: PoseSample, geometry: PixelGeometry) -> np.ndarray:
    """(h, w) float64 in [0, 1]: the antialiased CAD model at the true pose in the pixels of `geometry`; on the CPU."""
    clip, faces, _ = _clip(sample, geometry.input_intrinsics(sample.intrinsics), geometry.input_size)
    renderer = renderer_for("cpu")
    vertices, triangles = torch.from_numpy(clip), torch.from_numpy(faces)
    raster = renderer.rasterize(vertices, triangles, geometry.input_size[::-1])
    covered = (raster[..., 3:] > 0).to(vertices)
    mask: np.ndarray = renderer.antialias(covered, raster, vertices, triangles)[0, ..., 0].double().numpy()
    return mask.clip(0.0, 1.0)


def cad_depth(sample: PoseSample, geometry: PixelGeometry) -> np.ndarray:
    """(h, w) float32: z along the optical axis, canonical units, of the CAD model at the true pose; 0 beside it.

    At the centres of the pixels of `geometry`, amodal, on the CPU always.
    """
    clip, faces, camera = _clip(sample, geometry.input_intrinsics(sample.intrinsics), geometry.input_size)
    raster = rasterize(clip, faces, geometry.input_size[::-1])[0]
    depth = np.zeros(raster.shape[:2], dtype=np.float32)
    hit = raster[..., 3] > 0
    weights = raster[hit][:, :2].astype(np.float64)
    weights = np.concatenate([weights, 1 - weights.sum(axis=1, keepdims=True)], axis=1)
    corners = camera[faces[raster[hit][:, 3].astype(np.int64) - 1], 2]
    depth[hit] = (weights * corners).sum(axis=1)
    return depth


def _batch(samples: Sequence[PoseSample], protocol: Protocol, settings: CropSettings, canvas: int) -> ImageBatch:
    images = [load_rgb(s.image, s.size) for s in samples]
    ids, category = [s.id for s in samples], samples[0].category
    if not any(oracle.startswith("crop-mask") for oracle in protocol.oracles):
        boxes = [box_zoom(s.size, s.box, canvas, settings.box_margin) for s in samples]
        return crop_batch(images, boxes, ids, category)
    if settings.crop_mask == "cad":
        return crop_batch(images, [mask_crop(s, canvas) for s in samples], ids, category)
    return _published_batch(images, [published_zoom(cad_mask(s), _centre(s), canvas) for s in samples], ids, category)


def _published_batch(
    images: Sequence[np.ndarray], crops: Sequence[PublishedCrop], ids: Sequence[str], category: str
) -> ImageBatch:
    pixels = np.stack([published_pixels(image, crop) for image, crop in zip(images, crops, strict=True)])
    valid = np.stack([published_valid(crop) for crop in crops])
    return ImageBatch(
        images=torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0,
        valid=torch.from_numpy(valid)[:, None].float(),
        geometry=tuple(crop.geometry for crop in crops),
        ids=tuple(ids),
        category=category,
    )


def _centre(sample: PoseSample) -> np.ndarray:
    centre: np.ndarray = project(np.zeros((1, 3)), sample.cam_T_obj, sample.intrinsics)[0][0]
    return centre


def _clip(
    sample: PoseSample, intrinsics: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The CAD model at the true pose: clip space (1, V, 4) float32, faces (F, 3) int32, camera (V, 3) float64."""
    vertices, faces = sample.mesh()
    camera = vertices @ sample.cam_T_obj[:3, :3].T + sample.cam_T_obj[:3, 3]
    clip = np.concatenate([camera, np.ones((len(camera), 1))], axis=1) @ clip_matrix(intrinsics, size).T
    return clip[None].astype(np.float32), np.asarray(faces, dtype=np.int32), camera


def _translations(samples: Sequence[PoseSample]) -> torch.Tensor:
    return torch.from_numpy(np.stack([s.cam_T_obj[:3, 3] for s in samples])).float()


def _boxes(samples: Sequence[PoseSample], crops: Sequence[PixelGeometry]) -> torch.Tensor:
    corners = [
        g.original_to_input(np.asarray(s.box, dtype=np.float64).reshape(2, 2))
        for g, s in zip(crops, samples, strict=True)
    ]
    return torch.from_numpy(np.stack(corners).reshape(len(samples), 4)).float()


def _depths(samples: Sequence[PoseSample], crops: Sequence[PixelGeometry]) -> torch.Tensor:
    return torch.from_numpy(np.stack([cad_depth(s, g) for g, s in zip(crops, samples, strict=True)]))
