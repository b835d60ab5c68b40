"""The scorer for any torch device: visibility from a Renderer, scores and gradients by the same closed forms.

The renderer only says which triangle a cell sees; barycentrics are recomputed from ray and triangle in the camera, as
in the CPU kernels, so that both agree and no autograd graph is built.
"""

from __future__ import annotations

import torch

from bench3d.contracts import Renderer
from bench3d.morphable.pose import PoseProblem, Scorer
from bench3d.morphable.settings import PoseSettings

POSES_PER_PASS = 2048


class TorchScorer(Scorer):
    """Render-and-compare through a Renderer, batched over images and starts."""

    def __init__(self, problem: PoseProblem, renderer: Renderer) -> None:
        super().__init__(problem)
        self.renderer = renderer
        h, w = problem.grid
        ys, xs = torch.meshgrid(
            torch.arange(h, device=problem.similarity.device) + 0.5,
            torch.arange(w, device=problem.similarity.device) + 0.5,
            indexing="ij",
        )
        k = problem.intrinsics.float()
        self._rays = torch.stack(
            [
                (xs.flatten() - k[:, 0, 2:3]) / k[:, 0, 0:1],
                (ys.flatten() - k[:, 1, 2:3]) / k[:, 1, 1:2],
                torch.ones(len(k), h * w, device=k.device),
            ],
            dim=-1,
        )
        self._projection = _clip_matrices(k, (w, h))

    def score(self, rotations: torch.Tensor, translations: torch.Tensor) -> torch.Tensor:
        """See `Scorer.score`."""
        batch, poses = rotations.shape[:2]
        image = torch.arange(batch, device=rotations.device).repeat_interleave(poses)
        turned, moved = rotations.reshape(-1, 3, 3).float(), translations.reshape(-1, 3).float()
        passes = [slice(i, i + POSES_PER_PASS) for i in range(0, len(image), POSES_PER_PASS)]
        parts = [self._evaluate(image[part], turned[part], moved[part], False)[0] for part in passes]
        return torch.cat(parts).reshape(batch, poses)

    def refine(
        self, rotations: torch.Tensor, translations: torch.Tensor, settings: PoseSettings, free: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See `Scorer.refine`."""
        batch, poses = rotations.shape[:2]
        image = torch.arange(batch, device=rotations.device).repeat_interleave(poses)
        rotation, translation = rotations.reshape(-1, 3, 3).float(), translations.reshape(-1, 3).float()
        best = rotation, translation, torch.full((len(image),), -torch.inf, device=rotation.device)
        first = torch.zeros(len(image), 6, device=rotation.device)
        second = torch.zeros_like(first)
        for step in range(settings.refine_steps + 1):
            score, gradient = self._evaluate(image, rotation, translation, True)
            better = score > best[2]
            best = (
                torch.where(better[:, None, None], rotation, best[0]),
                torch.where(better[:, None], translation, best[1]),
                torch.where(better, score, best[2]),
            )
            if step == settings.refine_steps:
                break
            if free:
                along = (gradient[:, 3:] * translation).sum(dim=1, keepdim=True)
                gradient = torch.cat([gradient[:, :5], along], dim=1)
            else:
                gradient = gradient * gradient.new_tensor([1, 1, 1, 0, 0, 0])
            gradient = torch.nan_to_num(gradient / settings.temperature, 0.0, 0.0, 0.0)
            first = settings.refine_beta1 * first + (1 - settings.refine_beta1) * gradient
            second = settings.refine_beta2 * second + (1 - settings.refine_beta2) * gradient**2
            mean = first / (1 - settings.refine_beta1 ** (step + 1))
            spread = second / (1 - settings.refine_beta2 ** (step + 1))
            move = (settings.refine_rate * mean / (spread.sqrt() + 1e-8)).clamp(
                -settings.refine_clip, settings.refine_clip
            )
            rotation = rotation @ torch.linalg.matrix_exp(_hat(move[:, :3]))
            if free:
                shift = torch.cat([move[:, 3:5], torch.zeros_like(move[:, :1])], dim=1)
                translation = (translation + shift) * move[:, 5:].exp()
        return (
            best[0].reshape(batch, poses, 3, 3).double(),
            best[1].reshape(batch, poses, 3).double(),
            best[2].reshape(batch, poses),
        )

    def _evaluate(
        self, image: torch.Tensor, rotation: torch.Tensor, translation: torch.Tensor, gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (N,) and, where asked for, gradients (N, 6) of one pose of image[n] each."""
        problem = self.problem
        turned = problem.vertices[image].float() @ rotation.transpose(1, 2)
        camera = turned + translation[:, None]
        clip = torch.cat([camera, torch.ones_like(camera[..., :1])], dim=-1) @ self._projection[image].transpose(1, 2)
        raster = self.renderer.rasterize(clip, problem.faces, problem.grid)
        face = raster[..., 3].flatten(1).long() - 1
        hit = (face >= 0) & problem.valid[image]
        corners = problem.faces.long()[face.clamp(min=0)]
        ray = self._rays[image]
        rows = torch.arange(len(image), device=image.device)[:, None, None]
        a, b, c = (
            camera[rows[..., 0], corners[..., 0]],
            camera[rows[..., 0], corners[..., 1]],
            camera[rows[..., 0], corners[..., 2]],
        )
        volume = torch.stack(
            [
                _dot(ray, torch.cross(b, c, dim=-1)),
                _dot(ray, torch.cross(c, a, dim=-1)),
                _dot(ray, torch.cross(a, b, dim=-1)),
            ],
            dim=-1,
        )
        total = volume.sum(dim=-1)
        total = torch.where(hit, total, torch.ones_like(total))
        values = problem.similarity[image].float().gather(2, corners)
        found = (volume * values).sum(dim=-1) / total
        empty = problem.background[image].float()
        wins = hit & (found > empty)
        score = torch.where(wins, found, empty).double().mean(dim=1)
        if not gradient:
            return score, score
        weight = torch.where(wins[..., None], (values - found[..., None]) / total[..., None], 0.0)
        out = torch.zeros(len(image), 6, device=image.device)
        for part, (p, q) in enumerate(((b, c), (c, a), (a, b))):
            u, v = torch.cross(q, ray, dim=-1), torch.cross(ray, p, dim=-1)
            centre = translation[:, None]
            turn = torch.cross(p - centre, u, dim=-1) + torch.cross(q - centre, v, dim=-1)
            out += (weight[..., part, None] * torch.cat([turn, u + v], dim=-1)).mean(dim=1)
        turn_object = (rotation.transpose(1, 2) @ out[:, :3, None])[..., 0]
        return score, torch.cat([turn_object, out[:, 3:]], dim=1)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum(dim=-1)


def _hat(v: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(v[:, 0])
    return torch.stack([zero, -v[:, 2], v[:, 1], v[:, 2], zero, -v[:, 0], -v[:, 1], v[:, 0], zero], dim=1).reshape(
        -1, 3, 3
    )


def _clip_matrices(intrinsics: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    from bench3d.geometry.camera import clip_matrix

    return torch.from_numpy(clip_matrix(intrinsics.double().cpu().numpy(), size)).float().to(intrinsics.device)
