"""The registry: what every loaded plugin offers, found by kind and name."""

from __future__ import annotations

import contextlib
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
    LoggerRegistration,
    Registration,
    RendererRegistration,
    ShapeModelRegistration,
    TaskRegistration,
)
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins import tracing
from bench3d.plugins.names import did_you_mean, resolve
from bench3d.plugins.observers import OBSERVER_HOOKS, WAITED_FOR, Observers

log = logging.getLogger("bench3d.plugins")

REGISTRATIONS: tuple[type[Registration], ...] = (
    BackboneRegistration,
    AdapterRegistration,
    ShapeModelRegistration,
    TaskRegistration,
    DatasetRegistration,
    RendererRegistration,
    ExecutorRegistration,
    LoggerRegistration,
    CommandRegistration,
)
KINDS: tuple[str, ...] = tuple(r.kind for r in REGISTRATIONS)


@dataclass(frozen=True)
class Failure:
    """A plugin (or one registration of it) that is not used: which, from where, and why in one line.

    `trace` is for --debug. `state` is left out, other version, timed out, crashed or excluded (by BENCH3D_PLUGINS);
    `hint` is the next step.
    """

    plugin: str
    distribution: str
    reason: str
    trace: str = ""
    state: str = "left out"
    hint: str = ""
    version: str = ""

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
    plugin: str = ""  # entry point whose registration was left out

    def sentence(self) -> str:
        """One line for a terminal."""
        return (
            f"The {self.kind} {self.name} is offered by the packages {self.kept} and {self.left_out}: "
            f"the one of {self.kept} is used."
        )


@dataclass
class Plugin:
    """One loaded entry point. `manager` knows only this plugin, so that one's exception never stops another.

    `seconds` is what its import and registering took.
    """

    name: str
    distribution: str
    version: str
    module: ModuleType
    manager: pluggy.PluginManager
    seconds: float = 0.0

    def implements(self, hook: str) -> bool:
        """Whether it has a function for this hook."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())


@dataclass
class Registry:
    """Registrations by kind and name, plugin failures and collisions, and the hooks of the loaded plugins.

    `excluded` are left out on the user's word, `notices` sentences about that word.
    """

    plugins: list[Plugin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)
    excluded: list[Failure] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    _entries: dict[tuple[str, str], tuple[Registration, str]] = field(default_factory=dict)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)
    _observers: Observers | None = None

    def add(self, registration: Registration, distribution: str, plugin: str = "") -> None:
        """Adds a registration of a distribution's plugin, or notes a collision when the name is taken."""
        key = (registration.kind, registration.name)
        if key in self._entries:
            kept = self._entries[key][1]
            self.collisions.append(Collision(*key, kept=kept, left_out=distribution, plugin=plugin))
        else:
            self._entries[key] = (registration, distribution)
            self._owners[key] = plugin

    @contextlib.contextmanager
    def lend(self, registration: Registration, distribution: str) -> Iterator[None]:
        """Registers something while the block lasts, for an object that no plugin offers (bench3d.api).

        Raises:
            UsageError: the name is taken.
        """
        key = (registration.kind, registration.name)
        if key in self._entries:
            raise UsageError(
                f"The {registration.kind} {registration.name} is registered already.", "Give another name."
            )
        self.add(registration, distribution)
        try:
            yield
        finally:
            del self._entries[key], self._owners[key]

    def sentences(self) -> list[str]:
        """What a command says once of plugins that are not used as they are installed."""
        return [*(f.sentence() for f in self.failures), *(c.sentence() for c in self.collisions), *self.notices]

    def of(self, plugin: Plugin) -> list[Registration]:
        """What a plugin registered and is used."""
        mine = (plugin.distribution, plugin.name)
        return [r for r in self.registrations() if (self.distribution(r), self._owners[r.kind, r.name]) == mine]

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
            if not plugin.implements(hook):
                continue
            try:
                results = tracing.call(plugin.name, hook, getattr(plugin.manager.hook, hook), kwargs)
            except Exception as error:
                log.warning("Plugin %s failed in %s: %s: %s", plugin.name, hook, type(error).__name__, error)
                log.debug("traceback", exc_info=True)
                continue
            yield from ((plugin, r) for r in results)

    def notify(self, hook: str, **kwargs: Any) -> None:
        """Tells the observers, each in a thread of its own; the end of a run or fit waits for them, within bounds.

        What they raise is logged, never fatal; one that hangs is given up (bench3d.plugins.observers).
        """
        if self._observers is None:
            self._observers = Observers([(p.name, p.manager.hook) for p in self.plugins if _observes(p)])
        self._observers.notify(hook, kwargs)
        if hook in WAITED_FOR:
            self._observers.flush()

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


def _observes(plugin: Plugin) -> bool:
    return any(plugin.implements(hook) for hook in OBSERVER_HOOKS)


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
