"""From names to components: registrations, settings, weights and data sources. No torch, no weights, no images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    Protocol,
    Registration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.errors import CapabilityError, UnknownNameError, UsageError, WeightsError
from bench3d.plugins import incompatibilities, load_preset, load_registry, load_settings, withheld
from bench3d.plugins.names import did_you_mean
from bench3d.records import file_digest
from bench3d.runner.checkpoints import Checkpoint, split_adapter
from bench3d.runner.memo import once
from bench3d.runner.sources import Component, DataSource, find_categories, find_sources
from bench3d.runner.spec import RunSpec

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Resolved:
    """Everything a plan is made of."""

    backbone: Component
    weights: Any
    adapter: Component | None
    checkpoint: Checkpoint | None  # of the adapter, in place of a fit
    shape: Component | None
    preset: str | None
    task: Component | None
    protocol: Protocol | None
    test: DataSource | None
    train: Mapping[str, DataSource]  # name of the adapter or shape model -> its training data
    categories: tuple[str, ...]

    def adapter_identity(self) -> dict[str, Any] | None:
        """Name, version and settings of the adapter, and its checkpoint where one was given."""
        if self.adapter is None:
            return None
        given = {} if self.checkpoint is None else {"checkpoint": self.checkpoint.identity}
        return {**self.adapter.identity(), **given}

    def backbone_identity(self, purpose: Literal["identity", "fit"] = "identity") -> dict[str, Any]:
        """Name, version, settings and weights of the backbone."""
        return {**self.backbone.identity(purpose), "weights": self.weights}


def resolve_spec(spec: RunSpec) -> Resolved:
    """Looks everything up and validates every setting.

    Raises:
        UnknownNameError, UsageError: an unknown name or setting, or a combination that cannot run.
        WeightsError: a weights file that is not there.
    """
    registry = load_registry()
    backbone = registry.get("backbone", spec.backbone)
    adapter_name, checkpoint = split_adapter(registry, spec.adapter)
    adapter = None if spec.adapter == "none" else registry.get("adapter", adapter_name)
    shape = None if spec.shape_model == "none" else registry.get("shape-model", spec.shape_model)
    task = None if spec.task in (None, "none") else registry.get("task", str(spec.task))
    assert isinstance(backbone, BackboneRegistration)
    assert adapter is None or isinstance(adapter, AdapterRegistration)
    assert shape is None or isinstance(shape, ShapeModelRegistration)
    assert task is None or isinstance(task, TaskRegistration)
    reasons = incompatibilities(registry, backbone, adapter, shape, task)
    if reasons:
        raise CapabilityError(reasons[0], " ".join(reasons[1:]) or None)
    scopes = _scopes(spec, {"adapter": adapter, "shape": shape})
    preset, shape_settings, wanted = _fitted_settings(shape, scopes.get("shape", {}), spec.synthetic)
    adapter_preset, adapter_settings, _ = _fitted_settings(adapter, scopes.get("adapter", {}), spec.synthetic)
    protocol = None if task is None else _protocol(task, spec.protocol)
    if protocol is not None and task is not None and shape is not None:
        _offered(task, protocol, shape)
    sources = find_sources(spec, scopes.get("data", {}), task, None if checkpoint else adapter, shape)
    test = sources.get(task.name) if task is not None else None
    _categories_agree(test, sources, shape)
    # A shape model was fitted on the backbone as its preset wants it, so that goes before the protocol's wish.
    wanted = {**(protocol.backbone if protocol is not None else {}), **wanted}
    return Resolved(
        backbone=Component(
            backbone, spec.backbone, load_settings(backbone, overrides=scopes.get("backbone"), wanted=wanted)
        ),
        weights=weights_identity(backbone, spec.backbone, spec.weights),
        adapter=None if adapter is None else Component(adapter, adapter_name, adapter_settings),
        checkpoint=checkpoint,
        shape=None if shape is None else Component(shape, spec.shape_model, shape_settings),
        preset=preset if shape is not None else adapter_preset,
        task=_task(task, protocol, scopes.get("task", {})),
        protocol=protocol,
        test=test,
        train={r.name: sources[r.name] for r in (adapter, shape) if r is not None and r.name in sources},
        categories=find_categories(spec, list(sources.values())),
    )


def _offered(task: TaskRegistration, protocol: Protocol, shape: ShapeModelRegistration) -> None:
    """CapabilityError where the shape model needs a ground truth that the protocol keeps to itself."""
    if missing := withheld(protocol, shape):
        able = [p.name for p in task.protocols if not withheld(p, shape)]
        raise CapabilityError(
            f"{shape.name} needs the true {' and '.join(missing)}, which the protocol {protocol.name} does not give.",
            f"Choose --protocol {' or '.join(able)}." if able else None,
        )


def _categories_agree(
    test: DataSource | None, sources: Mapping[str, DataSource], shape: ShapeModelRegistration | None
) -> None:
    """A shape model is chosen by category: a data set without categories cannot say which."""
    if test is not None and shape is not None and not test.categories and sources[shape.name].categories:
        raise CapabilityError(
            f"{shape.name} has one model per category, and {test.component.name} names no categories.",
            "Leave the shape model out, or choose a task with categories.",
        )


def weights_identity(registration: BackboneRegistration, name: str, weights: str) -> Any:
    """What stands for the weights in an identity: None, "random", the published id, or a file's digest."""
    if registration.weights is None and weights in ("pretrained", "random") and not registration.name.endswith(":"):
        return None
    if weights == "random":
        return "random"
    if weights == "pretrained":
        known = registration.weights
        if known is None:
            return "pretrained"
        variant = name[len(registration.name) :]
        facts = {k: getattr(known, k) for k in ("source", "id", "revision", "sha256") if getattr(known, k)}
        return facts | {"id": known.id.replace("{variant}", variant)}
    path = Path(weights).expanduser()
    if not path.is_file():
        raise WeightsError(f"There is no weights file {weights}.", "Give pretrained, random or the path of a file.")
    return {"sha256": once(("weights", path), lambda: file_digest(path))}


