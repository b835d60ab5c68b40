"""Pose by render-and-compare: start poses, refinement of the best ones, on a CPU (numba) or any torch device."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from bench3d.contracts import PoseEstimate
from bench3d.geometry.camera import start_rotations
from bench3d.morphable.settings import PoseSettings
from bench3d.morphable.starts import box_translations

if TYPE_CHECKING:
    from bench3d.contracts import Renderer


@dataclass
class Instance:
    """What a shape model says of a batch before any pose.

    Attributes:
        features: (B, D, h, w), of length 1 per cell.
        vertices: (B, V, 3), canonical units; faces: (F, 3) int32.
        vertex_features: (V, D), of length 1; background: (D,), of length 1.
    """

    features: torch.Tensor
    vertices: torch.Tensor
    faces: torch.Tensor
    vertex_features: torch.Tensor
    background: torch.Tensor


@dataclass
class PoseProblem:
    """Everything a pose score depends on, for B images of one category.

    Attributes:
        similarity: (B, P, V) <s, f_v>, P = h * w cells, row by row.
        background: (B, P) <s, beta>.
        valid: (B, P) bool, False in padding.
        vertices: (B, V, 3) canonical units; faces: (F, 3) int32.
        intrinsics: (B, 3, 3) in cells.
        grid: (h, w).
    """

    similarity: torch.Tensor
    background: torch.Tensor
    valid: torch.Tensor
    vertices: torch.Tensor
    faces: torch.Tensor
    intrinsics: torch.Tensor
    grid: tuple[int, int]


def pose_problem(instance: Instance, valid: torch.Tensor, intrinsics: torch.Tensor, canvas: int) -> PoseProblem:
    """Similarities once per image.

    Args:
        instance: of B images.
        valid: (B, 1, canvas, canvas), 1 inside the original image.
        intrinsics: (B, 3, 3) in canvas pixels.
        canvas: side of the crop in pixels.
    """
    batch, _, h, w = instance.features.shape
    cells = instance.features.flatten(2).transpose(1, 2)
    scale = intrinsics.new_tensor([[w / canvas], [h / canvas], [1.0]])
    inside = F.interpolate(valid.float(), size=(h, w), mode="area") >= 0.5
    return PoseProblem(
        similarity=cells @ instance.vertex_features.T,
        background=cells @ instance.background,
        valid=inside.reshape(batch, h * w),
        vertices=instance.vertices,
        faces=instance.faces,
        intrinsics=intrinsics * scale,
        grid=(h, w),
    )


def estimate_pose(
    instance: Instance,
    valid: torch.Tensor,
    intrinsics: torch.Tensor,
    canvas: int,
    translation: torch.Tensor | None,
    settings: PoseSettings,
    rotation: torch.Tensor | None = None,
    box: torch.Tensor | None = None,
    renderer: Renderer | None = None,
) -> PoseEstimate:
    """Rotation (and translation, where it is not given) that maximises the render-and-compare score.

    Args:
        instance ... canvas: as in `pose_problem`.
        translation: (B, 3) given by the protocol, or None: then each start takes the translation that fills `box`, and
            refinement moves it too.
        settings: steps, rates, how many starts are refined.
        rotation: (B, 3, 3) start from here instead of the 144 starts (diagnostics).
        box: (B, 4) x0, y0, x1, y1 in canvas pixels; needed without `translation`.
        renderer: rasteriser for devices other than the CPU.

    Returns:
        PoseEstimate; `extra` holds `start_score` and the number of the winning start, `start_index`.

    Raises:
        ValueError: neither translation nor box is given.
    """
    problem = pose_problem(instance, valid, intrinsics, canvas)
    starts = _starts(problem, translation, rotation, box, canvas)
    if instance.features.device.type == "cpu":
        from bench3d.morphable.pose_cpu import CpuScorer

        return _search(CpuScorer(problem), *starts, settings, translation is None)
    from bench3d.morphable.pose_torch import TorchScorer

    if renderer is None:
        raise ValueError("A device other than the CPU needs a renderer.")
    return _search(TorchScorer(problem, renderer), *starts, settings, translation is None)


def _starts(
    problem: PoseProblem,
    translation: torch.Tensor | None,
    rotation: torch.Tensor | None,
    box: torch.Tensor | None,
    canvas: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Start rotations (B, S, 3, 3) and translations (B, S, 3), float64 on the problem's device."""
    device, batch = problem.vertices.device, problem.vertices.shape[0]
    if rotation is not None:
        rotations = rotation.double().to(device)[:, None]
    else:
        rotations = torch.from_numpy(start_rotations()).to(device).expand(batch, -1, 3, 3)
    if translation is not None:
        return rotations, translation.double().to(device)[:, None].expand(-1, rotations.shape[1], 3)
    if box is None:
        raise ValueError("Pose without a translation needs a box.")
    h, w = problem.grid
    cells = box.double().cpu().numpy() * np.array([w, h, w, h]) / canvas
    vertices, cameras = problem.vertices.double().cpu().numpy(), problem.intrinsics.double().cpu().numpy()
    turned = rotations.cpu().numpy()
    fitted = [box_translations(vertices[n], turned[n], cameras[n], cells[n]) for n in range(batch)]
    return rotations, torch.from_numpy(np.stack(fitted)).to(device)


def _search(
    scorer: Scorer, rotations: torch.Tensor, translations: torch.Tensor, settings: PoseSettings, free: bool
) -> PoseEstimate:
    begun = time.perf_counter()
    scores = scorer.score(rotations, translations)
    scored = time.perf_counter()
    count = min(settings.refine_starts, scores.shape[1])
    top = scores.topk(count, dim=1).indices
    rows = torch.arange(len(top), device=top.device)[:, None]
    refined = scorer.refine(rotations[rows, top].contiguous(), translations[rows, top].contiguous(), settings, free)
    rotation, translation, score = refined
    winner = score.argmax(dim=1)
    row = rows[:, 0]
    done = time.perf_counter()
    batch = len(rotations)
    return PoseEstimate(
        rotation=rotation[row, winner].float(),
        translation=translation[row, winner].float(),
        score=(score[row, winner] / settings.temperature).float(),
        start_rotation=rotations[row, top[:, 0]].float(),
        extra={
            "start_score": (scores[row, top[:, 0]] / settings.temperature).float(),
            "start_index": top[:, 0].float(),
            "starts_ms": torch.full((batch,), 1e3 * (scored - begun) / batch),
            "refine_ms": torch.full((batch,), 1e3 * (done - scored) / batch),
        },
    )


class Scorer:
    """Scores poses and climbs; one class per kind of device."""

    def __init__(self, problem: PoseProblem) -> None:
        self.problem = problem

    def score(self, rotations: torch.Tensor, translations: torch.Tensor) -> torch.Tensor:
        """(B, S, 3, 3), (B, S, 3) -> (B, S), mean over cells before the temperature."""
        raise TypeError("Scorer is abstract.")

    def refine(
        self, rotations: torch.Tensor, translations: torch.Tensor, settings: PoseSettings, free: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Refined rotations, translations and scores of the best pose met, shapes as given and (B, S)."""
        raise TypeError("Scorer is abstract.")
