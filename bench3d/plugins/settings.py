"""Settings and presets: validated, every mistake one sentence with the nearest key."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bench3d.contracts import Registration
from bench3d.errors import PluginError, UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean, nearest, resolve

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from pydantic import BaseModel, ValidationError

SCOPES: Mapping[str, str] = {
    "backbone": "backbone",
    "adapter": "adapter",
    "shape-model": "shape",
    "task": "task",
    "dataset": "data",
}
"""Kind of a registration -> scope of its setting keys in `--set scope.key=value`."""


@dataclass(frozen=True)
class Preset:
    """A named bundle of settings: `settings` of its registration, and `backbone` ones it wants where they exist."""

    name: str
    summary: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbone: Mapping[str, Any] = field(default_factory=dict)


def parse_set(items: Iterable[str]) -> dict[str, dict[str, Any]]:
    """["shape.iterations=50", "task.split=hard"] -> {"shape": {"iterations": "50"}, "task": {"split": "hard"}}.

    Values stay text: `load_settings` reads them as the type that the setting has. The last of two equal keys wins.

    Raises:
        UsageError: not of the form scope.key=value, or an unknown scope.
    """
    settings: dict[str, dict[str, Any]] = {}
    for item in items:
        path, equals, value = item.partition("=")
        scope, dot, key = path.strip().partition(".")
        scopes = sorted(SCOPES.values())
        if scope not in scopes and dot:
            raise UsageError(f"--set {item}: there is no scope {scope}.", did_you_mean(scope, scopes))
        if not (equals and dot and key.strip()):
            raise UsageError(
                f"--set {item} is not of the form scope.key=value.",
                f"Scopes: {', '.join(scopes)}; e.g. task.split=hard.",
            )
        settings.setdefault(scope, {})[key.strip()] = value.strip()
    return settings


def settings_model(registration: Registration) -> type[BaseModel]:
    """The pydantic model of a registration's settings; one without fields where it has none.

    Raises:
        PluginError: the reference cannot be imported or is no pydantic model.
    """
    from pydantic import BaseModel

    owner = f"{registration.kind} {registration.name}"
    if registration.settings is None:
        return _no_settings()
    model = resolve(registration.settings, owner)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"The {owner} is broken: {registration.settings} is no pydantic model.")
    return model


@functools.cache
def _no_settings() -> type[BaseModel]:
    from pydantic import ConfigDict, create_model

    return create_model("NoSettings", __config__=ConfigDict(extra="forbid"))


@functools.cache
def _preset_file() -> type[BaseModel]:
    """The model of a preset's file."""
    from pydantic import BaseModel, ConfigDict

    class PresetFile(BaseModel):
        model_config = ConfigDict(extra="forbid")
        summary: str = ""
        extends: str | None = None
        settings: dict[str, Any] = {}
        backbone: dict[str, Any] = {}

    return PresetFile


def load_settings(
    registration: Registration,
    preset: str | Preset | None = None,
    overrides: Mapping[str, Any] | None = None,
    wanted: Mapping[str, Any] | None = None,
) -> Any:
    """Settings of a registration, resolved: defaults < `wanted` < preset < overrides.

    Args:
        registration: whose settings.
        preset: a preset's name, or one already loaded.
        overrides: key -> value, e.g. the registration's scope of `parse_set`; text is read as a YAML value; a dotted
            key reaches into a nested setting.
        wanted: soft wishes (a shape model's preset has them for the backbone): keys the model lacks are passed over.

    Returns:
        An instance of the registration's settings model.

    Raises:
        UsageError: an unknown key (with the nearest one) or a wrong value, named with its scope.
    """
    model = settings_model(registration)
    scope = SCOPES.get(registration.kind, registration.kind)
    if isinstance(preset, str):
        preset = load_preset(registration, preset)
    values: dict[str, Any] = {k: v for k, v in (wanted or {}).items() if k in model.model_fields}
    if preset is not None:
        values = _merge(values, preset.settings, model)
        _validate(model, values, "", {}, f"In the preset {preset.name} of {registration.name}: ")
    texts = {k: v for k, v in (overrides or {}).items() if isinstance(v, str)}
    parsed = {k: _yaml(v) if isinstance(v, str) else v for k, v in (overrides or {}).items()}
    return _validate(model, _merge(values, _nest(parsed, scope), model), f"{scope}.", texts)


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _nest(values: Mapping[str, Any], scope: str) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        level = nested
        for part in parents:
            level = level.setdefault(part, {})
            if not isinstance(level, dict):
                raise UsageError(f"{scope}.{path}: {scope}.{part} is given a value as well.")
        level[last] = value
    return nested