def _scopes(spec: RunSpec, parts: Mapping[str, Registration | None]) -> dict[str, dict[str, Any]]:
    """The settings by scope; settings of a part that the run does not have are a mistake, not a trifle."""
    known = ["backbone", "data", "task", *parts]
    for scope, values in spec.settings.items():
        if scope not in known:
            raise UsageError(f"There is no scope {scope} of settings.", did_you_mean(scope, known))
        if values and scope in parts and parts[scope] is None:
            option = {"adapter": "--adapter", "shape": "--shape-model"}[scope]
            message = f"{scope}.{next(iter(values))} was set, but there is no {scope} here."
            raise UsageError(message, f"Add {option} NAME.")
    return {scope: dict(values) for scope, values in spec.settings.items()}


def _task(task: TaskRegistration | None, protocol: Protocol | None, overrides: Mapping[str, Any]) -> Component | None:
    if task is None:
        return None
    settings = load_settings(task, overrides={**(protocol.settings if protocol else {}), **overrides})
    return Component(task, task.name, settings)


def _fitted_settings(
    fitted: AdapterRegistration | ShapeModelRegistration | None, overrides: dict[str, Any], synthetic: bool
) -> tuple[str | None, Any, Mapping[str, Any]]:
    """Name of the preset, resolved settings, and what the preset wishes of the backbone."""
    if fitted is None:
        return None, None, {}
    chosen = overrides.pop("preset", None)
    if chosen is None and fitted.presets is not None:
        chosen = fitted.synthetic_preset if synthetic else fitted.default_preset
    preset = None if chosen is None else load_preset(fitted, str(chosen))
    settings = load_settings(fitted, preset=preset, overrides=overrides)
    return chosen, settings, {} if preset is None else preset.backbone


def _protocol(task: TaskRegistration, name: str | None) -> Protocol | None:
    if name is None:
        return task.protocols[0] if task.protocols else None
    for protocol in task.protocols:
        if protocol.name == name:
            return protocol
    names = [p.name for p in task.protocols]
    raise UnknownNameError(f"{task.name} has no protocol {name}.", did_you_mean(name, names))
