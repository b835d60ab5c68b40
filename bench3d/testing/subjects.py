"""What a check is made on: a registered name, or an object that is not registered; and how it is made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.contracts import Registration
from bench3d.errors import Bench3DError, PluginError
from bench3d.plugins import load_registry, load_settings, preset_names, settings_model
from bench3d.testing.state import changes, restored_state

SMALL_GRID = 8
"""Cells a side that a backbone is checked with."""


class CheckFailed(PluginError):
    """A promise of the contract is broken; the sentence names it, the hint says what to do."""


class Skip(Exception):
    """The check does not apply here; its text says why."""


def require(held: bool, message: str, hint: str | None = None) -> None:
    """Raises CheckFailed unless `held`."""
    if not held:
        raise CheckFailed(message, hint)


@dataclass(frozen=True)
class Options:
    """How a subject is checked.

    Attributes:
        seconds: time limit of one check.
        weights: of the backbone, "random" or "pretrained" or a file.
        settings: of the thing itself, on top of what `check_settings` proposes.
        backbone: name of the backbone that an adapter or shape model is checked on; None for the cheapest one that
            is compatible.
        backbone_settings: of that backbone.
        data: a folder of the data set, for one without a twin; None for the twin.
    """

    seconds: float = 120.0
    weights: str = "random"
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: str | None = None
    backbone_settings: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None


@dataclass(eq=False)
class Subject:
    """The thing under check.

    Attributes:
        registration: of the plugin; one made up on the spot for an object that is not registered.
        kind: of the registration.
        name: what a user types, the variant of a family included.
        factory: (**keywords) -> a fresh instance; keywords as the registration's contract has them. See `create`.
        device: where it is checked.
        options: see `Options`.
        tmp: an empty folder of its own; may be written to.
        registered: False for an object that came from no plugin: what is said of the registration is not checked.
        changed: what of the process's shared state the latest `create` changed; `changed_first` what the first one
            did (that of modules imported on the way left out).
    """

    registration: Registration
    kind: str
    name: str
    factory: Callable[..., Any]
    device: str
    options: Options
    tmp: Path
    registered: bool = True
    changed: list[str] = field(default_factory=list, repr=False)
    changed_first: list[str] | None = field(default=None, repr=False)
    _shared: dict[str, tuple[Any, BaseException | None]] = field(default_factory=dict, repr=False)

    def create(self, **keywords: Any) -> Any:
        """A fresh instance. What of `weights`, `settings` and `device` the kind takes and a caller leaves out is
        filled in.

        Shared state that the factory changes is noted and put back.
        """
        filled = {**_defaults(self), **keywords}
        with restored_state() as former:
            made = self.factory(**filled)
            self.changed = changes(former)
            if self.changed_first is None:
                self.changed_first = changes(former, imports=True)
        return made

    def settings(self, **changes: Any) -> Any:
        """Settings to check with: those of `check_settings`, the options' on top, `changes` on top of these."""
        return load_settings(
            self.registration, overrides={**check_settings(self.registration), **self.options.settings, **changes}
        )

    def shared(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for all checks of this subject (a fit, a twin, a model that nobody changes).

        What it raises is raised once; then checks that need it are skipped.
        """
        if key not in self._shared:
            try:
                self._shared[key] = (make(), None)
            except BaseException as error:
                self._shared[key] = (None, error)
                raise
        value, failure = self._shared[key]
        if isinstance(failure, Skip):
            raise failure
        if failure is not None:
            raise Skip(f"needs {key}, which failed in an earlier check")
        return value

    def forget(self, *keys: str) -> None:
        """Lets go of shared things that no further check needs: a large network fills the memory."""
        for key in keys:
            if key in self._shared and self._shared[key][1] is None:
                del self._shared[key]

    def folder(self, name: str) -> Path:
        """A fresh folder of that name, or of that name with a number, under `tmp`."""
        number = 0
        while (path := self.tmp / (f"{name}-{number}" if number else name)).exists():
            number += 1
        path.mkdir(parents=True)
        return path


def check_settings(registration: Registration) -> dict[str, Any]:
    """The settings a kit takes so that a check lasts seconds.

    The author proposes them as a class attribute of the settings model:

        class MySettings(BaseModel):
            check_settings: ClassVar[Mapping[str, Any]] = {"iterations": 3}

    Where there are none: those of the preset for synthetic data, else the defaults.
    """
    model = settings_model(registration)
    proposed = getattr(model, "check_settings", None)
    if isinstance(proposed, Mapping):
        return dict(proposed)
    preset = getattr(registration, "synthetic_preset", None)
    if preset and preset in preset_names(registration):
        return load_settings(registration, preset=preset).model_dump(exclude_unset=True)
    return {"grid": SMALL_GRID} if registration.kind == "backbone" and "grid" in model.model_fields else {}


def excused(registration: Registration) -> dict[str, str]:
    """Checks that do not fit a thing by its nature, by name, with the author's reason; the report shows it.

    They are a class attribute of the settings model:

        check_excuses: ClassVar[Mapping[str, str]] = {"pixel-geometry": "noise has no place"}
    """
    try:
        proposed = getattr(settings_model(registration), "check_excuses", None)
    except Bench3DError:  # there are no such settings, which is for a check of its own to say
        return {}
    return {str(k): str(v) for k, v in proposed.items()} if isinstance(proposed, Mapping) else {}


def subject_for(kind: str, name: str, *, tmp: Path, device: str = "cpu", options: Options | None = None) -> Subject:
    """The subject of a registered name, made through the same door as a run makes it.

    Args:
        kind: of the registration.
        name: registered, or of a family ("timm:vit_tiny_patch16_224").
        tmp: an empty folder.
        device: "cpu" or "cuda".
        options: see `Options`.

    Raises:
        UnknownNameError, UsageError: as `Registry.get`.
    """
    registry = load_registry()
    registration = registry.get(kind, name)

    def factory(**keywords: Any) -> Any:
        return registry.create(kind, name, **keywords)

    # A colon inside: an object that bench3d.api registers while a call lasts.
    registered = ":" not in registration.name.rstrip(":")
    return Subject(registration, kind, name, factory, device, options or Options(), tmp, registered)


def subject_from(
    registration: Registration,
    factory: Callable[..., Any],
    *,
    tmp: Path,
    device: str = "cpu",
    options: Options | None = None,
    registered: bool = False,
) -> Subject:
    """The subject of a thing that no plugin offers (a notebook's), or of a registration that is not loaded.

    Args:
        registration: what its registration would say.
        factory: as a factory of that kind, called with the same keywords.
        tmp: an empty folder.
        device: "cpu" or "cuda".
        options: see `Options`.
        registered: whether what the registration says is checked as well.
    """
    made = Subject(registration, registration.kind, registration.name, factory, device, options or Options(), tmp)
    made.registered = registered
    return made


def _defaults(subject: Subject) -> dict[str, Any]:
    """Keywords of a factory that need no thought."""
    if subject.kind == "backbone":
        return {"weights": subject.options.weights, "settings": subject.settings(), "device": subject.device}
    if subject.kind == "renderer":
        return {"device": subject.device}
    if subject.kind in ("command", "logger"):
        return {}
    return {"settings": subject.settings()}
