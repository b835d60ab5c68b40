"""The tasks pascal3d-seg and objectnet3d-seg: the model's mask at its own pose against the annotated CAD model's."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import Given, ImageBatch, MetricSpec, Model, PoseEstimate, PoseSample, Protocol
from bench3d.metrics import rotation_error_deg
from bench3d_plugins.single_object.base import SingleObjectTask, common_values
from bench3d_plugins.single_object.masks import NAMES, MaskChance, on_grid, overlaps, truth_of
from bench3d_plugins.single_object.protocol import Prepared
from bench3d_plugins.single_object.settings import MaskSettings
from bench3d_plugins.single_object.task import estimated

# Of an image's IoU: it follows the pose, whose refinement is cut off (see task.TOLERANCE); at the true rotation only
# the features' rounding is left, and the truth is drawn on the CPU always.
TOLERANCE = {"iou": 0.1, "hard_iou": 0.1, "modal_iou": 0.1, "true_rotation_iou": 0.01, "self_iou": 1e-6}


def _iou(name: str, value: str, chance: bool = False, grouped: bool = True) -> MetricSpec:
    return MetricSpec(
        name=name,
        value=value,
        reduce="mean",
        unit="%",
        higher_is_better=True,
        chance={n: f"chance_{n}_{value}" for n in NAMES} if chance else None,
        grouped=grouped,
        tolerance=TOLERANCE[value],
    )


METRICS = (
    _iou("IoU", "iou", chance=True),
    _iou("hard IoU", "hard_iou", chance=True),
    _iou("modal IoU", "modal_iou"),
    _iou("IoU at the true rotation", "true_rotation_iou"),
    _iou("IoU of the truth with itself", "self_iou", grouped=False),
)
NO_MODAL = (
    "There are no masks of what is seen of the objects in these data: the modal IoU is left out, and all others take "
    "the object as if nothing stood before it."
)


class SegmentationTask(SingleObjectTask[MaskSettings]):
    """Masks of the annotated object on a grid of the crop (Common3D: protocol page, section 5).

    The model's soft mask at the estimated rotation, and the true translation and camera where the protocol gives them,
    against the CAD model drawn at the true pose; both times the cells inside the image.
    """

    metrics = METRICS
    needs = {"pose": "estimates poses", "mask": "gives masks"}

    def __init__(self, settings: MaskSettings, protocol: Protocol) -> None:
        super().__init__(settings, protocol)
        self._chance: dict[str, MaskChance] = {}
        self._without_modal = False

    def prepare(self, model: Model, category: str, source: Any) -> None:
        """Chance levels of the category."""
        self.require(model)
        self._chance[category] = MaskChance.of(source, category, self.protocol, self.settings)

    def evaluate(self, model: Model, samples: Sequence[PoseSample], device: str) -> Sequence[Mapping[str, Any]]:
        """One line of values per sample; IoUs in [0, 1]."""
        begun = time.perf_counter()
        ready = self.prepared(model, samples)
        cropped = time.perf_counter()
        batch = ready.batch.to(device)
        estimate = model.pose(batch, ready.given)
        masks = self.masks(model, batch, ready.given, estimate)
        done = time.perf_counter()
        at_truth = None
        if ready.given.translation is not None:
            true = torch.from_numpy(np.stack([s.cam_T_obj[:3, :3] for s in samples])).to(estimate.rotation)
            turned = PoseEstimate(true, estimate.translation, estimate.score)
            at_truth = self.masks(model, batch, ready.given, turned)
        times = {
            "crop_ms": 1e3 * (cropped - begun) / len(samples),
            "pose_ms": 1e3 * (done - cropped) / len(samples),
        }
        return [
            self._values(sample, n, ready, estimate, masks[n], None if at_truth is None else at_truth[n]) | times
            for n, sample in enumerate(samples)
        ]

    def masks(self, model: Model, batch: ImageBatch, given: Given, estimate: PoseEstimate) -> np.ndarray:
        """(B, grid, grid) float64 of the model at the estimated rotation; nothing where the pose is not finite.

        The translation is the true one wherever the protocol gives it.
        """
        translation = estimate.translation if given.translation is None else given.translation
        translation = translation.to(estimate.rotation)
        finite = estimate.rotation.flatten(1).isfinite().all(dim=1) & translation.isfinite().all(dim=1)
        pose = PoseEstimate(
            rotation=torch.where(finite[:, None, None], estimate.rotation, torch.eye(3).to(estimate.rotation)),
            translation=torch.where(finite[:, None], translation, torch.tensor([0.0, 0.0, 5.0]).to(translation)),
            score=estimate.score,
        )
        found = on_grid(model.mask(batch, given, pose), self.settings.grid)
        return found * finite.cpu().numpy()[:, None, None]

    def notes(self) -> Sequence[str]:
        """Where there is no modal truth."""
        return (NO_MODAL,) if self._without_modal else ()

    def _values(
        self,
        sample: PoseSample,
        n: int,
        ready: Prepared,
        estimate: PoseEstimate,
        mask: np.ndarray,
        at_truth: np.ndarray | None,
    ) -> dict[str, Any]:
        truth = truth_of(sample, ready.batch.geometry[n], self.settings.grid)
        gt = sample.cam_T_obj[:3, :3]
        values: dict[str, Any] = common_values(sample)
        values |= overlaps(truth.amodal, mask, truth.valid)
        values["self_iou"] = overlaps(truth.amodal, truth.amodal, truth.valid)["iou"]
        if at_truth is not None:
            values["true_rotation_iou"] = overlaps(truth.amodal, at_truth, truth.valid)["iou"]
        if truth.modal is None:
            self._without_modal = True
        else:
            values["modal_iou"] = overlaps(truth.modal, mask, truth.valid)["iou"]
        values["rotation_error_deg"] = float(
            rotation_error_deg(estimate.rotation[n].detach().double().cpu().numpy(), gt)
        )
        values["area"] = float((truth.amodal * truth.valid).mean())
        values["predicted_area"] = float((mask * truth.valid).mean())
        values |= estimated(n, estimate)
        return values | self._chance[sample.category].values(truth, self._box(n, ready))

    def _box(self, n: int, ready: Prepared) -> np.ndarray:
        """In cells: what the model is given, or the whole crop."""
        grid = float(self.settings.grid)
        if ready.given.box is None:
            return np.array([0.0, 0.0, grid, grid])
        box: np.ndarray = ready.given.box[n].double().cpu().numpy() * grid / ready.batch.images.shape[-1]
        return box

    def pictures(
        self, model: Model, samples: Sequence[Any], values: Sequence[Mapping[str, Any]], out: Path, device: str
    ) -> Iterator[Path]:
        """Panels from the best to the worst: image, true outline over the model's soft mask, the CAD model."""
        from bench3d_plugins.single_object.mask_pictures import pictures

        return pictures(self, model, samples, values, out, device)


def create(settings: MaskSettings, protocol: Protocol) -> SegmentationTask:
    """The registrations' factory."""
    return SegmentationTask(settings, protocol)
