"""Render-and-compare: exact gradients, agreement of both scorers, recovery of known poses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench3d.geometry.camera import start_rotations, viewpoint_rotation
from bench3d.geometry.rotations import geodesic_angle, so3_exp
from bench3d.morphable import scorer as kernels
from bench3d.morphable.pose import Instance, estimate_pose, pose_problem
from bench3d.morphable.pose_cpu import CpuScorer
from bench3d.morphable.settings import PoseSettings
from bench3d.morphable.starts import box_translations

CANVAS, GRID = 128, 32


def ellipsoid(rings: int = 16, sectors: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A bumpy closed mesh without symmetry, (V, 3) and (F, 3) int32."""
    theta, phi = np.linspace(0.01, np.pi - 0.01, rings), np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    radius = 1 + 0.15 * np.sin(2 * p + t) * np.sin(t)
    points = np.stack([0.6 * np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), 0.7 * np.cos(t)], -1) * radius[..., None]
    a = (np.arange(rings - 1)[:, None] * sectors + np.arange(sectors)[None]).ravel()
    b = (np.arange(rings - 1)[:, None] * sectors + (np.arange(sectors)[None] + 1) % sectors).ravel()
    faces = np.concatenate([np.stack([a, b, a + sectors], 1), np.stack([b, b + sectors, a + sectors], 1)])
    points = points.reshape(-1, 3)
    return points / np.abs(points).max(), faces.astype(np.int32)


def rendered_features(
    vertices: np.ndarray,
    faces: np.ndarray,
    colours: torch.Tensor,
    back: torch.Tensor,
    rotation: np.ndarray,
    translation: np.ndarray,
    intrinsics: np.ndarray,
) -> torch.Tensor:
    """Feature map (D, GRID, GRID) of a mesh with a feature per vertex, by brute-force ray casting over triangles."""
    scale = np.array([[GRID / CANVAS], [GRID / CANVAS], [1.0]])
    k = intrinsics * scale
    camera = vertices @ rotation.T + translation
    ys, xs = np.meshgrid(np.arange(GRID) + 0.5, np.arange(GRID) + 0.5, indexing="ij")
    rays = np.stack([(xs - k[0, 2]) / k[0, 0], (ys - k[1, 2]) / k[1, 1], np.ones_like(xs)], -1).reshape(-1, 3)
    corners = camera[faces]
    best = np.full(len(rays), np.inf)
    out = back[None].repeat(len(rays), 1)
    for triangle, index in zip(corners, faces, strict=True):
        w = rays @ np.stack([np.cross(triangle[(i + 1) % 3], triangle[(i + 2) % 3]) for i in range(3)], 1)
        total = w.sum(1)
        b = w / np.where(total == 0, 1e-12, total)[:, None]
        depth = b @ triangle[:, 2]
        hit = (b >= 0).all(1) & (depth > 0) & (depth < best)
        best[hit] = depth[hit]
        out[torch.from_numpy(hit)] = torch.from_numpy(b[hit]).float() @ colours[index]
    return torch.nn.functional.normalize(out, dim=1).T.reshape(-1, GRID, GRID)


