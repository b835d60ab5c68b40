"""The fits that a run needs: one job per artifact, with the recipe that names its folder. No torch."""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench3d.contracts import AdapterRegistration
from bench3d.errors import DataError
from bench3d.features.settings import INPUT_POLICY
from bench3d.records import identity_hash, short
from bench3d.runner.resolve import Resolved
from bench3d.runner.sources import ALL, Component
from bench3d.runner.spec import RunSpec

ARTIFACT = "artifact.json"


@dataclass(frozen=True)
class FitJob:
    """One artifact that a run needs. `recipe` is None where its training data are missing."""

    component: str
    kind: Literal["adapter", "shape-model"]
    category: str | None
    inputs: Mapping[str, Any] = field(repr=False)
    recipe: str | None
    folder: Path | None

    @property
    def done(self) -> bool:
        """Whether the artifact stands, with this recipe. A broken one counts as not done."""
        return self.folder is not None and is_artifact(self.folder, self.recipe)

    @property
    def claim(self) -> Path | None:
        """The claim file (`bench3d.records.Claim`) of the process that is at this fit."""
        return None if self.folder is None else self.folder.with_name(f".{self.folder.name}.claim.json")

    def attempts(self) -> list[Path]:
        """Folders beside the final one in which this fit was begun (`.<name>.<token>`)."""
        if self.folder is None:
            return []
        found = self.folder.parent.glob(f".{glob.escape(self.folder.name)}.*")
        return [path for path in found if path.is_dir()]


def is_artifact(folder: Path, recipe: str | None) -> bool:
    """Whether an artifact of a recipe stands in `folder`."""
    try:
        found = json.loads((folder / ARTIFACT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("recipe") == recipe


def fit_begun(job: FitJob) -> bool:
    """Whether a fit that is not done was begun before and goes on from there."""
    if job.folder is None or job.done:
        return False
    return any(path for place in (job.folder, *job.attempts()) for path in place.rglob("*.safetensors"))


def fit_jobs(spec: RunSpec, resolved: Resolved) -> tuple[FitJob, ...]:
    """The artifacts in the order in which they are needed: the adapter's, then the shape model's on top of it."""
    jobs: list[FitJob] = []
    below: dict[str | None, str | None] = {}
    if resolved.checkpoint is not None:
        below[None] = identity_hash(resolved.adapter_identity() or {})
    if resolved.adapter is not None and resolved.adapter.name in resolved.train:
        registration = resolved.adapter.registration
        assert isinstance(registration, AdapterRegistration)
        for category in resolved.categories if registration.per_category else (None,):
            jobs.append(_job(spec, resolved, "adapter", category, None))
            below[category] = jobs[-1].recipe
    if resolved.shape is not None and resolved.shape.name in resolved.train:
        for category in resolved.categories:
            jobs.append(_job(spec, resolved, "shape-model", category, below.get(category, below.get(None))))
    return tuple(jobs)


def _job(
    spec: RunSpec,
    resolved: Resolved,
    kind: Literal["adapter", "shape-model"],
    category: str | None,
    adapter_recipe: str | None,
) -> FitJob:
    component = resolved.adapter if kind == "adapter" else resolved.shape
    assert component is not None
    source = resolved.train[component.name]
    wanted = (category,) if category is not None else resolved.categories
    if not source.categories:
        wanted = (ALL,)
    try:
        data = {name: source.fingerprint(name) for name in wanted}
    except DataError:
        return FitJob(component.name, kind, category, {}, None, None)
    inputs = {
        "schema": "bench3d.recipe/1",
        "kind": kind,
        "component": component.identity("fit"),
        "backbone": _backbone(resolved, component),
        "adapter": adapter_recipe,
        "dataset": {**source.component.identity("fit"), "fingerprints": data},
        "category": category,
        "seed": spec.seed,
    }
    recipe = identity_hash(inputs)
    folder = spec.results / "fits" / component.name / file_name(spec.backbone) / f"{category or 'all'}-{short(recipe)}"
    return FitJob(component.name, kind, category, inputs, recipe, folder)


def _backbone(resolved: Resolved, component: Component) -> dict[str, Any]:
    """The backbone as a fit sees it: without its input policy where the fit has one of its own."""
    identity = resolved.backbone_identity("fit")
    if getattr(component.registration, "own_input", False):
        kept = {k: v for k, v in identity["settings"].items() if k not in INPUT_POLICY}
        identity = {**identity, "settings": kept}
    return identity


def file_name(text: str) -> str:
    """`text` with everything that a file name should not hold replaced by an underscore."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).strip(".") or "_"
