"""The CPU renderer: values by hand, gradients against finite differences and independent formulas."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from bench3d.contracts import Renderer
from bench3d.geometry.camera import clip_matrix
from bench3d.geometry.rotations import random_rotations
from bench3d.plugins import renderer_for
from bench3d_plugins.renderer_cpu import topology
from bench3d_plugins.renderer_cpu.renderer import CpuRenderer

RENDERER = CpuRenderer()


def to_clip(pixels, size, w=1.0, z=0.0):
    """Pixel coordinates (V, 2) and z/w to clip space (1, V, 4)."""
    pixels = torch.as_tensor(pixels, dtype=torch.float64)
    w = torch.as_tensor(w, dtype=torch.float64).expand(len(pixels))
    z = torch.as_tensor(z, dtype=torch.float64).expand(len(pixels))
    ndc = 2 * pixels / torch.tensor([size[1], size[0]]) - 1
    return torch.cat([ndc * w[:, None], (z * w)[:, None], w[:, None]], dim=1).float()[None]


def blob(rings, segments, rng):
    """A smooth closed surface of radius about 0.8: (V, 3), (F, 3). The poles are fans of flat triangles."""
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), 2 * np.pi * np.arange(segments) / segments, indexing="ij"
    )
    points = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], -1).reshape(-1, 3)
    a = (np.arange(rings)[:, None] * segments + np.arange(segments)).reshape(-1)
    b = (np.arange(rings)[:, None] * segments + (np.arange(segments) + 1) % segments).reshape(-1)
    faces = np.concatenate([np.stack([a, a + segments, b], 1), np.stack([b, a + segments, b + segments], 1)])
    bumps = np.sin(points @ (2 * rng.standard_normal((3, 6)))) @ (0.06 * rng.standard_normal((6, 1)))
    return 0.8 * points * (1 + bumps) @ random_rotations(1, rng)[0].T, faces.astype(np.int32)


def test_it_is_the_renderer_for_the_cpu():
    renderer = renderer_for("cpu")
    assert isinstance(renderer, Renderer)
    assert renderer.name == "cpu"


def test_interpolation_by_hand():
    clip = to_clip([(0, 0), (4, 0), (0, 4)], (4, 4), w=[1.0, 2.0, 4.0])
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    raster = RENDERER.rasterize(clip, faces, (4, 4))
    values = torch.tensor([[[1.0, 10], [2, 20], [3, 30]]])
    out = RENDERER.interpolate(values, raster, faces)
    shares = np.array([0.75, 0.0625, 0.03125]) / 0.84375
    assert out[0, 0, 0].tolist() == pytest.approx([shares @ [1, 2, 3], shares @ [10, 20, 30]], rel=1e-5)
    assert (out[0, 3] == 0).all()


def reference_interpolation(clip, ids, faces, attributes, size):
    """Float64, from screen areas: an implementation of other formulas than the kernel's, for fixed triangles."""
    height, width = size
    rows, columns = np.nonzero(ids)
    pixels = np.stack([columns, rows], 1) + 0.5
    corners = clip[faces[ids[rows, columns] - 1]]
    screen = (corners[..., :2] / corners[..., 3:] + 1) / 2 * [width, height]

    def area(p, q, r):
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    a, b, c = screen[:, 0], screen[:, 1], screen[:, 2]
    weights = np.stack([area(pixels, b, c), area(pixels, c, a), area(pixels, a, b)], 1) / corners[..., 3]
    weights /= weights.sum(axis=1, keepdims=True)
    out = np.zeros((height, width, attributes.shape[1]))
    out[rows, columns] = np.einsum("nk,nkc->nc", weights, attributes[faces[ids[rows, columns] - 1]])
    return out


