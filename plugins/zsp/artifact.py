"""What a fit of ZSP leaves on disk; see `bench3d.morphable.artifact`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from bench3d.contracts import Artifact, FitContext
from bench3d.errors import WeightsError
from bench3d.morphable.artifact import HINT, ArtifactFormat, ArtifactIndex
from bench3d_plugins.zsp.reference import References
from bench3d_plugins.zsp.settings import ZSPSettings

FILE = "references.safetensors"


class ZSPIndex(ArtifactIndex):
    """`artifact.json`."""

    settings: ZSPSettings


FORMAT = ArtifactFormat("ZSP", "bench3d.zsp/1", ZSPIndex, FILE)


def write_artifact(
    references: References, settings: ZSPSettings, facts: dict[str, Any], context: FitContext
) -> Artifact:
    """Writes the references into `context.out`.

    Raises:
        OutputError: no space or no permission.
    """
    tensors = {field.name: getattr(references, field.name) for field in fields(References)}
    return FORMAT.write(
        context.out,
        {FILE: tensors},
        category=context.category,
        recipe=context.recipe,
        seed=context.seed,
        facts=facts,
        settings=settings,
    )


def load_references(folder: Path) -> References:
    """The references of an artifact, on the CPU.

    Raises:
        WeightsError: the file is missing or broken, or its tensors do not fit each other.
    """
    FORMAT.open(folder)
    values = FORMAT.tensors(folder)
    names = {field.name for field in fields(References)}
    if set(values) != names:
        raise WeightsError(f"{folder / FILE} must hold {', '.join(sorted(names))}.", HINT)
    found = References(**values)
    wrong = _misfit(found)
    if wrong is not None:
        raise WeightsError(f"{folder / FILE}: {wrong} does not fit the rest.", HINT)
    return found


def _misfit(found: References) -> str | None:
    """The name of a tensor of another shape or kind than the others ask for."""
    cells, frames = found.features.shape[0] if found.features.ndim == 2 else 0, len(found.rotations)
    shapes = {"places": (cells, 2), "points": (cells, 3), "frame": (cells,), "rotations": (frames, 3, 3), "seed": ()}
    for name, shape in shapes.items():
        if tuple(getattr(found, name).shape) != shape:
            return name
    if not cells:
        return "features"
    frame = found.frame
    if frame.dtype != torch.int64 or int(frame.min()) < 0 or int(frame.max()) >= frames:
        return "frame"
    return None
