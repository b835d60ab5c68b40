"""`bench3d predict`: the pose of one object in any photograph, with nothing known but its category and a box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench3d.contracts import Artifact, FeatureMesh, Given, ImageBatch, Model, PoseEstimate, Progress
from bench3d.data.batches import ASSUMED_FOCAL, BOX_MARGIN, assumed_intrinsics, crop_batch
from bench3d.data.mesh_out import checked_suffix, write_mesh
from bench3d.errors import CapabilityError, DataError, UsageError, WeightsError
from bench3d.files import write_json
from bench3d.geometry.camera import viewpoint_angles
from bench3d.geometry.crops import box_zoom
from bench3d.geometry.rotations import nearest_rotation, so3_exp
from bench3d.machine import choose_device
from bench3d.metrics import rotation_error_deg
from bench3d.runner.fits import read_note
from bench3d.runner.jobs import FitJob
from bench3d.runner.models import (
    build_backbone,
    create_fitted,
    given_artifact,
    settle_numerics,
    with_artifacts,
)
from bench3d.runner.photo_picture import draw, vertices_of, write_mask
from bench3d.runner.plan import plan_fits
from bench3d.runner.shapes import feature_colours
from bench3d.runner.sources import ALL
from bench3d.runner.spec import PredictSpec, RunSpec

CANVAS = 512


def predict(spec: PredictSpec, progress: Progress) -> dict[str, Any]:
    """Estimates the pose and writes the picture: the crop, the mesh over the photograph, the photograph with the box.

    Returns:
        rotation (3x3, object to camera; object x left, y back, z up), azimuth, elevation, theta in degrees,
        translation in canonical units, score, the alternative poses that quarter turns lead to, box, focal length in
        pixels of the photograph, and the paths of what was written.

    Raises:
        DataError: the photograph cannot be read.
        UsageError: the box lies outside the photograph, or the model estimates no pose.
        WeightsError: nothing was trained for this category: holds the command that does it.
        OutputError: the picture cannot be written.
    """
    photo = load_photo(spec.photo)
    box = _checked_box(spec.box, (photo.shape[1], photo.shape[0]))
    device = choose_device(spec.device)
    settle_numerics(spec.offline)
    progress.start("model", None)
    try:
        model = _model(spec, device)
    finally:
        progress.finish()
    if "pose" not in model.capabilities:
        raise CapabilityError("This model estimates no pose.", "Add --shape-model NAME.")
    for wanted, what in ((spec.mesh, "mesh"), (spec.mask, "mask")):
        if wanted is not None and "shape" not in model.capabilities:
            raise CapabilityError(
                f"{spec.shape_model} has no shape: there is no {what} to write.", f"Leave --{what} out."
            )
    if spec.mesh is not None:
        checked_suffix(spec.mesh)
    found = _estimate(spec, model, photo, box, device)
    draw(spec, photo, box, found)
    mesh = found.pop("_mesh")
    found["vertices"] = 0 if mesh is None else len(mesh.vertices)
    if spec.mesh is not None and mesh is not None:
        found["mesh"] = str(
            write_mesh(spec.mesh, vertices_of(mesh), mesh.faces.cpu().numpy(), feature_colours([mesh])[0])
        )
    if spec.mask is not None and mesh is not None:
        found["mask"] = str(write_mask(spec.mask, photo, mesh, found))
    if spec.out_json is not None:
        write_json(spec.out_json, found)
    return found


def load_photo(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 as a viewer shows it: the orientation that a camera noted is applied.

    Raises:
        DataError: missing, or no readable image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise DataError(f"There is no photo {path}.", "Check the path.") from None
    except Exception as error:
        # PIL raises OSError, SyntaxError, ValueError, DecompressionBombError and more, depending on the codec.
        raise DataError(f"{path} is no readable image ({error}).", "Give a JPEG or PNG file.") from error


def _checked_box(box: tuple[float, float, float, float] | None, size: tuple[int, int]) -> np.ndarray:
    if box is None:
        return np.array([0.0, 0.0, size[0], size[1]])
    x0, y0, x1, y1 = (float(v) for v in box)
    if not np.isfinite(box).all() or x1 - x0 < 1 or y1 - y0 < 1:
        raise UsageError(f"The box {x0:g},{y0:g},{x1:g},{y1:g} is empty.", "Give x0,y0,x1,y1 with x0 < x1, y0 < y1.")
    if x0 >= size[0] or y0 >= size[1] or x1 <= 0 or y1 <= 0:
        raise UsageError(f"The box lies outside the photo, which has {size[0]}x{size[1]} pixels.")
    return np.array([x0, y0, x1, y1])


def _model(spec: PredictSpec, device: str) -> Model:
    settings = spec.settings if spec.checkpoint is None else _settings_of(spec, spec.checkpoint)
    plan = plan_fits(
        RunSpec(
            backbone=spec.backbone,
            adapter=spec.adapter,
            shape_model=spec.shape_model,
            weights=spec.weights,
            categories=(spec.category,),
            seed=spec.seed,
            device=spec.device,
            data=spec.data,
            synthetic=spec.synthetic,
            results=spec.results,
            settings=settings,
            offline=spec.offline,
        )
    )
    resolved = plan.resolved
    model = build_backbone(resolved, spec.weights, device)
    for kind, component in (("adapter", resolved.adapter), ("shape-model", resolved.shape)):
        if component is None:
            continue
        fitter = create_fitted(component, kind)
        artifacts: dict[str, Artifact] = {}
        given = given_artifact(resolved) if kind == "adapter" else None
        if given is not None:
            artifacts[ALL] = given
        elif kind == "shape-model" and spec.checkpoint is not None:
            artifact = fitter.load(spec.checkpoint)
            if artifact.category not in (None, spec.category):
                raise WeightsError(f"{spec.checkpoint} was trained for {artifact.category}, not for {spec.category}.")
            artifacts[spec.category] = artifact
        else:
            for job in plan.jobs:
                if job.kind == kind:
                    artifacts[job.category or ALL] = fitter.load(_trained(job, spec))
        model = with_artifacts(model, component, kind, artifacts, device)
    return model


def _settings_of(spec: PredictSpec, checkpoint: Path) -> dict[str, dict[str, Any]]:
    """The settings that an artifact was fitted with (its `fit.json`), under those that the user gives.

    Raises:
        WeightsError: it was fitted on another backbone.
    """
    inputs = read_note(checkpoint).get("inputs", {})
    backbone, component = inputs.get("backbone", {}), inputs.get("component", {})
    if backbone.get("name") not in (None, spec.backbone):
        raise WeightsError(f"{checkpoint} was fitted on the backbone {backbone['name']}, not on {spec.backbone}.")
    given = {scope: dict(values) for scope, values in spec.settings.items()}
    given["backbone"] = {**backbone.get("settings", {}), **given.get("backbone", {})}
    given["shape"] = {**component.get("settings", {}), **given.get("shape", {})}
    return given


def _trained(job: FitJob, spec: PredictSpec) -> Path:
    """The artifact's folder. WeightsError where it was not trained."""
    if job.done and job.folder is not None:
        return job.folder
    command = f"bench3d train --backbone {spec.backbone} --adapter {job.component} --category {spec.category}"
    command += " --synthetic" if spec.synthetic else ""
    raise WeightsError(
        f"No {job.component} of {job.category or 'all categories'} was trained with these settings.",
        f"Run `{command}`, or name an artifact folder with --checkpoint.",
    )


