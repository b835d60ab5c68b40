"""Pictures of the segmentation tasks: from the best to the worst, the model's soft mask under the true outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from bench3d.contracts import Model, PoseEstimate, PoseSample
from bench3d.render.shade import overlay, panel, shaded
from bench3d_plugins.single_object.pictures import ESTIMATE, TILE, TRUTH, pose_of, safe, spread, tile_of, write
from bench3d_plugins.single_object.protocol import soft_cad_mask

if TYPE_CHECKING:
    from bench3d_plugins.single_object.segmentation import SegmentationTask

SHOWN = 8
OUTLINE = tuple(round(255 * v) for v in TRUTH)


def pictures(
    task: SegmentationTask,
    model: Model,
    samples: Sequence[PoseSample],
    values: Sequence[Mapping[str, Any]],
    out: Path,
    device: str,
) -> Iterator[Path]:
    """Writes PNGs under `out`: NN-iou-PP-<id>.png from the best to the worst, and contact-sheet.png."""
    order = [int(n) for n in np.argsort([-float(v["iou"]) for v in values], kind="stable")]
    tiles: list[np.ndarray] = []
    labels: list[str] = []
    for number, n in enumerate(spread(order, SHOWN)):
        row = sample_row(task, model, samples[n], values[n], device)
        percent = 100 * float(values[n]["iou"])
        off = float(values[n]["rotation_error_deg"])
        names = [samples[n].id, f"IoU {percent:.0f} %, off by {off:.0f}°", "mask alone", "ground truth"]
        yield write(
            out / f"{number + 1:02d}-iou-{percent:02.0f}-{safe(samples[n].id)}.png", panel(row, names, columns=4)
        )
        tiles += row
        labels += names
    if tiles:
        yield write(out / "contact-sheet.png", panel(tiles, labels, columns=4))


def sample_row(
    task: SegmentationTask, model: Model, sample: PoseSample, values: Mapping[str, Any], device: str
) -> list[np.ndarray]:
    """Crop; the model's soft mask over it, with the true outline; the mask alone, likewise; the CAD model over it."""
    ready = task.prepared(model, [sample])
    small = tile_of(ready, 0)
    crop = ready.batch.geometry[0].resized((TILE, TILE))
    outline = soft_cad_mask(sample, crop)
    mask = _mask(task, model, ready, values, device)
    tinted = overlay(small, _tint(mask), 0.65)
    alone = np.repeat(np.rint(255 * (1 - 0.8 * mask))[..., None].astype(np.uint8), 3, axis=2)
    cad = shaded(*sample.mesh(), sample.cam_T_obj, crop.input_intrinsics(sample.intrinsics), (TILE, TILE), TRUTH)
    return [small, with_outline(tinted, outline), with_outline(alone, outline), overlay(small, cad, 0.85)]


def with_outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A copy of image (H, W, 3) uint8 with the outline of mask (H, W), soft, on a white seam."""
    found, _ = cv2.findContours((mask > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(image).copy()
    cv2.drawContours(drawn, found, -1, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.drawContours(drawn, found, -1, OUTLINE, 1, cv2.LINE_AA)
    return drawn


def _mask(task: SegmentationTask, model: Model, ready: Any, values: Mapping[str, Any], device: str) -> np.ndarray:
    """(TILE, TILE) of the model at the pose of the values, cells as squares; empty where the pose is not finite."""
    pose = pose_of(values)
    if pose is None:
        return np.zeros((TILE, TILE))
    found = torch.from_numpy(pose).float().to(device)
    estimate = PoseEstimate(found[None, :3, :3], found[None, :3, 3], torch.zeros(1))
    mask = task.masks(model, ready.batch.to(device), ready.given, estimate)[0]
    drawn: np.ndarray = cv2.resize(mask, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    return drawn


def _tint(mask: np.ndarray) -> np.ndarray:
    rgba = np.empty((*mask.shape, 4), dtype=np.uint8)
    rgba[..., :3] = np.rint(np.array(ESTIMATE) * 255)
    rgba[..., 3] = np.rint(mask * 255)
    return rgba
