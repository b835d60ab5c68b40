"""What a user asks for, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from bench3d.errors import UsageError

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One run, or with `task=None` only the fits that `bench3d train` makes.

    Attributes:
        backbone, adapter, shape_model, task: registered names; "none" for no adapter or shape model.
        weights: "pretrained", "random" or the path of a file.
        protocol: name of one of the task's protocols, None for its first.
        categories: canonical names, empty for all of the dataset's (or of the twin's).
        limit: samples per category, None for all.
        device: "auto", "cpu" or "cuda".
        data: data root, None for BENCH3D_DATA or the user cache.
        synthetic: use the synthetic twin, and write it where it is not there.
        results: folder of fits and runs.
        settings: scope (backbone, adapter, shape, task, data) -> key -> value; `shape.preset` names a preset;
            with `synthetic`, `data` also takes the fields of a TwinSpec.
        visualize: leave pictures beside the record.
        force: run again although the run is finished (for `train`: fit again).
        offline: load nothing from the network.
        layer: "auto" chooses the backbone's layer on the task's validation data; else it is a setting.
        batch: images that the backbone sees at once; workers: threads that load images ahead. Neither changes a number.
        cache: keep features on disk, and take those that are there.
    """

    backbone: str
    task: str | None = None
    adapter: str = "none"
    shape_model: str = "none"
    weights: str = "pretrained"
    protocol: str | None = None
    categories: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    data: Path | None = None
    synthetic: bool = False
    results: Path = Path("bench3d-results")
    settings: Settings = field(default_factory=dict)
    visualize: bool = False
    force: bool = False
    offline: bool = False
    layer: Literal["auto"] | None = None
    batch: int = 8
    workers: int = 2
    cache: bool = True


def spec_values(spec: RunSpec) -> dict[str, Any]:
    """A spec as JSON values, for a plan that another process reads."""
    values = {f.name: getattr(spec, f.name) for f in fields(spec)}
    return {k: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def spec_from(values: Mapping[str, Any]) -> RunSpec:
    """The spec that `spec_values` wrote.

    Raises:
        UsageError: a field that a spec does not have.
    """
    unknown = sorted(set(values) - {f.name for f in fields(RunSpec)})
    if unknown or "backbone" not in values:
        raise UsageError(f"This is no run: unknown field {unknown[0]}." if unknown else "This is no run: no backbone.")
    read = dict(values)
    for name in ("data", "results"):
        if read.get(name) is not None:
            read[name] = Path(read[name])
    read["categories"] = tuple(read.get("categories", ()))
    return RunSpec(**read)


@dataclass(frozen=True, kw_only=True)
class PredictSpec:
    """The pose of one object in any photograph.

    Attributes:
        photo: an image file; EXIF orientation is applied.
        box: (x0, y0, x1, y1) in pixels of the photo as it is shown, None for the whole photo.
        out: the PNG to write; with `out_json` the numbers as well.
        mesh: file of the object's mesh (glb, ply, obj); mask: PNG of its silhouette, in pixels of the photo.
        checkpoint: folder of a fitted artifact, None for the one that `train` or `run` left in `results`.
        focal: the camera's focal length in pixels of the photo, None for the assumed one of a box crop.
    """

    photo: Path
    category: str
    backbone: str
    shape_model: str
    out: Path
    box: tuple[float, float, float, float] | None = None
    adapter: str = "none"
    weights: str = "pretrained"
    settings: Settings = field(default_factory=dict)
    data: Path | None = None
    results: Path = Path("bench3d-results")
    synthetic: bool = False
    seed: int = 0
    device: str = "auto"
    checkpoint: Path | None = None
    focal: float | None = None
    offline: bool = False
    out_json: Path | None = None
    mesh: Path | None = None
    mask: Path | None = None
