"""Fitted shape models as shapes: template and latent walk, coloured by their surface features. Needs no backbone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench3d.contracts import FeatureMesh, Model, ShapeModelRegistration
from bench3d.data.mesh_out import checked_suffix, write_mesh
from bench3d.errors import CapabilityError, UsageError, WeightsError
from bench3d.features.pca import Basis, colours, principal_components
from bench3d.files import make_folder
from bench3d.plugins import load_registry, load_settings
from bench3d.runner.jobs import ARTIFACT
from bench3d.runner.making import read_note

GREY = 0.75


class Featureless(Model):
    """Stands below a shape model that is only asked for its shape."""

    capabilities = frozenset()


@dataclass(frozen=True)
class ShapeSpec:
    """Which fitted shape model is meant.

    Attributes:
        name: of the shape model; category: canonical.
        results: folder of runs and fits.
        backbone: on whose features it was fitted; None where there is only one such fit.
        checkpoint: the artifact's folder, instead of one in `results`.
    """

    name: str
    category: str
    results: Path = Path("bench3d-results")
    backbone: str | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True)
class FittedShape:
    """A fitted shape model of one category.

    Attributes:
        model: gives `template` and perhaps `walk`, but no features.
        name: of the shape model.
        folder: of the artifact; backbone: what it was fitted on, "" where that is not noted.
        facts: of the artifact.
    """

    model: Model
    name: str
    category: str
    folder: Path
    backbone: str
    facts: dict[str, Any]


def load_shape(spec: ShapeSpec) -> FittedShape:
    """Loads a fitted shape model without its backbone.

    Raises:
        UnknownNameError: no such shape model.
        WeightsError: nothing was fitted, or it is broken.
        UsageError: several fits answer to the spec.
    """
    registration = load_registry().get("shape-model", spec.name)
    assert isinstance(registration, ShapeModelRegistration)
    folder = spec.checkpoint or _find(spec)
    note = read_note(folder).get("inputs", {})
    fitted = note.get("component", {})
    if fitted.get("name") not in (None, spec.name):
        raise WeightsError(f"{folder} is a fit of {fitted['name']}, not of {spec.name}.")
    settings = load_settings(registration, overrides=fitted.get("settings", {}))
    method = load_registry().create("shape-model", spec.name, settings=settings)
    artifact = method.load(folder)
    if artifact.category not in (None, spec.category):
        raise WeightsError(f"{folder} was fitted for {artifact.category}, not for {spec.category}.")
    model = method.apply(Featureless(), {spec.category: artifact}, "cpu")
    on = str(note.get("backbone", {}).get("name", ""))
    return FittedShape(model, spec.name, spec.category, folder, on, dict(artifact.facts))


def _find(spec: ShapeSpec) -> Path:
    """The one fit in the results folder that the spec means."""
    found: dict[Path, str] = {}
    for index in sorted((spec.results / "fits" / spec.name).glob(f"*/*/{ARTIFACT}")):
        if index.parent.name.startswith("."):
            continue
        with contextlib.suppress(OSError, ValueError):
            category = json.loads(index.read_text(encoding="utf-8")).get("category")
            backbone = read_note(index.parent).get("inputs", {}).get("backbone", {}).get("name", index.parts[-3])
            if category == spec.category and spec.backbone in (None, backbone):
                found[index.parent] = backbone
    if not found:
        on = f" on {spec.backbone}" if spec.backbone else ""
        raise WeightsError(
            f"No {spec.name} of {spec.category}{on} was fitted in {spec.results}.",
            f"Run `bench3d train --backbone NAME --shape-model {spec.name} --category {spec.category}`, or name the "
            "folder of a fit with --checkpoint.",
        )
    if len(found) > 1:
        several = "; ".join(f"{folder} ({backbone})" for folder, backbone in found.items())
        raise UsageError(
            f"{len(found)} fits of {spec.name} for {spec.category} are there: {several}.",
            "Choose one with --backbone NAME, or with --checkpoint DIR.",
        )
    return next(iter(found))


def feature_colours(meshes: Sequence[FeatureMesh]) -> list[np.ndarray]:
    """Colours (V, 3), sRGB in [0, 1], of meshes that share surface features: three principal components, else grey.

    All meshes share one basis and one scale, so that a place of the surface keeps its colour.
    """
    if any(mesh.features is None for mesh in meshes):
        return [np.full((len(mesh.vertices), 3), GREY) for mesh in meshes]
    rows = [np.asarray(mesh.features) for mesh in meshes]
    basis: Basis = principal_components(rows[:1], 3)
    return colours([basis.project(row) for row in rows])


def export_shape(spec: ShapeSpec, out: Path, walk: int | None, sigmas: Sequence[float]) -> list[dict[str, Any]]:
    """Writes the template, or with `walk` the meshes along that principal direction of the latents (from 1).

    A walk makes one file per sigma: car.glb becomes car-walk1-m2.0.glb (minus two standard deviations), and so on.

    Returns:
        One entry a file: path, sigma (None for the template), vertices, faces.

    Raises:
        UsageError: a format that cannot be written, or fewer directions than asked for. Others as `load_shape`.
    """
    suffix = checked_suffix(out)
    shape = load_shape(spec)
    template = shape.model.template(spec.category)
    if walk is None:
        meshes, places = [template], [out]
        steps: list[float | None] = [None]
    else:
        meshes = [template, *shape.model.walk(spec.category, walk - 1, sigmas)]
        names = [f"{out.stem}-walk{walk}-{'m' if s < 0 else 'p'}{abs(s):.1f}{suffix}" for s in sigmas]
        places, steps = [out, *(out.with_name(name) for name in names)], [None, *sigmas]
    make_folder(out.parent)
    looks = feature_colours(meshes)
    written: list[dict[str, Any]] = []
    for mesh, place, colour, sigma in zip(meshes, places, looks, steps, strict=True):
        write_mesh(place, mesh.vertices.numpy(), mesh.faces.numpy(), colour)
        counts = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}
        written.append({"path": str(place), "sigma": sigma, **counts})
    return written


def walks(shape: FittedShape, sigmas: Sequence[float], most: int) -> list[list[FeatureMesh]]:
    """The walks along the first `most` directions that there are; empty where there is no latent space."""
    found = []
    for direction in range(most):
        try:
            found.append(list(shape.model.walk(shape.category, direction, sigmas)))
        except (CapabilityError, UsageError):
            break
    return found
