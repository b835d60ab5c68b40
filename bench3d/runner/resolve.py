"""From names to components: registrations, settings, weights and data sources. No torch, no weights, no images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    DatasetRegistration,
    Protocol,
    Registration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.contracts.data import TwinSpec
from bench3d.errors import CapabilityError, DataError, UnknownNameError, UsageError, WeightsError
from bench3d.plugins import incompatibilities, load_preset, load_registry, load_settings, settings_model
from bench3d.plugins.names import did_you_mean, resolve
from bench3d.records import file_digest, identity_hash, identity_settings
from bench3d.runner.spec import RunSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

QUICKSTART = "quickstart"


@dataclass(frozen=True)
class Component:
    """A registration with the name it was asked for by and its resolved settings."""

    registration: Registration
    name: str
    settings: BaseModel

    def identity(self) -> dict[str, Any]:
        """What of it can change a number."""
        return {
            "name": self.name,
            "result_version": self.registration.result_version,
            "settings": identity_settings(self.settings),
        }


@dataclass(frozen=True)
class DataSource:
    """A dataset and where it stands: a data root with the official files, or a synthetic twin."""

    component: Component
    root: Path
    twin: TwinSpec | None = None

    @property
    def registration(self) -> DatasetRegistration:
        """The dataset's registration."""
        assert isinstance(self.component.registration, DatasetRegistration)
        return self.component.registration

    def open(self) -> Any:
        """The reader. DataError where the folder is missing."""
        from bench3d.data.root import dataset_folder

        folder = dataset_folder(self.registration, self.root)
        return load_registry().create("dataset", self.component.name, root=folder, settings=self.component.settings)

    def fingerprint(self, category: str) -> str:
        """Hash of what decides a number. A twin's follows from its spec and generator: it need not be written yet.

        Raises:
            DataError: real data that are missing or broken.
        """
        if self.twin is None:
            return str(self.open().fingerprint(category))
        spec = {k: v for k, v in dataclasses.asdict(self.twin).items() if k != "categories"}
        return identity_hash({"twin": spec, "generator": self._generator(), "category": category})

    def _generator(self) -> list[str]:
        """Version of the generator, and `GENERATOR` of the module that writes this dataset's layout."""
        from bench3d.synth import GENERATOR_VERSION

        module = (self.registration.synth or "").partition(":")[0]
        writer = resolve(f"{module}:GENERATOR", f"twin of {self.component.name}") if module else ""
        return [str(GENERATOR_VERSION), str(writer)]


@dataclass(frozen=True)
class Resolved:
    """Everything a plan is made of."""

    backbone: Component
    weights: Any
    adapter: Component | None
    shape: Component | None
    preset: str | None
    task: Component | None
    protocol: Protocol | None
    test: DataSource | None
    train: Mapping[str, DataSource]  # name of the adapter or shape model -> its training data
    categories: tuple[str, ...]

    def backbone_identity(self) -> dict[str, Any]:
        """Name, version, settings and weights of the backbone."""
        return {**self.backbone.identity(), "weights": self.weights}


def resolve_spec(spec: RunSpec) -> Resolved:
    """Looks everything up and validates every setting.

    Raises:
        UnknownNameError, UsageError: an unknown name or setting, or a combination that cannot run.
        WeightsError: a weights file that is not there.
    """
    registry = load_registry()
    backbone = registry.get("backbone", spec.backbone)
    adapter = None if spec.adapter == "none" else registry.get("adapter", spec.adapter)
    shape = None if spec.shape_model == "none" else registry.get("shape-model", spec.shape_model)
    task = None if spec.task in (None, "none") else registry.get("task", str(spec.task))
    assert isinstance(backbone, BackboneRegistration)
    assert adapter is None or isinstance(adapter, AdapterRegistration)
    assert shape is None or isinstance(shape, ShapeModelRegistration)
    assert task is None or isinstance(task, TaskRegistration)
    reasons = incompatibilities(registry, backbone, adapter, shape, task)
    if reasons:
        raise CapabilityError(reasons[0], " ".join(reasons[1:]) or None)
    scopes = {scope: dict(values) for scope, values in spec.settings.items()}
    preset, shape_settings, wanted = _shape_settings(shape, scopes.get("shape", {}), spec.synthetic)
    protocol = None if task is None else _protocol(task, spec.protocol)
    sources = _sources(spec, scopes.get("data", {}), task, adapter, shape)
    test = sources.get(task.name) if task is not None else None
    return Resolved(
        backbone=Component(
            backbone, spec.backbone, load_settings(backbone, overrides=scopes.get("backbone"), wanted=wanted)
        ),
        weights=weights_identity(backbone, spec.weights),
        adapter=None if adapter is None else Component(adapter, spec.adapter, _own(adapter, scopes, "adapter")),
        shape=None if shape is None else Component(shape, spec.shape_model, shape_settings),
        preset=preset,
        task=_task(task, protocol, scopes.get("task", {})),
        protocol=protocol,
        test=test,
        train={r.name: sources[r.name] for r in (adapter, shape) if r is not None and r.name in sources},
        categories=_categories(spec, list(sources.values())),
    )


def weights_identity(registration: BackboneRegistration, weights: str) -> Any:
    """What stands for the weights in an identity: None, "random", the published id, or a file's digest."""
    if registration.weights is None and weights in ("pretrained", "random") and not registration.name.endswith(":"):
        return None
    if weights == "random":
        return "random"
    if weights == "pretrained":
        known = registration.weights
        if known is None:
            return "pretrained"
        return {k: getattr(known, k) for k in ("source", "id", "revision", "sha256") if getattr(known, k)}
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"There is no weights file {weights}.", "Give pretrained, random or the path of a file.")
    return {"sha256": file_digest(path)}


