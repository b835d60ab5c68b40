"""Settings of a measurement as a person would set them: only those that differ from what defaults and presets give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench3d.contracts import Registration
from bench3d.errors import Bench3DError, DataError
from bench3d.plugins import load_preset, load_registry, load_settings
from bench3d.plugins.settings import preset_names
from bench3d.records import canonical_json, identity_settings

KINDS = {"backbone": "backbone", "adapter": "adapter", "shape_model": "shape-model", "task": "task"}
"""Field of a measurement -> kind of the registration."""


def part(measured: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """A component of a measurement with its name and settings, None where the run has none.

    Raises:
        DataError: it is there, and not in the form that every measurement has.
    """
    values = measured.get(kind)
    if values is None:
        return None
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise DataError(f"identity.measurement.{kind} has no name.")
    if not isinstance(values.get("settings", {}), Mapping):
        raise DataError(f"identity.measurement.{kind}.settings is no mapping.")
    return dict(values)


def component(kind: str, values: Mapping[str, Any], lenient: bool) -> Registration | None:
    """The registration of a component; with `lenient` None where its plugin is missing.

    Raises:
        UnknownNameError: it is missing.
    """
    registry, name = load_registry(), str(values["name"])
    if lenient and ":" not in name and name not in registry.names(KINDS[kind]):
        return None  # without looking for the nearest names: a board of strangers' records asks thousands of times
    try:
        return registry.get(KINDS[kind], name)
    except Bench3DError:
        if lenient:
            return None
        raise


def changed(
    registration: Registration | None,
    values: Mapping[str, Any],
    *,
    preset: Any = None,
    overrides: Mapping[str, Any] | None = None,
    wanted: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings of `values` that differ from what the registration resolves without them; dotted keys for nested."""
    measured = values.get("settings", {})
    try:
        if registration is None:
            return dict(measured)
        resolved = load_settings(registration, preset=preset, overrides=overrides, wanted=wanted)
    except Bench3DError:
        return dict(measured)
    return _differing(measured, identity_settings(resolved), resolved)


def least_changed(
    registration: Registration | None, values: Mapping[str, Any], synthetic: bool, recorded: str | None
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The settings of an adapter or shape model, on the preset that leaves the fewest to be set.

    Returns:
        settings, with `preset` where it is not the default one; and what the preset wishes of the backbone.
    """
    if registration is None or registration.presets is None:
        return changed(registration, values), {}
    default = getattr(registration, "synthetic_preset" if synthetic else "default_preset")
    best: tuple[dict[str, Any], str, Mapping[str, Any]] | None = None
    for name in dict.fromkeys([*([recorded] if recorded else []), default, *preset_names(registration)]):
        try:
            preset = load_preset(registration, name)
        except Bench3DError:
            continue
        found = changed(registration, values, preset=preset)
        if best is None or len(found) < len(best[0]):
            best = (found, name, preset.backbone)
        if not found or name == recorded:
            break
    if best is None:
        return changed(registration, values), {}
    settings, name, wishes = best
    return ({**settings} if name == default else {"preset": name, **settings}), wishes


def _differing(measured: Mapping[str, Any], here: Mapping[str, Any], model: Any, prefix: str = "") -> dict[str, Any]:
    from pydantic import BaseModel

    found: dict[str, Any] = {}
    for key, value in measured.items():
        inner = getattr(model, key, None)
        if isinstance(inner, BaseModel) and isinstance(value, Mapping) and isinstance(here.get(key), Mapping):
            found |= _differing(value, here[key], inner, f"{prefix}{key}.")
        elif key not in here and hasattr(model, key) and inner == value:
            continue  # it counted once and does not count any more
        elif key not in here or canonical_json(value) != canonical_json(here[key]):
            found[f"{prefix}{key}"] = value
    return found
