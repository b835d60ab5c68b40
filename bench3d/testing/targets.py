"""What is to be checked: names, packages, folders and objects turned into registrations. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    ExecutorRegistration,
    Registration,
    RendererRegistration,
    ShapeModelRegistration,
)
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins import Registry, load_registry
from bench3d.plugins.names import did_you_mean, resolve
from bench3d.plugins.registry import KINDS

FREE: tuple[type[Registration], ...] = (
    BackboneRegistration,
    AdapterRegistration,
    ShapeModelRegistration,
    RendererRegistration,
    ExecutorRegistration,
)
"""Kinds whose objects can be checked without a registration: nothing else has to be known of them."""


@dataclass(frozen=True)
class Target:
    """What the user asked for; sent to the child as JSON.

    Attributes:
        name: registered, or of a plugin or package; None for all, or with `thing`.
        kind: only this kind.
        package: everything of this distribution (a folder's).
        thing: "module:object".
    """

    name: str | None = None
    kind: str | None = None
    package: str | None = None
    thing: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """One thing to check. `broken` says why it cannot be: a plugin that does not load.

    `registered` is False for an object without a registration of its own.
    """

    kind: str
    name: str
    distribution: str = ""
    version: str = ""
    broken: str = ""
    hint: str = ""
    registered: bool = True
    checks: list[tuple[str, str]] = field(default_factory=list)


def find(target: Target) -> list[Found]:
    """The things to check, in the order of kinds and names. Families are left out where all are asked for.

    Raises:
        UnknownNameError: nothing is called so; with the nearest names.
        UsageError: a family without a variant, or an object that is no plugin.
        PluginError: "module:object" cannot be imported.
    """
    if target.kind is not None and target.kind not in KINDS:
        raise UnknownNameError(f"There is no kind {target.kind}.", did_you_mean(target.kind, KINDS))
    if target.thing is not None:
        return _of_object(target.thing, target.kind)
    registry = load_registry()
    if target.package is not None:
        return _of_package(registry, target.package, target.kind, by_package=True)
    if target.name is None:
        return [_found(registry, r) for r in _without_families(registry.registrations(target.kind))]
    named = _by_name(registry, target.name, target.kind)
    return named or _of_package(registry, target.name, target.kind, by_package=False)


def _by_name(registry: Registry, name: str, kind: str | None) -> list[Found]:
    found, refused = [], None
    for one in KINDS if kind is None else (kind,):
        try:
            found.append(_found(registry, registry.find(one, name), name))
        except UnknownNameError as error:
            if "is a family" in error.message:
                refused = error
    if not found and refused is not None:
        raise refused
    return found


def _of_package(registry: Registry, name: str, kind: str | None, by_package: bool) -> list[Found]:
    """Everything that a distribution (or a plugin of that name) offers, and what of it does not load."""

    def mine(distribution: str, plugin: str) -> bool:
        return _plain(name) == _plain(distribution) or (not by_package and _plain(name) == _plain(plugin))

    plugins = [p for p in registry.plugins if mine(p.distribution, p.name)]
    found = [
        _found(registry, r)
        for p in plugins
        for r in _without_families(registry.of(p))
        if kind is None or r.kind == kind
    ]
    for failure in [*registry.failures, *registry.excluded]:
        if mine(failure.distribution, failure.plugin):
            broken = f"The plugin {failure.plugin} is {failure.state}: {failure.reason}"
            found.append(Found("plugin", failure.plugin, failure.distribution, failure.version, broken, failure.hint))
    for collision in registry.collisions:
        if mine(collision.left_out, collision.plugin):
            found.append(
                Found(
                    collision.kind, collision.name, collision.left_out, "", collision.sentence(), "Choose another name."
                )
            )
    if found:
        return found
    if plugins:
        what = f"no {kind}" if kind is not None else "nothing that can be checked without a variant (families)"
        raise UsageError(f"{name} offers {what}.", "Name a variant, such as timm:resnet18." if kind is None else None)
    names = sorted({r.name for r in registry.registrations(kind)} | {p.distribution for p in registry.plugins})
    raise UnknownNameError(f"There is no {kind or 'plugin'} named {name}.", did_you_mean(name, names))


def _without_families(found: Iterable[Registration]) -> list[Registration]:
    return [r for r in found if not r.name.endswith(":")]


def _found(registry: Registry, registration: Registration, name: str | None = None) -> Found:
    distribution = registry.distribution(registration)
    version = next((p.version for p in registry.plugins if p.distribution == distribution), "")
    return Found(registration.kind, name or registration.name, distribution, version)


def _of_object(reference: str, kind: str | None) -> list[Found]:
    """Registers what "module:object" is or gives, in this process only.

    The object is a registration, a list of them, a function that returns one or the other (`bench3d_register`), or,
    with a kind, a factory.
    """
    thing = resolve(reference, "object to check")
    registrations = _registrations(thing)
    if not registrations and callable(thing) and kind is None:
        registrations = _registrations(thing())
    made_up = not registrations and kind is not None and callable(thing)
    if made_up:
        registrations = [_made_up(reference, str(kind))]
    if not registrations:
        raise UsageError(
            f"{reference} is a {type(thing).__name__}: no registration, and no function that returns some.",
            "Name a bench3d_register function, or a factory together with --kind.",
        )
    found = []
    for registration in registrations:
        if kind is not None and registration.kind != kind:
            continue
        load_registry().add(registration, reference)
        if load_registry().find(registration.kind, registration.name) is not registration:
            broken = f"The name {registration.name} is taken by another {registration.kind}."
            found.append(Found(registration.kind, registration.name, reference, "", broken, "Choose another name."))
        else:
            found.append(Found(registration.kind, registration.name, reference, registered=not made_up))
    return found


def _registrations(thing: Any) -> list[Registration]:
    if isinstance(thing, Registration):
        return [thing]
    if isinstance(thing, (list, tuple)):
        return [r for r in thing if isinstance(r, Registration)]
    return []


def _made_up(reference: str, kind: str) -> Registration:
    for one in FREE:
        if one.kind == kind:
            name = reference.rpartition(".")[2].replace(":", "-").replace("_", "-").lower()
            return one(name=f"{name}", summary="an object under check", factory=reference)
    raise UsageError(
        f"A {kind} cannot be checked without its registration.", "Name a registration, or a bench3d_register function."
    )


def _plain(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").casefold()