def test_interpolation_gradient_against_finite_differences():
    """Central differences (step 1e-6) of a float64 reference; tolerance 1e-4 of the largest entry."""
    rng = np.random.default_rng(1)
    points, faces = blob(6, 9, rng)
    size = (40, 56)
    matrix = clip_matrix(np.array([[60.0, 0, 28], [0, 60, 20], [0, 0, 1]]), (56, 40))
    clip = np.concatenate([points + [0, 0, 3], np.ones((len(points), 1))], axis=1) @ matrix.T
    attributes, slopes = rng.standard_normal((len(points), 3)), rng.standard_normal((*size, 3))
    leaf = torch.tensor(clip[None], dtype=torch.float32, requires_grad=True)
    triangles = torch.tensor(faces)
    raster = RENDERER.rasterize(leaf, triangles, size)
    out = RENDERER.interpolate(torch.tensor(attributes[None], dtype=torch.float32), raster, triangles)
    (out[0] * torch.tensor(slopes, dtype=torch.float32)).sum().backward()
    ids = raster[0, ..., 3].detach().numpy().astype(int)
    reference = reference_interpolation(clip, ids, faces, attributes, size)
    assert np.abs(out[0].detach().numpy() - reference).max() < 1e-3
    expected = np.zeros_like(clip)
    for v in range(len(points)):
        for k in (0, 1, 3):
            step = np.zeros_like(clip)
            step[v, k] = 1e-6
            high, low = (reference_interpolation(clip + s * step, ids, faces, attributes, size) for s in (1, -1))
            expected[v, k] = ((high - low) * slopes).sum() / 2e-6
    assert np.abs(leaf.grad[0].numpy() - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("shared", [True, False])
def test_attribute_gradient_is_the_exact_transpose(shared):
    """Against autograd through a plain gather, with more channels than one block."""
    rng = np.random.default_rng(2)
    points, faces = blob(5, 7, rng)
    clip = torch.tensor(points[None] * [[[1.0]], [[0.7]], [[0.9]]], dtype=torch.float32)
    clip = torch.cat([clip, torch.ones(3, len(points), 1)], dim=2)
    triangles = torch.tensor(faces)
    raster = RENDERER.rasterize(clip, triangles, (24, 24))
    values = torch.tensor(rng.standard_normal((1 if shared else 3, len(points), 21)), dtype=torch.float32)
    values.requires_grad_()
    slopes = torch.tensor(rng.standard_normal((3, 24, 24, 21)), dtype=torch.float32)
    ours = RENDERER.interpolate(values, raster, triangles)
    corners = triangles.long()[raster[..., 3].long().clamp(min=1) - 1]
    u, v = raster[..., 0], raster[..., 1]
    weights = torch.stack([u, v, 1 - u - v], dim=-1) * (raster[..., 3:] > 0)
    gathered = torch.stack([values.expand(3, -1, -1)[b][corners[b]] for b in range(3)])
    theirs = (gathered * weights[..., None]).sum(dim=-2)
    assert torch.allclose(ours, theirs, atol=1e-5)
    mine, other = (torch.autograd.grad((x * slopes).sum(), values)[0] for x in (ours, theirs))
    assert mine.shape == values.shape
    assert torch.allclose(mine, other, atol=1e-4)


def rectangle(right):
    """Two triangles from x = -1 to `right`, over all rows of a 4 x 4 image."""
    return to_clip([(-1, -1), (right, -1), (right, 5), (-1, 5)], (4, 4)), torch.tensor([[0, 1, 2], [0, 2, 3]]).int()


@pytest.mark.parametrize(("right", "expected"), [(2.3, [1, 1, 0.3, 0]), (1.7, [1, 0.7, 0, 0]), (2.0, [1, 1, 0, 0])])
def test_a_vertical_edge_by_hand(right, expected):
    clip, faces = rectangle(right)
    clip.requires_grad_()
    raster = RENDERER.rasterize(clip, faces, (4, 4))
    mask = RENDERER.antialias((raster[..., 3:] > 0).float(), raster, clip, faces)
    assert mask[0, :, :, 0].numpy(force=True) == pytest.approx(np.tile(expected, (4, 1)), abs=1e-5)
    if right != 2.0:
        mask.sum().backward()
        # Four rows, each grows by one pixel per pixel; half a pixel is 1 / 4 of NDC: d/dx_ndc = 4 * 2 over both ends.
        assert clip.grad[0, 1:3, 0].sum().item() == pytest.approx(8.0, rel=1e-5)
        assert clip.grad[0, [0, 3], 0].abs().max() == 0


def test_a_horizontal_edge_and_the_colour_behind():
    clip, faces = rectangle(2.3)
    clip = clip[..., [1, 0, 2, 3]]
    raster = RENDERER.rasterize(clip, faces, (4, 4))
    colour = torch.where(raster[..., 3:] > 0, 5.0, 1.0)
    out = RENDERER.antialias(colour, raster, clip, faces)
    assert out[0, :, 1, 0].tolist() == pytest.approx([5, 5, 1 + 0.3 * 4, 1], abs=1e-5)


def test_edges_inside_the_surface_do_not_blend():
    clip, faces = rectangle(9.0)
    raster = RENDERER.rasterize(clip, faces, (4, 4))
    assert len(raster[..., 3].unique()) == 2
    assert torch.equal(RENDERER.antialias(raster[..., 3:], raster, clip, faces), raster[..., 3:])


def test_colour_gradient_is_the_transpose_of_the_blending():
    rng = np.random.default_rng(3)
    points, faces = blob(6, 9, rng)
    clip = torch.cat([torch.tensor(points), torch.ones(len(points), 1)], dim=1).float()[None]
    triangles = torch.tensor(faces)
    raster = RENDERER.rasterize(clip, triangles, (32, 48))
    x, y = (torch.tensor(rng.standard_normal((1, 32, 48, 3)), dtype=torch.float32) for _ in range(2))
    x.requires_grad_()
    blended = RENDERER.antialias(x, raster, clip, triangles)
    assert not torch.equal(blended, x)
    (transposed,) = torch.autograd.grad((blended * y).sum(), x)
    assert (blended * y).sum().item() == pytest.approx((x * transposed).sum().item(), rel=1e-4)


def test_position_gradient_is_the_derivative_of_the_blending():
    """Central differences of the antialiased image itself (float32, step 1e-4), where no crossing changes pixels."""
    rng = np.random.default_rng(4)
    pixels = torch.tensor([(3.3, 4.1), (27.2, 9.4), (12.9, 28.6)], dtype=torch.float64)
    w, faces = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[0, 1, 2]]).int()
    slopes = torch.tensor(rng.standard_normal((1, 32, 32, 1)), dtype=torch.float32)
    leaf = to_clip(pixels, (32, 32), w=w).requires_grad_()
    raster = RENDERER.rasterize(leaf, faces, (32, 32)).detach()
    mask = (raster[..., 3:] > 0).float()

    def loss(clip):
        return (RENDERER.antialias(mask, raster, clip, faces) * slopes).sum()

    loss(leaf).backward()
    for v in range(3):
        for k in (0, 1, 3):
            step = torch.zeros_like(leaf)
            step[0, v, k] = 1e-4
            expected = (loss(leaf.detach() + step) - loss(leaf.detach() - step)).item() / 2e-4
            assert leaf.grad[0, v, k].item() == pytest.approx(expected, abs=0.01 * leaf.grad.abs().max().item())


