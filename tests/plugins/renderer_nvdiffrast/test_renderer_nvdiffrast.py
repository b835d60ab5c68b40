"""The nvdiffrast renderer: against the CPU one where there is a GPU, its conversions against a stand-in elsewhere."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from bench3d.errors import PluginError
from bench3d_plugins.renderer_cpu.renderer import CpuRenderer
from bench3d_plugins.renderer_nvdiffrast.renderer import NvdiffrastRenderer, create

INSTALLED = importlib.util.find_spec("nvdiffrast") is not None
needs_gpu = pytest.mark.skipif(
    not (INSTALLED and torch.cuda.is_available()), reason="needs a CUDA device and nvdiffrast"
)
PUBLISHED = CpuRenderer(walk=0)


def scene(batch=3, behind=False):
    """Two intersecting tetrahedra of triangles many pixels large: clip (B, 8, 4), faces (8, 3)."""
    rng = np.random.default_rng(0)
    corners = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.6
    points = np.concatenate([corners, -0.8 * corners[:, [1, 0, 2]] + [0.15, 0.1, 0.2]])
    one = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    clip = np.empty((batch, 8, 4))
    for b in range(batch):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        x, y, z = (points @ turn.T).T
        depth = z + 3
        clip[b] = np.stack([2 * x, 2 * y, depth - 2 * 1.0, depth], axis=1)
    if behind:
        clip[1, 2] = [0.3, 0.2, -1.0, -0.5]
        clip[2, :, 3] = -1
    return torch.tensor(clip, dtype=torch.float32), torch.tensor(np.concatenate([one, one + 4]), dtype=torch.int32)


def stand_in():
    """nvdiffrast.torch as far as the renderer uses it, drawn by the CPU renderer; strict about its arguments."""

    def strict(*tensors, faces):
        assert all(t.dtype == torch.float32 and t.is_contiguous() for t in tensors)
        assert faces.dtype == torch.int32
        assert faces.is_contiguous()

    def rasterize(context, pos, tri, resolution, grad_db):
        strict(pos, faces=tri)
        assert not grad_db
        assert (pos[:, tri.long(), 3] > 0).all(), "nvdiffrast would clip these"
        return PUBLISHED.rasterize(pos, tri, tuple(resolution)), None

    def interpolate(attr, rast, tri):
        strict(attr, rast, faces=tri)
        return PUBLISHED.interpolate(attr, rast, tri), None

    def antialias(color, rast, pos, tri):
        strict(color, rast, pos, faces=tri)
        return PUBLISHED.antialias(color, rast, pos, tri)

    module = types.ModuleType("nvdiffrast.torch")
    module.__dict__.update(
        rasterize=rasterize, interpolate=interpolate, antialias=antialias, RasterizeCudaContext=lambda device: None
    )
    package = types.ModuleType("nvdiffrast")
    package.torch = module
    return {"nvdiffrast": package, "nvdiffrast.torch": module}


@pytest.fixture
def renderer(monkeypatch):
    for name, module in stand_in().items():
        monkeypatch.setitem(sys.modules, name, module)
    return create("cuda")


def run(renderer, clip, faces, device="cpu"):
    """(raster, picture, gradient to clip, gradient to the attributes) on the CPU."""
    clip = clip.to(device).requires_grad_()
    faces = faces.to(device)
    values = torch.linspace(-1, 1, 8 * 3, device=device).reshape(1, 8, 3).requires_grad_()
    raster = renderer.rasterize(clip, faces, (40, 56))
    picture = renderer.antialias(renderer.interpolate(values, raster, faces), raster, clip, faces)
    slopes = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0)).to(device)
    (picture * slopes).sum().backward()
    return [t.detach().cpu() for t in (raster, picture, clip.grad, values.grad)]


@pytest.mark.parametrize("behind", [False, True])
def test_arguments_and_dropped_triangles(renderer, behind):
    """The stand-in refuses triangles behind the camera, so that they have to be taken out and the ids put back."""
    clip, faces = scene(behind=behind)
    for mine, other in zip(run(renderer, clip, faces), run(PUBLISHED, clip, faces), strict=True):
        assert torch.equal(mine, other)


def test_other_types_and_strides_are_converted(renderer):
    clip, faces = scene(1)
    odd = clip.double().transpose(1, 2).contiguous().transpose(1, 2)
    raster = renderer.rasterize(odd, faces.long(), (8, 16))
    assert torch.equal(raster, PUBLISHED.rasterize(clip, faces, (8, 16)))
    colour = torch.rand(1, 3, 8, 16).permute(0, 2, 3, 1)
    ours = renderer.antialias(colour, raster, odd, faces.long())
    assert torch.equal(ours, PUBLISHED.antialias(colour, raster, clip, faces))


def test_nothing_to_draw(renderer):
    clip, faces = scene(2)
    for points, triangles in ((clip[:0], faces), (clip, faces[:0])):
        raster = renderer.rasterize(points, triangles, (4, 6))
        assert raster.shape == (len(points), 4, 6, 4)
        assert not raster.any()
        image = renderer.interpolate(torch.ones(1, 8, 2), raster, triangles)
        assert renderer.antialias(image, raster, points, triangles).shape == (len(points), 4, 6, 2)


@pytest.mark.skipif(INSTALLED, reason="nvdiffrast is installed")
def test_without_nvdiffrast_the_error_says_how_to_get_it():
    with pytest.raises(PluginError, match="pip install"):
        NvdiffrastRenderer("cuda")


def test_registering_imports_neither_torch_nor_nvdiffrast():
    code = (
        "import sys, bench3d_plugins.renderer_nvdiffrast as p, bench3d_plugins.renderer_cpu as c;"
        "nv, cpu = p.bench3d_register()[0], c.bench3d_register()[0];"
        "assert nv.priority > cpu.priority and nv.extras == ('nvdiffrast',) and nv.install;"
        "print(sorted({'torch', 'numpy', 'numba', 'nvdiffrast'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@needs_gpu
@pytest.mark.parametrize("behind", [False, True])
def test_cuda_agrees_with_the_cpu(behind):
    """Ids may differ where a centre lies on an edge (nvdiffrast snaps to 1/16 pixel): at most 0.5 % of the pixels."""
    clip, faces = scene(behind=behind)
    theirs, ours = run(NvdiffrastRenderer("cuda"), clip, faces, "cuda"), run(PUBLISHED, clip, faces)
    same = theirs[0][..., 3] == ours[0][..., 3]
    assert same.float().mean() > 0.995
    assert (theirs[0] - ours[0])[same].abs().max() < 1e-3
    assert ((theirs[1] - ours[1]).abs() > 1e-2).float().mean() < 0.01
    for mine, other in zip(theirs[2:], ours[2:], strict=True):
        assert (mine - other).norm() < 0.05 * other.norm()
