"""Renders meshes into the layout of the published Objaverse renderings: `bench3d data render`.

As published (protocol page tasks.md, section a): 42 poses, lens, radius 2, the object centred by its bounding box with
longest side 1, positions of the lamps, black background, depth in thousandths. What differs: one bounce of light
without shadows and gloss, and white is never blown out.

`rendering.json` stands in an object's folder from its first byte on and says what it is made of, and at last that it
is whole; so a killed rendering is completed, and two meshes never mix in one folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench3d.contracts import Progress
from bench3d.contracts.data import RenderReport
from bench3d.data.mesh_files import load_mesh
from bench3d.data.workers import job_results
from bench3d.errors import Bench3DError, DataError, OutputError, UsageError
from bench3d.files import make_folder, output_errors, write_bytes, write_json
from bench3d.records import file_digest
from bench3d.render.textured import TexturedMesh, TexturedScene
from bench3d_plugins.objaverse.layout import PARTS, file_name, view_files
from bench3d_plugins.objaverse.poses import POSES_FILE, SIZE, intrinsics, published_poses

RENDERER = "bench3d-textured/1"  # the number is raised when other bytes are written
MARK = "rendering.json"
SIZES = (32, 4096)


@dataclass(frozen=True)
class Job:
    """One object: the mesh file, its folder, the side of the pictures, whether whole ones are made again."""

    mesh: Path
    folder: Path
    size: int
    force: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "rendered", "there" or "failed"; notes: textures left out; reason: why it failed."""

    state: str
    notes: tuple[str, ...] = ()
    reason: str = ""


def write(
    root: Path,
    meshes: Mapping[str, Path],
    progress: Progress,
    workers: int,
    size: int | None = None,
    force: bool = False,
) -> RenderReport:
    """Renders meshes (name -> file) into `root`, one folder each (see bench3d.contracts.data.MeshWriter).

    Raises:
        UsageError: the size cannot be. OutputError: no permission, no space. DataError: `root` has poses of its own.
    """
    side = SIZE if size is None else size
    if not SIZES[0] <= side <= SIZES[1]:
        raise UsageError(f"--size {side} is no side of a picture.", f"Choose {SIZES[0]} to {SIZES[1]} pixels.")
    if (root / POSES_FILE).exists():
        raise DataError(
            f"{root} has poses of its own ({POSES_FILE}): renderings at the published ones do not belong there.",
            "Choose another folder (--out).",
        )
    make_folder(root)
    jobs = {Job(path.absolute(), root / name, side, force): name for name, path in meshes.items()}
    found: dict[str, Outcome] = {}
    progress.start("Rendering meshes", len(jobs))
    try:
        for job, outcome in job_results(render_object, list(jobs), workers):
            found[jobs[job]] = outcome
            progress.advance()
    finally:
        progress.finish()
    ordered = {name: found[name] for name in meshes}
    return RenderReport(
        rendered=tuple(name for name, o in ordered.items() if o.state == "rendered"),
        there=tuple(name for name, o in ordered.items() if o.state == "there"),
        failed={name: o.reason for name, o in ordered.items() if o.state == "failed"},
        notes={name: o.notes for name, o in ordered.items() if o.notes},
    )


def render_object(job: Job) -> Outcome:
    """Renders what is missing of one object. A mesh that cannot be read is an outcome, not an error.

    Raises:
        OutputError: no permission, no space.
    """
    try:
        return _render(job)
    except OutputError:
        raise
    except Bench3DError as error:
        return Outcome("failed", reason=str(error))
    except MemoryError:
        return Outcome("failed", reason=f"{job.mesh} does not fit into memory.")


def _render(job: Job) -> Outcome:
    mark = _mark(job.folder)
    views = view_files(job.folder) if job.folder.is_dir() else {}
    done = {view for view, parts in views.items() if parts == set(PARTS)}
    missing = [view for view in range(len(published_poses())) if view not in done]
    facts = {"renderer": RENDERER, "mesh": job.mesh.name, "sha256": file_digest(job.mesh), "size": job.size}
    same = {key: mark.get(key) for key in facts} == facts
    whole = not missing and mark.get("whole", True)
    if whole and not job.force:
        strange = () if same or not mark else ("made from another file, or at another size: --force renders it again",)
        return Outcome("there", (*mark.get("notes", ()), *strange))
    if job.force or not same:
        missing = list(range(len(published_poses())))
    file = load_mesh(job.mesh)
    scene = TexturedScene(_centred(job.mesh, file.mesh))
    if not same and views:
        _remove_views(job.folder)  # of another mesh; before the mark changes, or a kill would leave them under it
    write_json(job.folder / MARK, {**facts, "notes": file.problems, "whole": False})
    for view in missing:
        _write_view(scene, job, view)
    write_json(job.folder / MARK, {**facts, "notes": file.problems, "whole": True})
    return Outcome("rendered", file.problems)


def _write_view(scene: TexturedScene, job: Job, view: int) -> None:
    picture = scene.render(published_poses()[view], intrinsics(job.size), (job.size, job.size))
    files = {
        "color": picture.rgb[..., ::-1],
        "depth": np.round(picture.depth * 1000.0).astype(np.uint16),
        "mask": picture.mask.astype(np.uint8) * 255,
    }
    for part in PARTS:
        write_bytes(job.folder / file_name(part, view), cv2.imencode(".png", files[part])[1].tobytes())


def _centred(path: Path, mesh: TexturedMesh) -> TexturedMesh:
    """The mesh with its bounding box around the origin, the longest side 1."""
    used = mesh.vertices[np.unique(mesh.faces)]
    low, high = used.min(axis=0), used.max(axis=0)
    side = float((high - low).max())
    if not (np.isfinite(side) and side > 1e-30):
        raise DataError(f"{path} has no extent that can be scaled to 1.", "Look at its vertices.")
    return replace(mesh, vertices=(mesh.vertices - (low + high) / 2) / side)


def _mark(folder: Path) -> dict[str, Any]:
    """What stands in the folder's mark; empty where there is none, or no readable one."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def _remove_views(folder: Path) -> None:
    for view, parts in view_files(folder).items():
        for part in parts:
            with output_errors(folder / file_name(part, view)):
                (folder / file_name(part, view)).unlink()
