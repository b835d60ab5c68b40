"""The data of a record: categories, settings of the readers, and the spec of its synthetic twin.

A measurement holds a twin's fingerprints, not its spec. The provenance of newer records does; for older ones the specs
that are likely are tried, and the one with the record's fingerprints is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench3d.contracts import AdapterRegistration, DatasetRegistration, Registration, ShapeModelRegistration
from bench3d.contracts.data import TwinSpec
from bench3d.errors import Bench3DError
from bench3d.plugins import load_registry, load_settings, parse_set
from bench3d.records import Record
from bench3d.runner.respec_files import typed
from bench3d.runner.respec_settings import changed, part
from bench3d.runner.sources import ALL, QUICKSTART, Component, DataSource, resolve_twin
from bench3d.runner.spec import RunSpec

TWIN_FIELDS = tuple(f.name for f in dataclasses.fields(TwinSpec))


def data_scope(
    record: Record, parts: Mapping[str, Registration | None], data: Path | None, lenient: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Categories of the spec (empty where they are all that there are), and its settings of the scope `data`."""
    measured = record.identity.measurement
    dataset = part(measured, "dataset") or {"name": "", "settings": {}}
    synthetic = dataset.get("synthetic") is True
    own = _dataset(str(dataset["name"]))
    settings: dict[str, Any] = {}
    for registration, values in ((own, dataset), *_training(record, parts)):
        mine = changed(registration, values)
        settings |= {k: v for k, v in mine.items() if not (synthetic and k in TWIN_FIELDS)}
    categories = tuple(str(c) for c in measured.get("categories") or ())
    twin = None
    if synthetic:
        twin, asked = _twin(record, own, dataset, categories, data, lenient)
        settings = {**asked, **settings}
    known = [
        set(twin.categories if twin is not None and r.categories else r.categories) for r in _all(record, own, parts)
    ]
    common = set.intersection(*known) if (known := [k for k in known if k]) else {ALL}
    return (() if set(categories) == common else categories), settings


def _twin(
    record: Record,
    own: DatasetRegistration | None,
    dataset: Mapping[str, Any],
    categories: tuple[str, ...],
    data: Path | None,
    lenient: bool,
) -> tuple[TwinSpec | None, dict[str, Any]]:
    """The spec with the record's fingerprints, else the likeliest, and how one asks for it in the scope `data`."""
    fingerprints = dataset.get("fingerprints")
    wanted = dict(fingerprints) if isinstance(fingerprints, Mapping) else {}
    first: TwinSpec | None = None
    for spec in _likely(record, categories, None if lenient else data, lenient):
        first = first or spec
        if own is None or _fingerprints(own, dataset, spec, wanted) == wanted:
            return spec, _asked(spec)
    return first, {} if first is None else _asked(first)


def _fingerprints(
    own: DatasetRegistration, dataset: Mapping[str, Any], spec: TwinSpec, wanted: Mapping[str, Any]
) -> dict[str, str] | None:
    try:
        settings = load_settings(own, overrides=dataset.get("settings", {}))
        source = DataSource(Component(own, own.name, settings), Path(), spec)
        return {category: source.fingerprint(category) for category in wanted}
    except Bench3DError:
        return None


def _likely(record: Record, categories: tuple[str, ...], data: Path | None, lenient: bool) -> Iterator[TwinSpec]:
    """Specs that the record's twin may have had, the likeliest first."""
    from bench3d.data.root import data_root
    from bench3d.data.twin import DONE, SPECS, twin_mark

    if record.provenance.twin is not None:
        yield from _valid(record.provenance.twin)
    try:
        asked = parse_set(typed(record, "--set")).get("data", {})
    except Bench3DError:  # a command that lost its quotes
        asked = {}
    yield from _as_run(categories, asked)
    for name in SPECS:
        yield from _as_run(categories, {"twin": name})
    if lenient:
        return
    for path in sorted((data_root(data) / "synthetic").glob(f"*/*/{DONE}")):
        try:
            mark = twin_mark(path.parent)
        except Bench3DError:
            continue
        yield from _valid(mark["spec"] if mark else {})


def _as_run(categories: tuple[str, ...], asked: Mapping[str, Any]) -> Iterator[TwinSpec]:
    """What `bench3d run --synthetic` makes of settings."""
    try:
        spec = RunSpec(backbone="", categories=() if categories == (ALL,) else categories, synthetic=True)
        yield resolve_twin(spec, Path(), dict(asked))[0]
    except Bench3DError:
        return


def _valid(values: Any) -> Iterator[TwinSpec]:
    from pydantic import TypeAdapter, ValidationError

    try:
        yield TypeAdapter(TwinSpec).validate_python(values)
    except ValidationError:
        return


def _asked(spec: TwinSpec) -> dict[str, Any]:
    """A spec in the fewest settings: a named twin and what differs from it."""
    from bench3d.data.twin import SPECS

    found: list[dict[str, Any]] = []
    for name, base in SPECS.items():
        differing = {f: getattr(spec, f) for f in TWIN_FIELDS if getattr(spec, f) != getattr(base, f)}
        found.append({**({} if name == QUICKSTART else {"twin": name}), **differing})
    best = min(found, key=len)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in best.items()}


def _dataset(name: str) -> DatasetRegistration | None:
    try:
        registration = load_registry().get("dataset", name)
    except Bench3DError:
        return None
    return registration if isinstance(registration, DatasetRegistration) else None


def _training(
    record: Record, parts: Mapping[str, Registration | None]
) -> Iterator[tuple[DatasetRegistration, dict[str, Any]]]:
    """The data sets that fits were made on, with the settings that the provenance has of them."""
    for registration in _trained_on(record, parts):
        values = record.provenance.data_settings.get(registration.name)
        if isinstance(values, Mapping):
            yield registration, {"settings": dict(values)}


def _trained_on(record: Record, parts: Mapping[str, Registration | None]) -> Iterator[DatasetRegistration]:
    """What the run's fits need; an adapter that comes from a checkpoint needs nothing."""
    given = "checkpoint" in (part(record.identity.measurement, "adapter") or {})
    for fitted in (None if given else parts.get("adapter"), parts.get("shape_model")):
        name = fitted.train_dataset if isinstance(fitted, (AdapterRegistration, ShapeModelRegistration)) else None
        registration = _dataset(name) if name else None
        if registration is not None:
            yield registration


def _all(
    record: Record, own: DatasetRegistration | None, parts: Mapping[str, Registration | None]
) -> list[DatasetRegistration]:
    """The data sets whose common categories are those of a run."""
    return [*([own] if own is not None else []), *_trained_on(record, parts)]
