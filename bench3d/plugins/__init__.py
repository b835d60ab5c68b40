"""The door for plugins: hook markers, loader, registry, settings and presets. Importing this room loads no torch.

A plugin package names one module in its entry-point group `bench3d`; that module implements hooks of
`bench3d.plugins.hooks` (read that file: it is the documentation), usually only `bench3d_register`.
"""

from bench3d.plugins.compatibility import incompatibilities, oracles_of, withheld
from bench3d.plugins.hooks import hookimpl, hookspec
from bench3d.plugins.loader import load_registry
from bench3d.plugins.registry import Collision, Failure, Registry
from bench3d.plugins.renderers import renderer_for
from bench3d.plugins.settings import Preset, load_preset, load_settings, parse_set, preset_names, settings_model
from bench3d.plugins.versions import API_VERSION, Bench3DDeprecationWarning, HookGoing, deprecated

__all__ = [
    "API_VERSION",
    "Bench3DDeprecationWarning",
    "Collision",
    "Failure",
    "HookGoing",
    "Preset",
    "Registry",
    "deprecated",
    "hookimpl",
    "hookspec",
    "incompatibilities",
    "load_preset",
    "load_registry",
    "load_settings",
    "oracles_of",
    "parse_set",
    "preset_names",
    "renderer_for",
    "settings_model",
    "withheld",
]
