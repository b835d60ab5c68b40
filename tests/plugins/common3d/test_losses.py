from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench3d.morphable.views import distance_map
from bench3d.plugins import renderer_for
from bench3d_plugins.common3d import losses
from bench3d_plugins.common3d.fields import SignedDistance
from bench3d_plugins.common3d.labels import render_features, sample_surface, surface_labels


def points(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def test_chamfer_by_hand() -> None:
    # Vertices at x = 0 and 10, cloud at x = 1, 2, 12. Pairs: (0, 1), (10, 12) from the vertices; (0, 1), (0, 2),
    # (10, 12) from the cloud. Vertex 0 is in three pairs, vertex 10 in two: weights 1/3 and 1/2.
    vertices = points((0, 0, 0), (10, 0, 0)).requires_grad_(True)
    cloud = points((1, 0, 0), (2, 0, 0), (12, 0, 0))
    forward = (1 / 3 * 1 + 1 / 2 * 2) / (1 / 3 + 1 / 2)
    backward = (1 / 3 * 1 + 1 / 3 * 2 + 1 / 2 * 2) / (1 / 3 + 1 / 3 + 1 / 2)
    value = losses.chamfer(vertices, cloud)
    assert value.item() == pytest.approx((forward + backward) / 2)
    value.backward()
    assert vertices.grad is not None
    assert vertices.grad[:, 0].tolist() == pytest.approx([-0.5 * (0.4 + 4 / 7), -0.5 * (0.6 + 3 / 7)], abs=1e-5)


def test_chamfer_is_a_distance_and_not_squared() -> None:
    cloud = torch.randn(40, 3)
    assert losses.chamfer(cloud.clone(), cloud).item() == 0
    shifted = losses.chamfer(points((0, 0, 0)), points((0, 0, 3)))
    assert shifted.item() == pytest.approx(3)


def test_many_points_at_one_vertex_do_not_drown_the_others() -> None:
    vertices = points((0, 0, 0), (10, 0, 0))
    crowd = torch.cat([points((1, 0, 0)).expand(1000, 3), points((14, 0, 0))])
    assert losses.chamfer(vertices, crowd).item() > 2  # a plain mean of the second side would be 1.004


def test_mask_losses_by_hand() -> None:
    predicted = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    mask = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    valid = torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    assert losses.mask_error(predicted, mask, valid).item() == pytest.approx(0.25 / 4)
    distance = torch.tensor([[[0.2, 0.4], [0.1, 0.0]]])
    assert losses.mask_distance(predicted, distance).item() == pytest.approx(-(0.2 + 0.5 * 0.4) / 4)


def test_distance_map_is_in_sides_of_the_canvas() -> None:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[16:48, 16:48] = 1
    distances = distance_map(mask)
    assert distances[16, 30] == pytest.approx(1 / 64)
    assert distances[31, 31] == pytest.approx(16 / 64)
    assert distances[0, 0] == 0
    assert (distance_map(np.ones((8, 8), dtype=np.uint8)) == 1).all()


def test_eikonal_of_known_fields() -> None:
    field = SignedDistance(16, 3, 2, 0.9)
    for parameter in field.parameters():
        parameter.data.zero_()
    where = torch.randn(100, 3)
    assert losses.eikonal(field, where).item() == pytest.approx(0, abs=1e-10)  # |p| - 1 is a distance
    field.mlp = torch.nn.Sequential(torch.nn.Linear(field.encoding.channels, 1, bias=False))
    field.mlp[0].weight.data.zero_()
    field.mlp[0].weight.data[0, 2] = 1.0  # phi = |p| - 1 + z: gradient p/|p| + (0, 0, 1)
    along = losses.eikonal(field, points((0, 0, 2), (0, 2, 0)))
    assert along.item() == pytest.approx((1 + (math.sqrt(2) - 1) ** 2) / 2, abs=1e-5)


def test_eikonal_points_cover_the_cube_and_the_surface() -> None:
    vertices = torch.full((30, 3), 0.5)
    drawn = losses.eikonal_points(vertices, 20, 1.1, 0.05, torch.Generator().manual_seed(0))
    assert drawn.shape == (40, 3)
    assert 1.0 < drawn[:20].abs().max() <= 1.1
    assert 0 < (drawn[20:] - 0.5).abs().max() <= 0.05


def test_deformation_losses_by_hand() -> None:
    vertices = points((0, 0, 0), (2, 0, 0), (0, 1, 0))
    moved = vertices + points((0, 0, 1), (3, 4, 1), (0, 0, 1))
    deformed = torch.stack([moved, vertices])
    size = losses.deformation_size(deformed, vertices)
    assert size.item() == pytest.approx((1 + math.sqrt(26) + 1) / 6)
    edges = torch.tensor([[0, 1], [0, 2]])
    smooth = losses.deformation_smoothness(deformed, vertices, edges)
    assert smooth.item() == pytest.approx((5 / 2 + 0) / 4)


def test_gradients_are_finite_where_lengths_vanish() -> None:
    vertices = points((0, 0, 0), (1, 0, 0))
    deformed = vertices[None].clone().requires_grad_(True)
    edges = torch.tensor([[0, 1]])
    total = losses.deformation_size(deformed, vertices) + losses.deformation_smoothness(deformed, vertices, edges)
    (total + losses.chamfer(deformed[0], vertices)).backward()
    assert deformed.grad is not None
    assert torch.isfinite(deformed.grad).all()


def test_labels_sum_to_one_and_are_sharp_at_the_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    vertices = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=1)
    chosen = sample_surface(vertices, 60, generator)
    assert len(set(chosen.tolist())) == 60
    for sigma in ("eq14", 0.01):
        labels = surface_labels(vertices, vertices[chosen], sigma)
        assert torch.allclose(labels.sum(1), torch.ones(400))
        assert torch.equal(labels[chosen].argmax(1), torch.arange(60))
    assert (surface_labels(vertices, vertices[chosen], 0.01)[chosen].max(1).values > 0.99).all()


