"""Pictures of a category: panels of single samples, one contact sheet, the template from several sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bench3d.contracts import Model, PoseSample
from bench3d.errors import CapabilityError
from bench3d.files import atomic_path
from bench3d.geometry.camera import viewpoint_pose
from bench3d.render.shade import draw_axes, overlay, panel, shaded

if TYPE_CHECKING:
    from bench3d_plugins.single_object.protocol import Prepared
    from bench3d_plugins.single_object.task import PoseTask

RIGHT, WRONG = 5, 3
TILE = 256
ESTIMATE, TRUTH, TEMPLATE = (0.96, 0.62, 0.20), (0.33, 0.62, 0.86), (0.72, 0.74, 0.78)
TEMPLATE_AZIMUTHS = (0, 45, 90, 135, 180, 225, 270, 315)
LABELS = ("image", "estimate", "ground truth", "template")

Mesh = tuple[np.ndarray, np.ndarray]


def pictures(
    task: PoseTask,
    model: Model,
    samples: Sequence[PoseSample],
    values: Sequence[Mapping[str, Any]],
    out: Path,
    device: str,
) -> Iterator[Path]:
    """Writes PNGs under `out`: NN-<right|wrong>-<id>.png, contact-sheet.png, template.png."""
    if not samples:
        return
    category = samples[0].category
    template = template_of(model, category)
    tiles: list[np.ndarray] = []
    labels: list[str] = []
    for number, n in enumerate(chosen([float(v["rotation_error_deg"]) for v in values])):
        row = sample_row(task, model, samples[n], values[n], template, device)
        error = float(values[n]["rotation_error_deg"])
        names = [samples[n].id, f"estimate: off by {error:.0f}°", *LABELS[2:]][: len(row)]
        verdict = "right" if error < 30 else "wrong"
        yield write(out / f"{number + 1:02d}-{verdict}-{safe(samples[n].id)}.png", panel(row, names, columns=4))
        tiles += row
        labels += names
    yield write(out / "contact-sheet.png", panel(tiles, labels, columns=len(row)))
    if template is not None:
        yield write(out / "template.png", template_sheet(template))


def chosen(errors: Sequence[float]) -> list[int]:
    """Indices of samples to show: right ones evenly over their errors, then the wrong ones likewise."""
    order = np.argsort(errors, kind="stable")
    right = [int(n) for n in order if errors[n] < 30.0]
    wrong = [int(n) for n in order if errors[n] >= 30.0]
    shown_wrong = spread(wrong, max(WRONG, RIGHT + WRONG - len(right)))
    return spread(right, RIGHT + WRONG - len(shown_wrong)) + shown_wrong


def sample_row(
    task: PoseTask,
    model: Model,
    sample: PoseSample,
    values: Mapping[str, Any],
    template: Mesh | None,
    device: str,
) -> list[np.ndarray]:
    """Crop, estimate, ground truth and, where there is one, the template at the estimated pose."""
    ready = task.prepared(model, [sample])
    small = tile_of(ready, 0)
    scale = TILE / ready.batch.images.shape[-1]
    camera = np.diag([scale, scale, 1.0]) @ ready.intrinsics[0]
    pose = pose_of(values)
    mesh = instance_of(model, ready, device)
    row = [small]
    row.append(small if pose is None or mesh is None else _drawn(small, mesh, pose, camera, ESTIMATE))
    truth = np.diag([scale, scale, 1.0]) @ ready.batch.geometry[0].input_intrinsics(sample.intrinsics)
    row.append(_drawn(small, sample.mesh(), sample.cam_T_obj, truth, TRUTH))
    if template is not None:
        blank = np.full_like(small, 255)
        row.append(blank if pose is None else _drawn(blank, template, pose, camera, TEMPLATE))
    return row


def tile_of(ready: Prepared, n: int) -> np.ndarray:
    """The crop that the model sees, (TILE, TILE, 3) uint8."""
    image = np.rint(ready.batch.images[n].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(image).resize((TILE, TILE), Image.Resampling.LANCZOS))


def template_of(model: Model, category: str) -> Mesh | None:
    """The model's template mesh, None where it has none."""
    try:
        found = model.template(category)
    except CapabilityError:
        return None
    return found.vertices.detach().double().cpu().numpy(), found.faces.detach().cpu().numpy().astype(np.int32)


def instance_of(model: Model, ready: Prepared, device: str) -> Mesh | None:
    """The mesh that the model sees in the first image, None where it gives no shape."""
    if "shape" not in model.capabilities:
        return None
    vertices, faces = model.shape(ready.batch.to(device), ready.given)
    return vertices[0].detach().double().cpu().numpy(), faces.detach().cpu().numpy().astype(np.int32)


def template_sheet(template: Mesh) -> np.ndarray:
    """The template from eight sides, slightly from above."""
    reach = float(np.linalg.norm(template[0], axis=1).max())
    distance = 4.0 * reach
    focal = 0.9 * TILE / 2 * distance / reach
    camera = np.array([[focal, 0, TILE / 2], [0, focal, TILE / 2], [0, 0, 1]])
    views = [
        shaded(*template, viewpoint_pose(azimuth, 20.0, 0.0, distance), camera, (TILE, TILE))
        for azimuth in TEMPLATE_AZIMUTHS
    ]
    return panel(views, [f"azimuth {azimuth}°" for azimuth in TEMPLATE_AZIMUTHS], columns=4)


def _drawn(
    image: np.ndarray, mesh: Mesh, pose: np.ndarray, camera: np.ndarray, colour: tuple[float, float, float]
) -> np.ndarray:
    drawn = overlay(image, shaded(*mesh, pose, camera, (TILE, TILE), colour), opacity=0.85)
    return draw_axes(drawn, pose, camera)


def pose_of(values: Mapping[str, Any]) -> np.ndarray | None:
    """(4, 4) of the estimate, None where it is not finite."""
    pose = np.eye(4)
    rotation, translation = values["rotation"], values["translation"]
    if None in translation or any(v is None for row in rotation for v in row):
        return None
    pose[:3, :3], pose[:3, 3] = rotation, translation
    return pose


def spread(items: list[int], count: int) -> list[int]:
    """At most `count` of them, evenly, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(k * (len(items) - 1) / max(1, count - 1))] for k in range(count)]


def safe(name: str) -> str:
    """A name that can be a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def write(path: Path, image: np.ndarray) -> Path:
    """A PNG at `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary)
    return path
