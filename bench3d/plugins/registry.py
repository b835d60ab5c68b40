"""The registry: what every loaded plugin offers, found by kind and name."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from bench3d.contracts import (
    AdapterRegistration,
    BackboneRegistration,
    CommandRegistration,
    DatasetRegistration,
    ExecutorRegistration,
    Registration,
    RendererRegistration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean, resolve

log = logging.getLogger("bench3d.plugins")

REGISTRATIONS: tuple[type[Registration], ...] = (
    BackboneRegistration,
    AdapterRegistration,
    ShapeModelRegistration,
    TaskRegistration,
    DatasetRegistration,
    RendererRegistration,
    ExecutorRegistration,
    CommandRegistration,
)
KINDS: tuple[str, ...] = tuple(r.kind for r in REGISTRATIONS)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded: which, from where, and why in one line. `trace` is for --debug."""

    plugin: str
    distribution: str
    reason: str
    trace: str = ""

    def sentence(self) -> str:
        """One line for a terminal."""
        return f"Plugin {self.plugin} (package {self.distribution}) was left out: {self.reason}"


@dataclass(frozen=True)
class Collision:
    """One name of one kind offered twice. The first owner keeps it."""

    kind: str
    name: str
    kept: str
    left_out: str

    def sentence(self) -> str:
        """One line for a terminal."""
        return (
            f"The {self.kind} {self.name} is offered by the packages {self.kept} and {self.left_out}: "
            f"the one of {self.kept} is used."
        )


@dataclass(frozen=True)
class Plugin:
    """One loaded entry point. `manager` knows only this plugin, so that one's exception never stops another."""

    name: str
    distribution: str
    version: str
    module: ModuleType
    manager: pluggy.PluginManager


@dataclass
class Registry:
    """Registrations by kind and name, plugin failures and collisions, and the hooks of the loaded plugins."""

    plugins: list[Plugin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)
    _entries: dict[tuple[str, str], tuple[Registration, str]] = field(default_factory=dict)

    def add(self, registration: Registration, distribution: str) -> None:
        """Adds a registration, or notes a collision when the name is taken."""
        key = (registration.kind, registration.name)
        if key in self._entries:
            self.collisions.append(Collision(*key, kept=self._entries[key][1], left_out=distribution))
        else:
            self._entries[key] = (registration, distribution)

    def registrations(self, kind: str | None = None) -> list[Registration]:
        """Registrations of a kind (None: of all), by kind and name."""
        found = [r for r, _ in self._entries.values() if kind in (None, r.kind)]
        return sorted(found, key=lambda r: (KINDS.index(r.kind), r.name))

    def names(self, kind: str) -> list[str]:
        """Registered names of a kind, sorted. A name that ends in ":" is a family."""
        return sorted(name for k, name in self._entries if k == kind)

    def distribution(self, registration: Registration) -> str:
        """Name of the package that a registration came from."""
        return self._entries[(registration.kind, registration.name)][1]

    def find(self, kind: str, name: str) -> Registration:
        """The registration of `name`, or of its family (`timm:vit_tiny` -> `timm:`), installed extras or not.

        Raises:
            UnknownNameError: with the nearest names.
        """
        entry = self._entries.get((kind, name))
        family, colon, variant = name.partition(":")
        if entry is None and colon and variant:
            entry = self._entries.get((kind, family + ":"))
        if entry is not None and not (entry[0].name.endswith(":") and entry[0].name == name):
            return entry[0]
        if entry is not None:
            raise UnknownNameError(f"{name} is a family of {kind}s: add a name after the colon.", entry[0].summary)
        elsewhere = [k for k, n in self._entries if n == name and k != kind]
        if elsewhere:
            raise UnknownNameError(f"{name} is a {elsewhere[0]}, not a {kind}.", self._hint(kind, name))
        raise UnknownNameError(f"There is no {kind} named {name}.", self._hint(kind, name))

    def _hint(self, kind: str, name: str) -> str:
        names = [n for n in self.names(kind) if not n.endswith(":")]
        families = [n + "NAME" for n in self.names(kind) if n.endswith(":")]
        return did_you_mean(name, names or families) or f"No plugin offers a {kind}; see `bench3d doctor`."

    def get(self, kind: str, name: str) -> Registration:
        """Like `find`, for use: the extras must be installed.

        Raises:
            UnknownNameError: no such name; holds the nearest ones.
            UsageError: known, but a package that it needs is not installed; holds the install line.
        """
        registration = self.find(kind, name)
        missing = missing_extras(registration)
        if missing:
            raise UsageError(
                f"The {kind} {name} needs {' and '.join(missing)}, not installed here.", install_line(registration)
            )
        return registration

    def create(self, kind: str, name: str, **kwargs: Any) -> Any:
        """Imports the factory of `name` and calls it; a family's factory also gets `variant`.

        Raises:
            UnknownNameError, UsageError: as `get`.
            PluginError: the factory cannot be imported.
        """
        registration = self.get(kind, name)
        if registration.name != name:
            kwargs["variant"] = name[len(registration.name) :]
        return resolve(registration.factory, f"{kind} {name}")(**kwargs)

    def answers(self, hook: str, **kwargs: Any) -> Iterator[tuple[Plugin, Any]]:
        """What each plugin answers to a hook, None left out. A plugin that raises is logged and skipped."""
        for plugin in self.plugins:
            try:
                results = getattr(plugin.manager.hook, hook)(**kwargs)
            except Exception as error:
                log.warning("Plugin %s failed in %s: %s: %s", plugin.name, hook, type(error).__name__, error)
                log.debug("traceback", exc_info=True)
                continue
            yield from ((plugin, r) for r in results)

    def notify(self, hook: str, **kwargs: Any) -> None:
        """Tells the observers; what they raise is logged, never fatal."""
        for _ in self.answers(hook, **kwargs):
            pass

    def estimate(self, plan: Any) -> dict[str, float]:
        """The largest answer to `bench3d_estimate` per key; empty where no plugin knows."""
        total: dict[str, float] = {}
        for plugin, answer in self.answers("bench3d_estimate", plan=plan):
            try:
                for key, value in dict(answer).items():
                    total[key] = max(total.get(key, 0.0), float(value))
            except (TypeError, ValueError):
                log.warning("Plugin %s gave no mapping of numbers as its estimate.", plugin.name)
        return total


def missing_extras(registration: Registration) -> list[str]:
    """Top-level modules that the registration needs and that cannot be found; imports nothing."""
    return [name for name in registration.extras if not _findable(name)]


def _findable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def install_line(registration: Registration) -> str:
    """The next step for a registration whose extras are missing."""
    command = registration.install or f"pip install {' '.join(missing_extras(registration))}"
    return f"Install with: {command}"