def _merge(base: Mapping[str, Any], top: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """`top` over `base`; nested mappings merge, starting from the field's default."""
    from pydantic import BaseModel

    merged = dict(base)
    for key, value in top.items():
        info = model.model_fields.get(key)
        default = info.get_default(call_default_factory=True) if info is not None else None
        if isinstance(value, Mapping) and isinstance(default, BaseModel):
            under = merged.get(key, default.model_dump())
            merged[key] = _merge(under, value, type(default)) if isinstance(under, Mapping) else value
        else:
            merged[key] = value
    return merged


def _validate(
    model: type[BaseModel], values: Mapping[str, Any], prefix: str, texts: Mapping[str, str], where: str = ""
) -> Any:
    from pydantic import ValidationError

    values = dict(values)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # YAML reads `no`, `1e3` or `007` differently from text: where that is refused, the text itself may do.
        failed = {str(e["loc"][0]) for e in error.errors() if e["loc"]}
        again = {k: texts[k] for k in failed & texts.keys() if values.get(k) != texts[k]}
        if again:
            try:
                return model.model_validate(values | again)
            except ValidationError:
                pass
        raise _sentence(model, error, prefix, where) from error


def _sentence(model: type[BaseModel], error: ValidationError, prefix: str, where: str) -> UsageError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name = (prefix + ".".join(path)).rstrip(".") or "the settings"
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, path[:-1])
        if not known:
            return UsageError(f"{where}There is no setting {name}: there are none to set.")
        parent = prefix + "".join(f"{part}." for part in path[:-1])
        close = nearest(path[-1], known)
        hint = f"Did you mean {' or '.join(parent + c for c in close)}?" if close else f"Known: {', '.join(known)}."
        return UsageError(f"{where}There is no setting {name}.", hint)
    message = re.sub(r"^(Input|Value error,|Assertion failed,) ?", "", first["msg"]).rstrip(".")
    if first["type"] in ("value_error", "assertion_error"):
        return UsageError(f"{where}{name}: {message}.")
    if first["type"] == "missing":
        return UsageError(f"{where}{name} is missing.")
    return UsageError(f"{where}{name} = {first['input']!r} {message}.")


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    from pydantic import BaseModel

    current: Any = model
    for part in path:
        info = current.model_fields.get(part)
        current = info.annotation if info is not None else None
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
    return list(current.model_fields)


def _folder(registration: Registration) -> Traversable:
    package, _, folder = (registration.presets or "").partition(":")
    try:
        return files(package).joinpath(folder)
    except (ImportError, ValueError, TypeError) as error:
        raise PluginError(
            f"The {registration.kind} {registration.name} is broken: its presets {registration.presets} are not there."
        ) from error


def preset_names(registration: Registration) -> list[str]:
    """Names of a registration's presets, sorted; empty where it has none."""
    if registration.presets is None:
        return []
    folder = _folder(registration)
    if not folder.is_dir():
        return []
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_preset(registration: Registration, name: str) -> Preset:
    """Reads and validates a preset. `extends: other` puts it on top of another one of the same folder.

    Raises:
        UnknownNameError: no such preset; holds the nearest names.
        UsageError: the file is not a valid preset; names file and field.
    """
    return _load_preset(registration, name, ())


@functools.lru_cache(maxsize=256)
def _parsed_preset(text: str) -> Any:
    import yaml

    content = yaml.safe_load(text)
    return _preset_file().model_validate({} if content is None else content)


def _load_preset(registration: Registration, name: str, below: tuple[str, ...]) -> Preset:
    import yaml
    from pydantic import ValidationError

    names = preset_names(registration)
    if name not in names:
        if not names:
            raise UnknownNameError(f"The {registration.kind} {registration.name} has no presets (asked for {name}).")
        raise UnknownNameError(
            f"The {registration.kind} {registration.name} has no preset {name}.", did_you_mean(name, names)
        )
    if name in below:
        raise UsageError(f"The preset {name} of {registration.name} extends itself ({' > '.join((*below, name))}).")
    path = f"preset {name} of {registration.name} ({name}.yaml)"
    try:
        text = (_folder(registration) / f"{name}.yaml").read_text(encoding="utf-8")
        read = _parsed_preset(text).model_copy(deep=True)
    except yaml.YAMLError as error:
        raise UsageError(f"The {path} is no valid YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        if not error.errors()[0]["loc"]:
            raise UsageError(f"The {path} must be a mapping of summary, extends, settings and backbone.") from error
        raise _sentence(_preset_file(), error, "", f"In the {path}: ") from error
    if read.extends is None:
        return Preset(name, read.summary, read.settings, read.backbone)
    base = _load_preset(registration, read.extends, (*below, name))
    settings = _merge(base.settings, read.settings, settings_model(registration))
    return Preset(name, read.summary or base.summary, settings, {**base.backbone, **read.backbone})
