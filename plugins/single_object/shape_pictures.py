"""Pictures of the shape task: the predicted mesh beside the annotated one, seen as in the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3d.contracts import Model, PoseSample
from bench3d.geometry.camera import viewpoint_pose
from bench3d.render.shade import panel, shaded
from bench3d_plugins.single_object.pictures import (
    ESTIMATE,
    TEMPLATE,
    TILE,
    TRUTH,
    Mesh,
    instance_of,
    safe,
    spread,
    template_of,
    tile_of,
    write,
)

if TYPE_CHECKING:
    from bench3d_plugins.single_object.shape_task import ShapeTask

SHOWN = 8
DISTANCE = 8.0


def pictures(
    task: ShapeTask,
    model: Model,
    samples: Sequence[PoseSample],
    values: Sequence[Mapping[str, Any]],
    out: Path,
    device: str,
) -> Iterator[Path]:
    """Writes PNGs under `out`: NN-chamfer-C-<id>.png from the best to the worst, and contact-sheet.png."""
    judged = [n for n, v in enumerate(values) if "chamfer" in v]
    order = sorted(judged, key=lambda n: float(values[n]["chamfer"]))
    tiles: list[np.ndarray] = []
    labels: list[str] = []
    for number, n in enumerate(spread(order, SHOWN)):
        sample, percent = samples[n], 100 * float(values[n]["chamfer"])
        ready = task.prepared(model, [sample])
        template = template_of(model, sample.category)
        meshes = [(instance_of(model, ready, device), ESTIMATE), (sample.mesh(), TRUTH)]
        names = [sample.id, f"predicted: chamfer {percent:.1f} %", "ground truth"]
        if template is not None:
            meshes.append((template, TEMPLATE))
            alone = values[n].get("chance_template_chamfer")
            names.append("template" if alone is None else f"template: {100 * float(alone):.1f} %")
        row = [tile_of(ready, 0), *(_seen(mesh, sample, colour) for mesh, colour in meshes)]
        yield write(out / f"{number + 1:02d}-chamfer-{percent:.1f}-{safe(sample.id)}.png", panel(row, names, columns=4))
        tiles += row
        labels += names
    if tiles:
        yield write(out / "contact-sheet.png", panel(tiles, labels, columns=len(tiles) // min(SHOWN, len(order))))


def _seen(mesh: Mesh | None, sample: PoseSample, colour: tuple[float, float, float]) -> np.ndarray:
    """A mesh from the sample's true direction, all at one scale, (TILE, TILE, 3 or 4) uint8."""
    if mesh is None:
        return np.full((TILE, TILE, 3), 255, dtype=np.uint8)
    pose = viewpoint_pose(0.0, 0.0, 0.0, DISTANCE)
    pose[:3, :3] = sample.cam_T_obj[:3, :3]
    focal = 0.36 * TILE * DISTANCE
    camera = np.array([[focal, 0, TILE / 2], [0, focal, TILE / 2], [0, 0, 1]])
    vertices, faces = mesh
    return shaded(vertices, faces, pose, camera, (TILE, TILE), colour)
