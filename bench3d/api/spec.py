"""From the arguments of a call to the spec of a run: the same words as the command line's options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.settings import SCOPES

NONE = "none"
Settings = Mapping[str, Any]


def scoped(settings: Settings | None) -> dict[str, dict[str, Any]]:
    """Settings by scope: `{"task.split": "hard"}` and `{"task": {"split": "hard"}}` mean the same.

    Raises:
        UsageError: an unknown scope, or a key without one.
    """
    found: dict[str, dict[str, Any]] = {}
    scopes = sorted(SCOPES.values())
    for name, value in (settings or {}).items():
        scope, dot, key = str(name).partition(".")
        if scope not in scopes:
            raise UsageError(f"settings: there is no scope {scope}.", did_you_mean(scope, scopes))
        if dot:
            found.setdefault(scope, {})[key] = value
        elif isinstance(value, Mapping):
            found.setdefault(scope, {}).update({str(k): v for k, v in value.items()})
        else:
            raise UsageError(
                f"settings[{scope!r}] = {value!r} is no mapping of keys.",
                f'Write {{"{scope}.KEY": value}} or {{"{scope}": {{"KEY": value}}}}.',
            )
    return found


def with_layer(settings: dict[str, dict[str, Any]], layer: int | str | None) -> dict[str, dict[str, Any]]:
    """`layer=N` is short for the setting backbone.layer, "last" for its default; "auto" is no setting.

    Raises:
        UsageError: no number, "last" or "auto"; or the setting is given as well.
    """
    if layer is None:
        return settings
    own = settings.get("backbone", {})
    if "layer" in own:
        raise UsageError("layer and the setting backbone.layer say the same thing.", "Give one of them.")
    if layer in ("auto", "last"):
        return settings
    if isinstance(layer, bool) or not str(layer).lstrip("-").isdigit():
        raise UsageError(f"layer={layer!r} is no layer.", "Give a number (negative from the end), last or auto.")
    return {**settings, "backbone": {**own, "layer": int(layer)}}


def shape_model_for_short(adapter: str, shape_model: str) -> tuple[str, str]:
    """An `adapter` with the name of a shape model means adapter "none" and that shape model.

    Raises:
        UnknownNameError: the adapter is neither; holds the nearest names of both kinds.
        UsageError: two different shape models.
    """
    registry = load_registry()
    adapters, shapes = registry.names("adapter"), registry.names("shape-model")
    if adapter == NONE or adapter in adapters or adapter.partition(":")[0] in adapters:
        return adapter, shape_model
    if adapter not in shapes:
        raise UnknownNameError(f"There is no adapter named {adapter}.", did_you_mean(adapter, [*adapters, *shapes]))
    if shape_model not in (NONE, adapter):
        raise UsageError(
            f"adapter={adapter!r} already names a shape model, and shape_model={shape_model!r} another one.",
            "Give one of them.",
        )
    return NONE, adapter


def categories(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Canonical names: one, several with commas between, or a list of them; empty for all."""
    parts = [given] if isinstance(given, str) else [*(given or ())]
    return tuple(name.strip() for part in parts for name in part.split(",") if name.strip())


def folder(path: str | os.PathLike[str]) -> Path:
    """A path that may begin with ~."""
    return Path(path).expanduser()