def silhouette_gradient_error(rings, segments, size, seed, renderer, fine=16):
    """Relative error of d(loss)/d(translation, log scale, rotation) for a loss that is linear in the coverage.

    Truth: central differences of the coverage counted on fine x fine samples per pixel (step 0.02: half a pixel).
    """
    rng = np.random.default_rng(seed)
    points, faces = blob(rings, segments, rng)
    triangles = torch.tensor(faces)
    weights = torch.nn.functional.interpolate(torch.tensor(rng.standard_normal((1, 1, 4, 4))), size, mode="bicubic")[
        0, 0
    ]

    def transformed(p):
        k = torch.zeros(3, 3, dtype=torch.float64)
        for axis, (i, j) in enumerate([(2, 1), (0, 2), (1, 0)]):
            unit = torch.zeros(3, 3, dtype=torch.float64)
            unit[i, j], unit[j, i] = 1, -1
            k = k + p[4 + axis] * unit
        moved = torch.exp(p[3]) * torch.tensor(points) @ torch.matrix_exp(k).T + p[:3]
        moved = moved + torch.tensor([0.0, 0.0, 4.0])
        matrix = clip_matrix(np.array([[1.6 * size, 0, size / 2], [0, 1.6 * size, size / 2], [0, 0, 1]]), (size, size))
        return (torch.cat([moved, torch.ones(len(moved), 1)], dim=1) @ torch.tensor(matrix).T).float()[None]

    leaf = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    clip = transformed(leaf)
    raster = renderer.rasterize(clip, triangles, (size, size))
    mask = renderer.antialias((raster[..., 3:] > 0).float(), raster, clip, triangles)
    (mask[0, ..., 0] * weights).sum().backward()
    expected = torch.zeros(7, dtype=torch.float64)
    for k in range(7):
        for sign in (1, -1):
            moved = torch.zeros(7, dtype=torch.float64)
            moved[k] = sign * 0.02
            samples = renderer.rasterize(transformed(moved), triangles, (size * fine, size * fine))[0, ..., 3] > 0
            coverage = samples.reshape(size, fine, size, fine).double().mean(dim=(1, 3))
            expected[k] += sign * (coverage * weights).sum() / 0.04
    return float((leaf.grad - expected).norm() / expected.norm())


