"""Choosing the renderer at run time."""

from __future__ import annotations

import functools
import logging

from bench3d.contracts import Renderer, RendererRegistration
from bench3d.errors import PluginError
from bench3d.plugins.loader import load_registry
from bench3d.plugins.registry import missing_extras

log = logging.getLogger("bench3d.plugins")


@functools.cache
def renderer_for(device: str) -> Renderer:
    """The registered renderer of highest priority that is installed and works on `device`; made once per device.

    Args:
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        PluginError: no renderer works there; says what each one lacks.
    """
    registry = load_registry()
    kind = device.partition(":")[0]
    candidates = [
        r for r in registry.registrations("renderer") if isinstance(r, RendererRegistration) and kind in r.devices
    ]
    reasons = []
    for registration in sorted(candidates, key=lambda r: (-r.priority, r.name)):
        missing = missing_extras(registration)
        if missing:
            reasons.append(f"{registration.name} needs {' and '.join(missing)}")
            continue
        try:
            renderer: Renderer = registry.create("renderer", registration.name, device=device)
        except Exception as error:
            log.warning("Renderer %s does not work on %s: %s", registration.name, device, error)
            reasons.append(f"{registration.name}: {error}")
            continue
        return renderer
    raise PluginError(
        f"No renderer works on {device}: {'; '.join(reasons) or 'none is registered for it'}.",
        "Use --device cpu, or install one (see `bench3d list renderers`).",
    )