def _estimate(spec: PredictSpec, model: Model, photo: np.ndarray, box: np.ndarray, device: str) -> dict[str, Any]:
    canvas = model.canvas or CANVAS
    geometry = box_zoom((photo.shape[1], photo.shape[0]), box, canvas, BOX_MARGIN)
    focal = ASSUMED_FOCAL if spec.focal is None else spec.focal * geometry.scale[0] / canvas
    intrinsics = assumed_intrinsics(canvas, focal)
    batch = crop_batch([photo], [geometry], [spec.photo.name], spec.category)
    given = Given(
        category=spec.category,
        intrinsics=torch.from_numpy(intrinsics)[None].float(),
        box=torch.from_numpy(geometry.original_to_input(box.reshape(2, 2)).reshape(1, 4)).float(),
    )
    found = _candidates(model, batch.to(device), given)
    if not found:
        raise DataError(f"The model found no pose in {spec.photo.name}.", "Try a tighter box.")
    estimate, rotation = found[0], _rotation(found[0])
    mesh = None
    if "shape" in model.capabilities:
        mesh = _instance(model, batch.to(device), given)
    return {
        "photo": spec.photo.name,
        "category": spec.category,
        "rotation": rotation.tolist(),
        **_angles(rotation),
        "translation": [float(v) for v in estimate.translation[0]],
        "score": float(estimate.score[0]),
        "alternatives": [{**_angles(_rotation(e)), "score": float(e.score[0])} for e in found[1:]],
        "box": box.tolist(),
        "focal_pixels": float(focal * canvas / geometry.scale[0]),
        "focal_assumed": spec.focal is None,
        "crop_intrinsics": intrinsics.tolist(),
        "crop_to_photo": {"scale": geometry.scale[0], "offset": list(geometry.offset)},
        "picture": str(spec.out),
        **{k: float(v[0]) for k, v in estimate.extra.items() if v.ndim == 1},
        "_mesh": mesh,
    }


def _candidates(model: Model, batch: ImageBatch, given: Given) -> list[PoseEstimate]:
    """The model's estimate and where refinement leads from it turned by quarter turns about the object's up axis.

    Front and back are what such models confuse most; the scores say how sure the choice is. Best first, without those
    that are not finite or end within 15 degrees of the best.
    """
    first = model.pose(batch, given)
    turns = [so3_exp(np.array([0.0, 0.0, np.deg2rad(angle)])) for angle in (90, 180, 270)]
    starts = [torch.from_numpy(_rotation(first) @ turn)[None].float() for turn in turns]
    every = [first, *(model.pose(batch, replace(given, rotation=start)) for start in starts)]
    finite = sorted((e for e in every if np.isfinite(_rotation(e)).all()), key=lambda e: -float(e.score[0]))
    return finite[:1] + [e for e in finite[1:] if float(rotation_error_deg(_rotation(e), _rotation(finite[0]))) > 15]


def _rotation(estimate: PoseEstimate) -> np.ndarray:
    rotation: np.ndarray = estimate.rotation[0].detach().double().cpu().numpy()
    return rotation


def _angles(rotation: np.ndarray) -> dict[str, float]:
    return dict(zip(("azimuth", "elevation", "theta"), viewpoint_angles(nearest_rotation(rotation)), strict=True))


def _instance(model: Model, batch: ImageBatch, given: Given) -> FeatureMesh:
    """The object's own mesh; without surface features where the model gives plain shapes alone."""
    try:
        return model.instances(batch, given)[0]
    except CapabilityError:
        vertices, faces = model.shape(batch, given)
        return FeatureMesh(vertices[0].detach(), faces.detach().int())