@pytest.mark.parametrize(("rings", "segments"), [(8, 10), (24, 25)])
def test_silhouette_gradients_against_supersampled_coverage(rings, segments):
    """64 x 64 pixels, triangles of about 6 and 2 pixels; over 12 shapes: median 3.2 and 3.4 %, worst 7.7 and 9.1 %."""
    errors = [silhouette_gradient_error(rings, segments, 64, seed, RENDERER) for seed in range(4)]
    assert np.median(errors) < 0.05
    assert max(errors) < 0.15


def test_following_the_surface_is_what_small_triangles_need():
    """The published algorithm looks at the nearer pixel's triangle only and loses most of the gradient here."""
    assert silhouette_gradient_error(24, 25, 64, 0, CpuRenderer(walk=0), fine=8) > 0.3


def test_more_threads_change_no_bit():
    here = digest()
    folder = os.path.dirname(__file__)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_renderer_cpu as t; print(t.digest())"
    for threads in ("1", "3"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == here, done.stderr


def digest():
    """Forward and backward of everything, at sizes that are split into bands, as a hash."""
    rng = np.random.default_rng(5)
    points, faces = blob(12, 15, rng)
    hasher = hashlib.sha256()
    for batch, size in ((1, (150, 130)), (5, (33, 40))):
        scale = torch.linspace(0.8, 1.0, batch)[:, None, None]
        clip = torch.cat([torch.tensor(points).float() * scale, torch.ones(batch, len(points), 1)], dim=2)
        clip.requires_grad_()
        triangles = torch.tensor(faces)
        values = torch.tensor(rng.standard_normal((1, len(points), 20)), dtype=torch.float32, requires_grad=True)
        raster = RENDERER.rasterize(clip, triangles, size)
        image = RENDERER.antialias(RENDERER.interpolate(values, raster, triangles), raster, clip, triangles)
        (image * torch.tensor(rng.standard_normal(tuple(image.shape)), dtype=torch.float32)).sum().backward()
        for tensor in (raster, image, clip.grad, values.grad):
            hasher.update(tensor.numpy(force=True).tobytes())
    return hasher.hexdigest()


def test_topology_notices_changed_faces_and_takes_odd_edges():
    cache = topology.TopologyCache(size=2)
    faces = np.array([[0, 1, 2], [1, 0, 3]], dtype=np.int32)
    first = cache.get(faces)
    assert cache.get(faces.copy()) is first
    assert first.ends.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]]
    assert first.face_edges.tolist() == [[0, 3, 1], [0, 2, 4]]
    assert first.opposites[first.starts[0] : first.starts[1]].tolist() == [2, 3]
    faces[1] = [1, 0, 4]
    assert cache.get(faces).ends.tolist() == [[0, 1], [0, 2], [0, 4], [1, 2], [1, 4]]
    book = topology.build_topology(np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]], dtype=np.int32))
    assert book.opposites[book.starts[0] : book.starts[1]].tolist() == [2, 3, 4]
    assert topology.build_topology(np.zeros((0, 3), dtype=np.int32)).ends.shape == (0, 2)


def test_no_faces_and_no_images():
    clip, faces = rectangle(2.3)
    for given, triangles in ((clip, faces[:0]), (clip[:0], faces)):
        points = given.clone().requires_grad_()
        raster = RENDERER.rasterize(points, triangles, (4, 4))
        image = RENDERER.interpolate(torch.ones(1, 4, 2), raster, triangles)
        out = RENDERER.antialias(image, raster, points, triangles)
        assert out.shape == (len(points), 4, 4, 2)
        out.sum().backward()
        assert not points.grad.any()


def test_a_raster_of_other_faces_is_refused():
    clip, faces = rectangle(9.0)
    raster = RENDERER.rasterize(clip, faces, (4, 4))
    with pytest.raises(ValueError, match="other faces"):
        RENDERER.interpolate(torch.ones(1, 4, 1), raster, faces[:1])
    with pytest.raises(ValueError, match="other faces"):
        RENDERER.antialias(torch.ones(1, 4, 4, 1), raster, clip, faces[:1])
    with pytest.raises(ValueError, match="face indices"):
        RENDERER.interpolate(torch.ones(1, 2, 1), raster, faces)
    with pytest.raises(ValueError, match="attributes"):
        RENDERER.interpolate(torch.ones(2, 4, 1), raster, faces)
    with pytest.raises(ValueError, match="do not fit"):
        RENDERER.antialias(torch.ones(1, 5, 4, 1), raster, clip, faces)