def _own(registration: Registration, scopes: Mapping[str, Mapping[str, Any]], scope: str) -> BaseModel:
    settings: BaseModel = load_settings(registration, overrides=scopes.get(scope))
    return settings


def _task(task: TaskRegistration | None, protocol: Protocol | None, overrides: Mapping[str, Any]) -> Component | None:
    if task is None:
        return None
    settings = load_settings(task, overrides={**(protocol.settings if protocol else {}), **overrides})
    return Component(task, task.name, settings)


def _shape_settings(
    shape: ShapeModelRegistration | None, overrides: dict[str, Any], synthetic: bool
) -> tuple[str | None, Any, Mapping[str, Any]]:
    """Name of the preset, resolved settings, and what the preset wishes of the backbone."""
    if shape is None:
        if overrides:
            raise UsageError("Settings of the scope shape were given, but no shape model.", "Add --shape-model NAME.")
        return None, None, {}
    chosen = overrides.pop("preset", None)
    if chosen is None and shape.presets is not None:
        chosen = shape.synthetic_preset if synthetic else shape.default_preset
    preset = None if chosen is None else load_preset(shape, str(chosen))
    settings = load_settings(shape, preset=preset, overrides=overrides)
    return chosen, settings, {} if preset is None else preset.backbone


def _protocol(task: TaskRegistration, name: str | None) -> Protocol | None:
    if name is None:
        return task.protocols[0] if task.protocols else None
    for protocol in task.protocols:
        if protocol.name == name:
            return protocol
    names = [p.name for p in task.protocols]
    raise UnknownNameError(f"{task.name} has no protocol {name}.", did_you_mean(name, names))


def _sources(
    spec: RunSpec, overrides: dict[str, Any], task: TaskRegistration | None, *fitted: Registration | None
) -> dict[str, DataSource]:
    """Name of the task, adapter or shape model -> its data."""
    from bench3d.data.root import data_root

    registry = load_registry()
    names = {} if task is None else {task.name: task.dataset}
    names |= {r.name: r.train_dataset for r in fitted if getattr(r, "train_dataset", None)}  # type: ignore[union-attr]
    root = data_root(spec.data)
    twin, rest = (None, overrides)
    if spec.synthetic:
        twin, root, rest = _twin(spec, root, overrides)
    registrations: dict[str, DatasetRegistration] = {}
    for owner, dataset in names.items():
        registration = registry.get("dataset", dataset)
        assert isinstance(registration, DatasetRegistration)
        if twin is not None and registration.synth is None:
            raise DataError(f"{dataset} has no synthetic twin.", "Use the official data, without --synthetic.")
        registrations[owner] = registration
    every = list(registrations.values())
    return {
        owner: DataSource(Component(r, r.name, _data_settings(r, rest, every)), root, twin)
        for owner, r in registrations.items()
    }


def _data_settings(own: DatasetRegistration, overrides: Mapping[str, Any], every: list[DatasetRegistration]) -> Any:
    """The keys of the scope `data` go to the datasets that know them; a key that none knows is an error."""
    known = {r.name: set(settings_model(r).model_fields) for r in every}
    theirs = set().union(*known.values()) - known[own.name]
    return load_settings(own, overrides={k: v for k, v in overrides.items() if k.split(".")[0] not in theirs})


def _twin(spec: RunSpec, root: Path, overrides: dict[str, Any]) -> tuple[TwinSpec, Path, dict[str, Any]]:
    """The twin's spec, its folder, and the settings that are the dataset's own."""
    import yaml
    from pydantic import TypeAdapter, ValidationError

    from bench3d.data.root import twin_root
    from bench3d.data.twin import twin_spec

    name = str(overrides.pop("twin", QUICKSTART))
    base = twin_spec(name)
    fields = {f.name for f in dataclasses.fields(TwinSpec)} - {"categories"}
    mine = {k: yaml.safe_load(v) if isinstance(v, str) else v for k, v in overrides.items() if k in fields}
    if spec.categories and not set(spec.categories) <= set(base.categories):
        mine["categories"] = tuple(spec.categories)
    try:
        twin = TypeAdapter(TwinSpec).validate_python({**dataclasses.asdict(base), **mine})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"data.{first['loc'][0]} = {first['input']!r}: {first['msg']}.") from error
    if twin != base:
        name = f"{name}-{identity_hash(dataclasses.asdict(twin))[:8]}"
    return twin, twin_root(root, name), {k: v for k, v in overrides.items() if k not in fields}


def _categories(spec: RunSpec, sources: list[DataSource]) -> tuple[str, ...]:
    """The categories of the run: those asked for, else those that all its data know; sorted, for the record's order."""
    if not sources:
        return tuple(sorted(spec.categories))
    known = [set(s.twin.categories if s.twin is not None else s.registration.categories) for s in sources]
    common = sorted(set.intersection(*known))
    unknown = sorted(set(spec.categories) - set(common))
    if unknown:
        raise UnknownNameError(
            f"There is no category {unknown[0]} in {' and '.join(sorted({s.component.name for s in sources}))}.",
            did_you_mean(unknown[0], common),
        )
    return tuple(sorted(set(spec.categories) or common))
