"""Truth and chance of the segmentation tasks: silhouettes of CAD models, and masks that need no look at the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts import PoseSample, Protocol
from bench3d.data.images import load_mask
from bench3d.geometry.camera import project
from bench3d.geometry.crops import box_zoom, mask_zoom, resample, valid_mask
from bench3d.geometry.pixels import PixelGeometry
from bench3d.metrics import best_constant_mask, ellipse_mask, hard_iou, soft_iou
from bench3d_plugins.single_object.chance import training_sequences
from bench3d_plugins.single_object.protocol import soft_cad_mask
from bench3d_plugins.single_object.settings import MaskSettings

NAMES = ("full_crop", "ellipse", "constant_mask")
TRAINING_FRAMES = 300
"""Frames that the constant mask is chosen on, at most: evenly spread over the training sequences."""


@dataclass(frozen=True)
class Truth:
    """Of one sample, on the grid (h, w) of the comparison.

    Attributes:
        amodal: the annotated CAD model at the true pose, soft.
        valid: 1 inside the image, by cell centres.
        modal: what of the object is seen, soft; None where the data set does not say.
    """

    amodal: np.ndarray
    valid: np.ndarray
    modal: np.ndarray | None


def truth_of(sample: PoseSample, crop: PixelGeometry, grid: int) -> Truth:
    """The truth in the crop; DataError where the CAD model or the mask is missing or broken."""
    geometry = crop.resized((grid, grid))
    modal = None
    if sample.mask is not None:
        modal = resample(load_mask(sample.mask, sample.size).astype(np.float32), geometry).astype(np.float64)
    return Truth(soft_cad_mask(sample, geometry), valid_mask(geometry).astype(np.float64), modal)


def on_grid(masks: torch.Tensor, grid: int) -> np.ndarray:
    """Soft masks (B, h, w) on the grid of the comparison (B, grid, grid): averaged where finer, bilinear where coarser.

    Cells stay where they are (a coarser mask is no longer as sharp as the truth). What is not finite becomes 0.
    """
    masks = masks.detach().double().cpu().nan_to_num(0.0, 0.0, 0.0).clamp(0.0, 1.0)
    if masks.shape[-2:] == (grid, grid):
        return masks.numpy()
    if min(masks.shape[-2:]) >= grid:
        return F.interpolate(masks[:, None], size=(grid, grid), mode="area")[:, 0].numpy()
    return F.interpolate(masks[:, None], size=(grid, grid), mode="bilinear", align_corners=False)[:, 0].numpy()


@dataclass(frozen=True)
class MaskChance:
    """Answers of a category that need no look at the image, nor a pose.

    full_crop: all of the crop. ellipse: the ellipse that touches the sides of the given box, or of the crop where the
    crop is fitted to the object. constant_mask: the mean of the training masks, cropped alike, cut at the level that
    suits them best (`best_constant_mask`); only where there is training data.
    """

    constant: np.ndarray | None

    @staticmethod
    def of(source: Any, category: str, protocol: Protocol, settings: MaskSettings) -> MaskChance:
        """From a MultiviewSource, or without a constant mask where it is None."""
        if source is None:
            return MaskChance(None)
        return MaskChance(best_constant_mask(training_masks(source, category, protocol, settings))[0])

    def values(self, truth: Truth, box: np.ndarray) -> dict[str, float]:
        """chance_<name>_iou and chance_<name>_hard_iou; `box` (x0, y0, x1, y1) in cells, for the ellipse."""
        grid = truth.amodal.shape[::-1]
        answers: dict[str, np.ndarray] = {
            "full_crop": np.ones_like(truth.amodal),
            "ellipse": ellipse_mask(box, (grid[0], grid[1])),
        }
        if self.constant is not None:
            answers["constant_mask"] = self.constant
        found: dict[str, float] = {}
        for name, answer in answers.items():
            for metric, value in overlaps(truth.amodal, answer, truth.valid).items():
                found[f"chance_{name}_{metric}"] = value
        return found


def overlaps(truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray) -> Mapping[str, float]:
    """Overlap of masks (h, w): iou (soft) and hard_iou (above one half)."""
    return {
        "iou": float(soft_iou(truth, predicted, valid)),
        "hard_iou": float(hard_iou(truth, predicted, valid)),
    }


def training_masks(source: Any, category: str, protocol: Protocol, settings: MaskSettings) -> np.ndarray:
    """(N, grid, grid) soft masks of training frames, cropped by the protocol's rule (their own masks or boxes)."""
    frames = [frame for sequence in training_sequences(source, category) for frame in sequence.frames]
    count = min(len(frames), TRAINING_FRAMES)
    by_mask = any(oracle.startswith("crop-mask") for oracle in protocol.oracles)
    masks = []
    for frame in (frames[n * len(frames) // count] for n in range(count)):
        mask = load_mask(frame.mask, frame.size)
        if not mask.any():
            continue
        if by_mask:
            centre = project(np.zeros((1, 3)), frame.cam_T_obj, frame.intrinsics)[0][0]
            crop = mask_zoom(mask, centre, settings.grid)
        else:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            crop = box_zoom(frame.size, box, settings.grid, settings.box_margin)
        masks.append(resample(mask.astype(np.float32), crop))
    return np.array(masks, dtype=np.float64).reshape(-1, settings.grid, settings.grid)
