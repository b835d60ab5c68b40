"""Checks of a renderer against the contract: known triangles, and gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench3d.contracts import Renderer, RendererRegistration
from bench3d.testing.checks import Check, Skip, require
from bench3d.testing.gradients import agree, differences
from bench3d.testing.reference_raster import near_edges, rasterize
from bench3d.testing.subjects import Subject

SIZE = (24, 40)
"""(H, W), not square: swapped axes show."""
UV, DEPTH = 2e-4, 2e-4


def contract(subject: Subject) -> str:
    """Shapes, types and devices; inputs are left alone; empty pixels are zero."""
    renderer = _renderer(subject)
    require(isinstance(renderer, Renderer), f"The factory gives {type(renderer).__name__}, no Renderer.")
    require(isinstance(getattr(renderer, "name", None), str), "It has no `name`.")
    clip, faces = _scene(subject)
    before = (clip.clone(), faces.clone())
    raster = renderer.rasterize(clip, faces, SIZE)
    expected = (len(clip), *SIZE, 4)
    require(
        tuple(raster.shape) == expected and raster.dtype == torch.float32 and raster.device == clip.device,
        f"rasterize gives {raster.dtype} {tuple(raster.shape)} on {raster.device}, not float32 {expected}.",
    )
    values = _attributes(clip, 3)
    image = renderer.interpolate(values, raster, faces)
    require(
        tuple(image.shape) == (*expected[:3], 3) and image.dtype == torch.float32 and image.device == clip.device,
        f"interpolate gives {image.dtype} {tuple(image.shape)}.",
    )
    blended = renderer.antialias(image, raster, clip, faces)
    require(tuple(blended.shape) == tuple(image.shape), f"antialias gives {tuple(blended.shape)}.")
    require(
        torch.equal(clip, before[0]) and torch.equal(faces, before[1]), "rasterize or antialias changes its inputs."
    )
    empty = raster[..., 3] == 0
    require(bool(empty.any()) and not bool(raster[empty].any()), "Pixels without a triangle are not all zero.")
    require(not bool(image[empty].any()), "interpolate gives something else than 0 in empty pixels.")
    again = renderer.rasterize(clip, faces, SIZE)
    require(torch.equal(raster, again), "The same triangles give another image the second time.")
    return renderer.name


def upright(subject: Subject) -> None:
    """y_ndc = -1 is the top edge of row 0, x_ndc = -1 the left edge of column 0."""
    renderer = _renderer(subject)
    corner = torch.tensor([[[-1.0, -1.0, 0.0, 1.0], [0.0, -1.0, 0.0, 1.0], [-1.0, 0.0, 0.0, 1.0]]])
    ids = _ids(renderer.rasterize(corner.to(subject.device), _faces(subject, [[0, 1, 2]]), SIZE))[0]
    rows, columns = np.nonzero(ids)
    require(len(rows) > 0, "A triangle in the corner (-1, -1) is not drawn.")
    require(
        rows.min() == 0 and rows.max() < SIZE[0] // 2, "A triangle at y_ndc = -1 is not at the top: row 0 is the top."
    )
    require(columns.min() == 0 and columns.max() < SIZE[1] // 2, "A triangle at x_ndc = -1 is not at the left.")


def triangles(subject: Subject) -> str:
    """Ids, u, v and depth of perspective triangles that hide each other, against a float64 reference."""
    renderer = _renderer(subject)
    clip, faces = _scene(subject)
    raster = renderer.rasterize(clip, faces, SIZE).detach().cpu().double().numpy()
    checked = 0
    for n in range(len(clip)):
        points = clip[n].detach().cpu().double().numpy()
        expected = rasterize(points, faces.cpu().numpy(), SIZE)
        sure = ~near_edges(points, faces.cpu().numpy(), SIZE, 0.02)
        wrong = sure & (raster[n, ..., 3] != expected[..., 3])
        require(
            not wrong.any(),
            f"{int(wrong.sum())} of {int(sure.sum())} pixels away from edges show another triangle"
            f"{_place(wrong)}: sampling at pixel centres, nearest z/w first, no culling.",
        )
        inside = sure & (expected[..., 3] > 0)
        _near(
            "u, v", raster[n, ..., :2], expected[..., :2], inside, UV, "u*a0 + v*a1 + (1-u-v)*a2, perspective-correct"
        )
        _near("depth", raster[n, ..., 2:3], expected[..., 2:3], inside, DEPTH, "z/w, the smaller the nearer")
        checked += int(sure.sum())
    return f"{checked} pixels"


def _place(wrong: np.ndarray) -> str:
    if not wrong.any():
        return ""
    row, column = np.argwhere(wrong)[0]
    return f", the first in row {row}, column {column}"


def _near(what: str, found: np.ndarray, expected: np.ndarray, where: np.ndarray, allowed: float, means: str) -> None:
    error = float(np.abs(found - expected)[where].max(initial=0.0))
    require(error <= allowed, f"{what} is off by {error:.2g} ({means}).")


def behind(subject: Subject) -> None:
    """Triangles that cross w <= 0 are dropped."""
    renderer = _renderer(subject)
    clip = torch.tensor([[[-0.5, -0.5, 0.0, 1.0], [0.5, -0.5, 0.0, 1.0], [0.0, 0.5, 0.0, -1.0]]]).to(subject.device)
    raster = renderer.rasterize(clip, _faces(subject, [[0, 1, 2]]), SIZE)
    require(not bool(raster.any()), "A triangle with a corner behind the camera (w < 0) is drawn.")


def batched(subject: Subject) -> None:
    """Images of a batch are what they are alone."""
    renderer = _renderer(subject)
    clip, faces = _scene(subject)
    values = _attributes(clip, 3)
    together = renderer.rasterize(clip, faces, SIZE)
    image = renderer.antialias(renderer.interpolate(values, together, faces), together, clip, faces)
    for n in range(len(clip)):
        own = clip[n : n + 1]
        alone = renderer.rasterize(own, faces, SIZE)
        require(torch.equal(alone[0], together[n]), f"Image {n} of a batch is rasterised otherwise than alone.")
        blended = renderer.antialias(renderer.interpolate(values[n : n + 1], alone, faces), alone, own, faces)
        require(
            bool(torch.allclose(blended[0], image[n], atol=1e-5)),
            f"Image {n} of a batch is blended otherwise than alone.",
        )
    shared = renderer.interpolate(values[:1], together, faces)
    require(
        bool(torch.allclose(shared[0], renderer.interpolate(values, together, faces)[0], atol=1e-6)),
        "Attributes (1, V, C) that all images share are not taken for each of them.",
    )


def empty(subject: Subject) -> None:
    """A mesh without faces is an empty image, and has gradients."""
    renderer = _renderer(subject)
    clip, _ = _scene(subject)
    clip = clip.clone().requires_grad_()
    faces = torch.zeros((0, 3), dtype=torch.int32, device=subject.device)
    raster = renderer.rasterize(clip, faces, SIZE)
    require(
        tuple(raster.shape) == (len(clip), *SIZE, 4) and not bool(raster.any()), "Without faces something is drawn."
    )
    image = renderer.antialias(renderer.interpolate(_attributes(clip, 2), raster, faces), raster, clip, faces)
    require(not bool(image.any()), "Without faces an image is not empty.")


def interpolate_gradients(subject: Subject) -> str:
    """Gradients of interpolate to attributes and vertices, against finite differences."""
    renderer = _renderer(subject)
    clip, faces = _scene(subject)
    clip, faces = clip[:1], faces[:1]
    edges = near_edges(clip[0].cpu().double().numpy(), faces.cpu().numpy(), SIZE, 1.5)
    weights = _weights(subject, 3) * torch.from_numpy(~edges)[None, ..., None].to(clip)

    def loss(points: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        raster = renderer.rasterize(points, faces, SIZE)
        return (renderer.interpolate(values, raster, faces) * weights).sum()

    values = _attributes(clip, 3).requires_grad_()
    points = clip.clone().requires_grad_()
    loss(points, values).backward()
    by_values = differences(lambda v: loss(clip, v), values.detach(), 0.5)
    by_points = differences(lambda p: loss(p, values.detach()), clip, 2e-3, columns=(0, 1, 3))
    return f"{agree('attributes', values.grad, by_values)}, {agree('vertices', points.grad, by_points)}"


def antialias_gradients(subject: Subject) -> str:
    """A vertical edge by hand; gradients of antialias to colour and vertices, against finite differences."""
    renderer = _renderer(subject)
    _edge(subject, renderer)
    corners = [(3.3, 4.1, 1.0), (36.2, 6.4, 2.0), (15.9, 21.6, 3.0)]  # pixels and w
    ndc = [(2 * x / SIZE[1] - 1, 2 * y / SIZE[0] - 1, w) for x, y, w in corners]
    clip = torch.tensor([[[x * w, y * w, 0.1 * w, w] for x, y, w in ndc]], device=subject.device)
    faces = _faces(subject, [[0, 1, 2]])
    raster = renderer.rasterize(clip, faces, SIZE).detach()
    mask = (raster[..., 3:] > 0).float()
    weights = _weights(subject, 1)

    def loss(points: torch.Tensor, colour: torch.Tensor) -> torch.Tensor:
        return (renderer.antialias(colour, raster, points, faces) * weights).sum()

    points, colour = clip.clone().requires_grad_(), mask.clone().requires_grad_()
    loss(points, colour).backward()
    # A crossing that slips to the next pixel is a jump, and float32 is coarse: one of the steps meets neither.
    by_points = [differences(lambda p: loss(p, mask), clip, step, columns=(0, 1, 3)) for step in (1e-4, 3e-4)]
    words = agree("vertices", points.grad, *by_points)
    require(colour.grad is not None, "antialias has no gradient to colour.")
    assert colour.grad is not None
    # Blending is linear in colour: <blend(x), y> = <x, gradient>.
    linear = float(loss(clip, mask)), float((mask * colour.grad).sum())
    require(
        abs(linear[0] - linear[1]) <= 1e-3 * max(1.0, abs(linear[0])),
        f"The gradient of antialias to colour is not the transpose of its blending ({linear[0]:.4g}, {linear[1]:.4g}).",
    )
    return words


def _edge(subject: Subject, renderer: Renderer) -> None:
    """A surface that ends at x = 2.3 of 4 pixels covers 0.3 of pixel 2 (Laine et al. 2020, section 3.5)."""
    corners = [(-1.0, -1.0), (2.3, -1.0), (2.3, 5.0), (-1.0, 5.0)]
    points = torch.tensor([[[x / 2 - 1, y / 2 - 1, 0.0, 1.0] for x, y in corners]], device=subject.device)
    faces = _faces(subject, [[0, 1, 2], [0, 2, 3]])
    raster = renderer.rasterize(points, faces, (4, 4))
    mask = renderer.antialias((raster[..., 3:] > 0).float(), raster, points, faces)[0, :, :, 0]
    expected = torch.tensor([1.0, 1.0, 0.3, 0.0], device=subject.device).expand(4, 4)
    require(
        bool(torch.allclose(mask, expected, atol=2e-3)),
        f"A vertical edge at x = 2.3 is blended to {[round(v, 3) for v in mask[1].tolist()]}, not [1, 1, 0.3, 0].",
    )


def devices(subject: Subject) -> str:
    """What the CPU and CUDA give of one scene."""
    registration = subject.registration
    assert isinstance(registration, RendererRegistration)
    if not {"cpu", "cuda"} <= set(registration.devices):
        raise Skip(f"it runs on {' and '.join(registration.devices)} alone")
    if not torch.cuda.is_available():
        raise Skip("there is no CUDA GPU here")
    found = []
    for device in ("cpu", "cuda"):
        renderer = subject.create(device=device)
        clip, faces = _scene(subject)
        clip, faces = clip.to(device), faces.to(device)
        raster = renderer.rasterize(clip, faces, SIZE)
        image = renderer.antialias(renderer.interpolate(_attributes(clip, 3), raster, faces), raster, clip, faces)
        require(image.device.type == device, f"On {device} it gives an image on {image.device}.")
        found.append((raster.cpu(), image.cpu()))
    (first, blended), (second, other) = found
    differ = int((first[..., 3] != second[..., 3]).sum())
    require(differ <= 0.002 * first[..., 3].numel(), f"{differ} pixels show another triangle on CUDA than on the CPU.")
    same = first[..., 3] == second[..., 3]
    error = float((blended - other).abs()[same].max())
    return f"{differ} ids differ, colours by {error:.1e}"


def _renderer(subject: Subject) -> Any:
    """One that works on the subject's device."""
    registration = subject.registration
    assert isinstance(registration, RendererRegistration)
    kind = subject.device.partition(":")[0]
    if kind not in registration.devices:
        raise Skip(f"it runs on {' and '.join(registration.devices)}; use --device {registration.devices[0]}")
    return subject.create(device=subject.device)