def test_label_width_is_eq_14_without_a_factor_two() -> None:
    vertices, samples = points((0, 0, 0), (1, 0, 0), (3, 0, 0)), points((0, 0, 0), (3, 0, 0))
    # Squared distances to the nearest sample: 0, 1, 0, so sigma^2 = 1/3; the middle vertex: exp(-3) against exp(-12).
    labels = surface_labels(vertices, samples, "eq14")
    assert labels[1, 0].item() == pytest.approx(1 / (1 + math.exp(-9)), abs=1e-6)
    assert surface_labels(vertices, samples, 2.0)[1, 0].item() == pytest.approx(1 / (1 + math.exp(-3 / 4)))


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A square of four vertices in the middle half of the picture, its faces, labels and class features."""
    xy = torch.tensor([[-0.52, -0.52], [0.52, -0.52], [0.52, 0.52], [-0.52, 0.52]])
    clip = torch.cat([xy, torch.zeros(4, 1), torch.ones(4, 1)], dim=1)[None]
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    generator = torch.Generator().manual_seed(1)
    labels = torch.rand(4, 3, generator=generator).softmax(1)
    classes = torch.nn.functional.normalize(torch.randn(4, 5, generator=generator), dim=1)
    return clip, faces, labels, classes


def test_appearance_equals_the_cross_entropy_of_rendered_labels() -> None:
    renderer = renderer_for("cpu")
    clip, faces, labels, classes = scene()
    raster = renderer.rasterize(clip, faces, (8, 8))
    valid = torch.ones(1, 8, 8)
    valid[:, :, :3] = 0
    features = torch.nn.functional.normalize(torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(2)), dim=1)
    target = render_features(renderer, raster, clip, faces, labels @ classes[:-1], classes[-1], valid)
    value = losses.appearance(features, target, classes, 0.07)

    with_background = torch.cat([labels, torch.zeros(4, 1)], dim=1)
    soft = renderer.interpolate(with_background[None], raster, faces)
    nothing = torch.tensor([0.0, 0, 0, 1])
    soft = torch.where(raster[..., 3:] > 0, soft, nothing)
    soft = renderer.antialias(soft, raster, clip, faces)
    soft = torch.where(valid[..., None] > 0, soft, nothing)
    assert ((soft[..., 3] > 0) & (soft[..., 3] < 1)).any()  # antialiased silhouettes are part of it
    logits = torch.einsum("bdhw,kd->bkhw", features, classes) / 0.07
    expected = torch.nn.functional.cross_entropy(logits, soft.permute(0, 3, 1, 2))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_appearance_prefers_matching_features_and_its_gradient_leads_there() -> None:
    renderer = renderer_for("cpu")
    clip, faces, _, classes = scene()
    labels = torch.eye(4)[:, :3]
    labels[3, 0] = 1
    raster = renderer.rasterize(clip, faces, (8, 8))
    target = render_features(renderer, raster, clip, faces, labels @ classes[:-1], classes[-1], torch.ones(1, 8, 8))
    wrong = torch.nn.functional.normalize(torch.ones(1, 5, 8, 8), dim=1).requires_grad_(True)
    matching = torch.nn.functional.normalize(target.permute(0, 3, 1, 2), dim=1)
    before = losses.appearance(wrong, target, classes, 0.07)
    assert losses.appearance(matching, target, classes, 0.07) < 0.7 * before
    (slope,) = torch.autograd.grad(before, wrong)
    stepped = torch.nn.functional.normalize(wrong - 5 * slope, dim=1)
    assert losses.appearance(stepped, target, classes, 0.07) < before
