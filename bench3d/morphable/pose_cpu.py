"""The CPU scorer: hands the problem to the numba kernels."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.morphable import scorer as kernels
from bench3d.morphable.pose import PoseProblem, Scorer
from bench3d.morphable.settings import PoseSettings


class CpuScorer(Scorer):
    """Numba render-and-compare; the same numbers whatever the batch size or the number of threads."""

    def __init__(self, problem: PoseProblem) -> None:
        super().__init__(problem)
        self._arrays = (
            np.ascontiguousarray(problem.similarity.detach().float().numpy()),
            np.ascontiguousarray(problem.background.detach().float().numpy()),
            np.ascontiguousarray(problem.valid.numpy()),
            np.ascontiguousarray(problem.vertices.detach().double().numpy()),
            np.ascontiguousarray(problem.faces.numpy().astype(np.int32)),
        )
        self._camera = (np.ascontiguousarray(problem.intrinsics.detach().double().numpy()), *problem.grid)

    def score(self, rotations: torch.Tensor, translations: torch.Tensor) -> torch.Tensor:
        """See `Scorer.score`."""
        return torch.from_numpy(kernels.score_poses(*self._arrays, *_poses(rotations, translations), *self._camera))

    def refine(
        self, rotations: torch.Tensor, translations: torch.Tensor, settings: PoseSettings, free: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See `Scorer.refine`."""
        result = kernels.refine_poses(
            self._arrays,
            *_poses(rotations, translations),
            self._camera[0],
            self.problem.grid,
            settings.refine_steps,
            settings.refine_rate,
            (settings.refine_beta1, settings.refine_beta2),
            settings.refine_clip,
            1.0 / settings.temperature,
            free,
        )
        rotation, translation, score = (torch.from_numpy(part) for part in result)
        return rotation, translation, score


def _poses(rotations: torch.Tensor, translations: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(rotations.double().numpy()), np.ascontiguousarray(translations.double().numpy())
