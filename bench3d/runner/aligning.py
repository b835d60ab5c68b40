"""`bench3d data align`: a data set's sequences brought into one frame per category, by features of any backbone."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench3d.contracts import DatasetRegistration, Progress, Registration
from bench3d.errors import DataError, UsageError
from bench3d.files import atomic_path, write_json
from bench3d.plugins import load_registry, load_settings
from bench3d.plugins.names import did_you_mean, resolve
from bench3d.records import Claim, Watch, identity_hash, identity_settings
from bench3d.runner.resolve import Resolved, resolve_spec
from bench3d.runner.sources import resolve_twin
from bench3d.runner.spec import RunSpec, Settings

if TYPE_CHECKING:
    from bench3d.contracts.videos import Aligner
    from bench3d.morphable.alignment import Alignment, CategoryAlignment
    from bench3d.morphable.alignment_settings import AlignmentSettings

EVERY = "all"
CUTTING = ("max_frames", "canvas", "raster", "most_points", "most_vertices", "normalise", "seed")
"""Alignment settings that decide meshes and features; the others decide only the similarities."""


@dataclass(frozen=True, kw_only=True)
class AlignSpec:
    """What to align, with which features.

    Attributes:
        backbone: None takes the one that the data set's published alignment was made with.
        categories: canonical names, empty for all that are there.
        references: published names ("r0"), or a sequence; "all" for every published one; empty lets the data choose.
        labels: file of labelled rotations (bench3d.morphable.alignment_labels).
        weights, device, offline, data, synthetic, seed: as in a RunSpec.
        settings: scopes backbone, data (with `synthetic` also the twin's) and align.
        out: the table; None puts it under the data root.
        workers: processes for meshes and similarities.
    """

    dataset: str
    backbone: str | None = None
    categories: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    labels: Path | None = None
    weights: str = "pretrained"
    settings: Settings = field(default_factory=dict)
    data: Path | None = None
    synthetic: bool = False
    out: Path | None = None
    workers: int = 1
    seed: int = 0
    device: str = "auto"
    offline: bool = False


@dataclass(frozen=True, kw_only=True)
class _SettingsOwner(Registration):
    """Lends the alignment's settings the checks of a registration's."""

    kind: ClassVar[str] = "align"


def align(spec: AlignSpec, progress: Progress) -> dict[str, Any]:
    """Aligns, and writes the table, a report beside it and a picture per category.

    What is there of the files between is taken; categories that the table holds already stay in it.

    Returns:
        table, report (paths), categories: each with its summary, rows and picture; unlabelled: categories -> reference.

    Raises:
        UsageError: a wrong name, setting or reference. DataError: broken data or labels. WeightsError, OutputError.
    """
    from bench3d.morphable.alignment import Alignment
    from bench3d.morphable.alignment_labels import read_labels

    registration = aligned_dataset(spec.dataset)
    backbone = spec.backbone or str(resolve(f"{registration.align}.backbone", f"data set {spec.dataset}"))
    settings = _alignment_settings(spec)
    resolved = resolve_spec(
        RunSpec(
            backbone=backbone,
            weights=spec.weights,
            settings={k: v for k, v in spec.settings.items() if k == "backbone"},
        )
    )
    labels = {} if spec.labels is None else read_labels(spec.labels)
    aligner, root, name = _open(registration, spec, progress)
    categories = _categories(spec, aligner)
    words = f"{name}-{backbone}".replace(":", "-").replace("/", "-")
    out = (spec.out or root / "alignments" / f"{words}.json").expanduser()
    _check_table(out)
    key = _key(resolved, settings, spec, registration)
    load = functools.cache(lambda: _extractor(resolved, spec))
    found: dict[str, Any] = {"table": str(out), "report": str(report_of(out)), "categories": [], "unlabelled": {}}
    for category in categories:
        sequences, left_out = aligner.raw_sequences(category)
        folder = out.with_suffix(".work") / f"{category}-{key}"
        one = Alignment(category, sequences, load, folder, settings, progress, spec.workers)
        chosen = _references(spec.references, aligner, category, one, labels.get(category, {}))
        results = {key: one.to(reference) for key, reference in chosen.items()}
        shown = Shown(out, labels.get(category, {}), aligner.truth(category), left_out, _is_nested(spec, chosen))
        _finish_category(found, one, results, shown)
    write_json(report_of(out), {"settings": _facts(spec, resolved, settings), **found})
    return found


def aligned_dataset(name: str) -> DatasetRegistration:
    """The data set's registration; UsageError where its sequences cannot be aligned."""
    registration = load_registry().find("dataset", name)
    assert isinstance(registration, DatasetRegistration)
    if registration.align is None:
        able = [r.name for r in load_registry().registrations("dataset") if getattr(r, "align", None)]
        raise UsageError(f"{name} has no sequences to align.", f"There is {', '.join(able)}.")
    return registration


def aligner_of(registration: DatasetRegistration, root: Path, settings: Any) -> Aligner:
    """What the data set's plugin offers for aligning."""
    made: Aligner = resolve(str(registration.align), f"data set {registration.name}")(root, settings)
    return made


def report_of(table: Path) -> Path:
    """The report beside a table."""
    return table.with_suffix(".report.json")


def merge_table(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes `tables` into the JSON at `path`, level by level; what it holds beside them stays.

    Several processes may do so at once: each waits for the others.
    """
    watch = Watch()
    while (claim := Claim.take(path.with_name(f".{path.name}.writing"), f"table {path.name}", watch)) is None:
        time.sleep(0.05)
    with claim:
        table = _check_table(path)
        for key, value in tables.items():
            nested = value and all(isinstance(v, Mapping) for v in value.values())
            table[key] = {**(table.get(key, {}) if nested else {}), **value}
        write_json(path, table)


def _check_table(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is there and no alignment table ({error}).", "Choose another --out.") from error
    if not isinstance(table, dict):
        raise DataError(f"{path} is there and no alignment table.", "Choose another --out.")
    return table


def _alignment_settings(spec: AlignSpec) -> AlignmentSettings:
    owner = _SettingsOwner(
        name="alignment",
        summary="",
        factory="",
        settings="bench3d.morphable.alignment_settings:AlignmentSettings",
    )
    values: AlignmentSettings = load_settings(owner, overrides={"seed": spec.seed, **spec.settings.get("align", {})})
    return values


def _open(registration: DatasetRegistration, spec: AlignSpec, progress: Progress) -> tuple[Aligner, Path, str]:
    """The aligner, the data root that tables go under, and what to call the data."""
    from bench3d.data.root import data_root, dataset_folder
    from bench3d.data.twin import ensure_twin, is_synthetic

    root = top = data_root(spec.data)
    overrides = dict(spec.settings.get("data", {}))
    if spec.synthetic:
        run = RunSpec(backbone="none", categories=spec.categories)
        twin, root, overrides = resolve_twin(run, root, overrides)
        ensure_twin(root, twin, [registration], progress, spec.workers)
    folder = dataset_folder(registration, root)
    name = f"{registration.name}-{folder.parent.name}" if is_synthetic(folder) else registration.name
    return aligner_of(registration, folder, load_settings(registration, overrides=overrides)), top, name


def _categories(spec: AlignSpec, aligner: Aligner) -> tuple[str, ...]:
    there = aligner.present()
    for category in spec.categories:
        if category not in there:
            raise UsageError(f"{spec.dataset} has no category {category} here.", did_you_mean(category, there))
    if not there:
        raise DataError(f"No category of {spec.dataset} is here.", f"See bench3d data describe {spec.dataset}.")
    return spec.categories or tuple(there)


def _references(
    asked: tuple[str, ...], aligner: Aligner, category: str, one: Alignment, labels: Mapping[str, Any]
) -> dict[str, str]:
    """Key in the table -> sequence. Where none is asked for: a labelled one, the first published, the best seen."""
    published = aligner.references(category)
    if not asked:
        there = [name for name in published.values() if name in one.ready]
        labelled = [n for n in there if n in labels] or [n for n in labels if n in one.ready]
        return {"r0": next(iter(labelled + there), None) or one.best_covered()}
    if EVERY in asked:
        found = {key: name for key, name in published.items() if name in one.ready}
        if not found:
            raise UsageError(f"No published reference of {category} is here.", "Name sequences: --reference SEQUENCE.")
        return found
    chosen = {key if key in published else f"r{i}": published.get(key, key) for i, key in enumerate(asked)}
    known = {*one.ready, *one.skipped}
    for name in chosen.values():
        if name not in known:
            raise UsageError(f"{category} has no sequence {name} here.", did_you_mean(name, [*published, *one.ready]))
    return chosen


def _is_nested(spec: AlignSpec, chosen: Mapping[str, str]) -> bool:
    """Whether the table has one level more, for references (read back with data.reference=r0)."""
    return len(chosen) > 1 or EVERY in spec.references


@dataclass(frozen=True)
class Shown:
    """What goes into table and report beside the similarities; `nested`: the table has a level for references."""

    out: Path
    labels: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray] | None
    left_out: Mapping[str, int]
    nested: bool


def _finish_category(
    found: dict[str, Any], one: Alignment, results: Mapping[str, CategoryAlignment], shown: Shown
) -> None:
    """Writes one category's part of the table and its picture, and adds to what was found."""
    from PIL import Image

    from bench3d.morphable.alignment_report import picture, rows_of, summary_of

    out = shown.out
    for key, result in results.items():
        axes = shown.labels.get(result.reference)
        turn = np.eye(4)
        if axes is None:
            found["unlabelled"].setdefault(one.category, []).append(result.reference)
        else:
            turn[:3, :3] = axes
        table = {one.category: {a.name: (turn @ a.transform).tolist() for a in result.aligned}}
        merge_table(out, {key: table} if shown.nested else table)
        rows = rows_of(result, shown.truth)
        png = out.with_name(f"{out.stem}-{one.category}{'-' + key if shown.nested else ''}.png")
        image = picture(result, {a.name: one.mesh(a.name) for a in result.aligned}, axes, rows)
        with atomic_path(png) as temporary:
            Image.fromarray(image).save(temporary, format="PNG")
        summary = summary_of(result, rows)
        summary["skipped"] = {**shown.left_out, **summary["skipped"]}
        left_out = {name: sentence for name, (_, sentence) in sorted(result.skipped.items())}
        facts = {"labelled": axes is not None, "key": key if shown.nested else None, "picture": str(png)}
        found["categories"].append({**summary, **facts, "left_out": left_out, "sequences": rows})


def _extractor(resolved: Resolved, spec: AlignSpec) -> Any:
    from bench3d.features.extract import Extractor
    from bench3d.machine import choose_device
    from bench3d.runner.models import build_backbone, settle_numerics

    device = choose_device(spec.device)
    settle_numerics(spec.offline)
    return Extractor(build_backbone(resolved, spec.weights, device))


def _key(resolved: Resolved, settings: AlignmentSettings, spec: AlignSpec, registration: DatasetRegistration) -> str:
    """Twelve digits of what decides meshes and features, as far as it is not the sequence itself."""
    from bench3d.morphable.alignment_stages import VERSION

    cutting = {name: value for name, value in identity_settings(settings).items() if name in CUTTING}
    data = {k: str(v) for k, v in spec.settings.get("data", {}).items()}
    facts = {"backbone": resolved.backbone_identity(), "align": cutting, "data": data, "version": VERSION}
    return identity_hash({**facts, "dataset": registration.name})[:12]


def _facts(spec: AlignSpec, resolved: Resolved, settings: AlignmentSettings) -> dict[str, Any]:
    return {
        "dataset": spec.dataset,
        "backbone": resolved.backbone_identity(),
        "align": identity_settings(settings),
        "data": {k: str(v) for k, v in spec.settings.get("data", {}).items()},
    }
