"""`bench3d.list` and `bench3d.describe`: what is registered. Loads no torch."""

from __future__ import annotations

import builtins
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench3d.contracts import Registration
from bench3d.errors import UnknownNameError
from bench3d.plugins import load_preset, load_registry, preset_names, settings_model
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.registry import KINDS, missing_extras


def list(kind: str, pattern: str = "*") -> builtins.list[str]:
    """Names of everything registered of a kind, sorted. One that ends in ":" is a family: add a name behind it.

        >>> bench3d.list("backbone", "dinov2-?")
        ["dinov2-b", "dinov2-g", "dinov2-l", "dinov2-s"]

    Args:
        kind: backbone, adapter, shape-model, task, dataset, renderer, executor, logger or command; a plural will do.
        pattern: only names like this (with * and ?).

    Raises:
        UnknownNameError: no such kind.
    """
    word = kind.casefold().replace("_", "-").replace(" ", "-")
    found = next((k for k in KINDS if word in (k, f"{k}s")), None)
    if found is None:
        raise UnknownNameError(f"There is no kind {kind}.", did_you_mean(word, KINDS))
    return [n for n in load_registry().names(found) if fnmatch.fnmatch(n.casefold(), pattern.casefold())]


@dataclass(frozen=True)
class Description:
    """What is known about one name.

    Attributes:
        kind: of the registration.
        registration: everything its plugin says: summary, licence, citation, weights, protocols, ...
        package: the distribution that it came from.
        missing: modules that it needs and that are not installed.
        settings: key -> (default, description); a default of `...` has to be given.
        presets: name -> summary.
    """

    kind: str
    registration: Registration
    package: str
    missing: tuple[str, ...]
    settings: Mapping[str, tuple[Any, str]]
    presets: Mapping[str, str]


def describe(name: str, kind: str | None = None) -> Description:
    """Everything known about one registered name.

        >>> bench3d.describe("hog").settings["grid"]
        (32, 'cells on the longer side (equal-grid)')

    Args:
        name: registered, or of a family ("timm:resnet50").
        kind: where one name is registered for several kinds.

    Raises:
        UnknownNameError: nothing has this name; holds the nearest ones.
    """
    registry = load_registry()
    for one in KINDS if kind is None else (kind,):
        try:
            found = registry.find(one, name)
        except UnknownNameError:
            continue
        fields = settings_model(found).model_fields
        return Description(
            kind=one,
            registration=found,
            package=registry.distribution(found),
            missing=tuple(missing_extras(found)),
            settings={
                key: (
                    ... if info.is_required() else info.get_default(call_default_factory=True),
                    info.description or "",
                )
                for key, info in fields.items()
            },
            presets={preset: load_preset(found, preset).summary for preset in preset_names(found)},
        )
    known = [r.name for r in registry.registrations(kind)]
    raise UnknownNameError(f"Nothing is named {name}.", did_you_mean(name, known))