def _scene(subject: Subject) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images of the same five triangles in perspective, each a little elsewhere: (2, 15, 4), (5, 3)."""
    rng = np.random.default_rng(7)
    centres = rng.uniform(-0.6, 0.6, (5, 1, 2))
    ndc = centres + rng.uniform(-0.55, 0.55, (5, 3, 2))
    ndc[0] = [(-0.7, -0.8), (0.75, -0.5), (-0.3, 0.85)]  # a large one, by itself for the gradients
    depth = np.linspace(-0.5, 0.5, 5)[:, None] + rng.uniform(-0.05, 0.05, (5, 3))
    w = rng.uniform(0.7, 2.5, (5, 3, 1))
    points = np.concatenate([ndc, depth[..., None], np.ones((5, 3, 1))], axis=2) * w
    one = torch.from_numpy(points.reshape(15, 4)).float()
    other = one.clone()
    other[:, :2] = other[:, :2] * 0.8 + 0.05 * other[:, 3:]
    faces = [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(4)] + [[14, 13, 12]]
    return torch.stack([one, other]).to(subject.device), _faces(subject, faces)


def _faces(subject: Subject, faces: list[list[int]]) -> torch.Tensor:
    return torch.tensor(faces, dtype=torch.int32, device=subject.device)


def _attributes(clip: torch.Tensor, channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(len(clip), clip.shape[1], channels, generator=generator).to(clip.device)


def _weights(subject: Subject, channels: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(1, *SIZE, channels, generator=generator).to(subject.device)


def _ids(raster: torch.Tensor) -> np.ndarray:
    ids: np.ndarray = raster[..., 3].detach().cpu().numpy().astype(int)
    return ids


_KIND = ("renderer",)
CHECKS = (
    Check("contract", _KIND, "Shapes and types are right, inputs stay, empty pixels are zero.", contract),
    Check("upright", _KIND, "Row 0 is the top of the image.", upright),
    Check("triangles", _KIND, "Ids, u, v and depth of known triangles are right.", triangles),
    Check("behind", _KIND, "Triangles that cross w <= 0 are dropped.", behind),
    Check("batch", _KIND, "A batch gives what single images give.", batched),
    Check("empty", _KIND, "A mesh without faces is an empty image.", empty),
    Check("interpolate-gradients", _KIND, "Gradients of interpolate agree with differences.", interpolate_gradients),
    Check("antialias-gradients", _KIND, "Gradients of antialias agree with differences.", antialias_gradients),
    Check("devices", _KIND, "CPU and CUDA give the same image.", devices),
)