@pytest.fixture(scope="module")
def scene() -> dict[str, torch.Tensor]:
    """Four images of the bumpy mesh with smooth vertex features, and their true poses."""
    rng = np.random.default_rng(3)
    vertices, faces = ellipsoid()
    basis = rng.standard_normal((3, 12)) * 1.5
    colours = torch.from_numpy(np.concatenate([np.sin(vertices @ basis), np.cos(vertices @ basis)], 1)).float()
    colours = torch.nn.functional.normalize(colours, dim=1)
    back = torch.nn.functional.normalize(-colours.mean(0), dim=0)
    rotations = viewpoint_rotation(
        rng.uniform(0, 360, 4),
        rng.uniform(-20, 50, 4),
        rng.uniform(-15, 15, 4),  # type: ignore[arg-type]
    )
    translations = np.stack([rng.uniform(-0.2, 0.2, 4), rng.uniform(-0.2, 0.2, 4), rng.uniform(4, 5, 4)], 1)
    k = np.array([[230.0, 0, 64], [0, 230.0, 64], [0, 0, 1]])
    maps = [rendered_features(vertices, faces, colours, back, rotations[n], translations[n], k) for n in range(4)]
    return {
        "features": torch.stack(maps),
        "valid": torch.ones(4, 1, CANVAS, CANVAS),
        "vertices": torch.from_numpy(vertices).float().expand(4, -1, -1),
        "faces": torch.from_numpy(faces),
        "vertex_features": colours,
        "background": back,
        "intrinsics": torch.from_numpy(k).expand(4, 3, 3),
        "rotation": torch.from_numpy(rotations),
        "translation": torch.from_numpy(translations),
    }


def problem_of(scene: dict[str, torch.Tensor]) -> tuple:
    keys = ("features", "vertices", "faces", "vertex_features", "background")
    return Instance(*(scene[key] for key in keys)), scene["valid"], scene["intrinsics"]


def degrees(estimate: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
    return np.rad2deg(geodesic_angle(estimate.double().numpy(), truth.numpy()))


def test_starts_are_144_distinct_rotations() -> None:
    starts = start_rotations()
    assert starts.shape == (144, 3, 3)
    np.testing.assert_allclose(starts @ starts.transpose(0, 2, 1), np.broadcast_to(np.eye(3), starts.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(starts), 1)
    nearest = geodesic_angle(starts[:, None], starts[None]) + 10 * np.eye(144)
    assert np.rad2deg(nearest.min()) > 10


def test_gradient_equals_finite_differences_inside_a_triangle() -> None:
    rng = np.random.default_rng(0)
    vertices = np.array([[-30.0, -20.0, 1.0], [30.0, -20.0, -2.0], [0.0, 40.0, 0.5]])
    faces = np.array([[0, 1, 2]], np.int32)
    similarity = rng.standard_normal((1, 256, 3)).astype(np.float32) + 5
    rest = (np.zeros((1, 256), np.float32), np.ones((1, 256), bool))
    k = np.array([[[40.0, 0, 8], [0, 40.0, 8], [0, 0, 1]]])
    rotation, translation = so3_exp(np.array([0.1, 0.2, 0.3])), np.array([0.2, -0.3, 16.0])
    _, gradient = kernels.score_gradient(
        similarity[0], rest[0][0], rest[1][0], vertices, faces, rotation, translation, k[0], 16, 16
    )

    def score(step: np.ndarray) -> float:
        turned = (rotation @ so3_exp(step[:3]))[None, None]
        moved = (translation + step[3:])[None, None]
        return kernels.score_poses(similarity, *rest, vertices[None], faces, turned, moved, k, 16, 16)[0, 0]

    numeric = [(score(e) - score(-e)) / 2e-5 for e in np.eye(6) * 1e-5]
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


def test_known_poses_are_found(scene: dict[str, torch.Tensor]) -> None:
    estimate = estimate_pose(*problem_of(scene), CANVAS, scene["translation"], PoseSettings())
    assert estimate.start_rotation is not None
    start, final = degrees(estimate.start_rotation, scene["rotation"]), degrees(estimate.rotation, scene["rotation"])
    assert (final < 3).all(), final
    assert start.mean() > final.mean() + 5


def test_wrong_features_are_not_found(scene: dict[str, torch.Tensor]) -> None:
    """The test above can fail: shuffled vertex features lose the pose."""
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(scene["vertex_features"])))
    shuffled = {**scene, "vertex_features": scene["vertex_features"][order]}
    estimate = estimate_pose(*problem_of(shuffled), CANVAS, scene["translation"], PoseSettings())
    assert degrees(estimate.rotation, scene["rotation"]).max() > 20


def test_translation_is_estimated_from_a_box(scene: dict[str, torch.Tensor]) -> None:
    boxes = []
    for n in range(4):
        camera = scene["vertices"][n].double() @ scene["rotation"][n].T + scene["translation"][n]
        pixels = camera @ scene["intrinsics"][n].T
        pixels = pixels[:, :2] / pixels[:, 2:]
        boxes.append(torch.cat([pixels.min(0).values, pixels.max(0).values]))
    estimate = estimate_pose(*problem_of(scene), CANVAS, None, PoseSettings(refine_steps=60), box=torch.stack(boxes))
    assert (degrees(estimate.rotation, scene["rotation"]) < 6).all()
    offset = (estimate.translation - scene["translation"]).abs()
    assert (offset[:, :2] < 0.08).all() and (offset[:, 2] < 0.4).all()
    with pytest.raises(ValueError, match="box"):
        estimate_pose(*problem_of(scene), CANVAS, None, PoseSettings())


def test_box_translation_fills_the_box() -> None:
    vertices, _ = ellipsoid()
    k = np.array([[300.0, 0, 64], [0, 300.0, 60], [0, 0, 1]])
    rotations = start_rotations()[::7]
    box = np.array([20.0, 30.0, 100.0, 95.0])
    moved = np.einsum("sij,vj->svi", rotations, vertices) + box_translations(vertices, rotations, k, box)[:, None]
    pixels = (moved @ k.T)[..., :2] / moved[..., 2:]
    low, high = pixels.min(1), pixels.max(1)
    np.testing.assert_allclose((low + high) / 2, np.broadcast_to([60, 62.5], low.shape), atol=0.5)
    np.testing.assert_allclose(np.hypot(*(high - low).T), np.hypot(80, 65), rtol=0.01)


def test_batch_and_singles_agree(scene: dict[str, torch.Tensor]) -> None:
    whole = estimate_pose(*problem_of(scene), CANVAS, scene["translation"], PoseSettings(refine_starts=2))
    for n in range(4):
        one = {
            key: value if key in ("faces", "vertex_features", "background") else value[n : n + 1]
            for key, value in scene.items()
        }
        single = estimate_pose(*problem_of(one), CANVAS, one["translation"], PoseSettings(refine_starts=2))
        assert degrees(single.rotation, whole.rotation[n : n + 1].double())[0] < 1e-2


def test_padding_counts_as_background(scene: dict[str, torch.Tensor]) -> None:
    padded = {**scene, "valid": torch.zeros_like(scene["valid"])}
    problem = pose_problem(*problem_of(padded), CANVAS)
    scores = CpuScorer(problem).score(scene["rotation"][:, None], scene["translation"][:, None])
    torch.testing.assert_close(scores[:, 0].float(), problem.background.mean(dim=1))


def test_torch_scorer_agrees_with_the_kernels(scene: dict[str, torch.Tensor]) -> None:
    """Both share the formulas, not the code; visibility comes from another rasteriser."""
    from bench3d.morphable.pose_torch import TorchScorer
    from bench3d.plugins import renderer_for

    problem = pose_problem(*problem_of(scene), CANVAS)
    rotations = torch.from_numpy(start_rotations()[::9].copy()).expand(4, -1, 3, 3).contiguous()
    translations = scene["translation"][:, None].expand(-1, rotations.shape[1], 3).contiguous()
    fast, general = CpuScorer(problem), TorchScorer(problem, renderer_for("cpu"))
    expected = fast.score(rotations, translations)
    assert (general.score(rotations, translations) - expected).abs().max() < 2e-3
    assert expected.std() > 0.02
    for free in (False, True):
        near = scene["rotation"] @ torch.from_numpy(so3_exp(np.array([0.15, -0.1, 0.1])))
        args = (near[:, None], scene["translation"][:, None], PoseSettings(), free)
        a, b = fast.refine(*args), general.refine(*args)
        assert (a[2] - b[2]).abs().max() < 3e-3
        assert degrees(a[0][:, 0], b[0][:, 0]).max() < 2
