"""`bench3d adapter export`: a fitted adapter in the formats of other software."""

from __future__ import annotations

from pathlib import Path

from bench3d.contracts import AdapterRegistration
from bench3d.errors import CapabilityError, UnknownNameError
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean
from bench3d.runner.checkpoints import split_adapter
from bench3d.runner.models import build_backbone, create_fitted, given_artifact, settle_numerics
from bench3d.runner.resolve import resolve_spec
from bench3d.runner.spec import RunSpec


def export_adapter(spec: RunSpec, form: str, out: Path) -> Path:
    """Writes the adapter that `spec.adapter` names with a checkpoint, and returns what was written.

    Raises:
        UsageError: no checkpoint is named, or the adapter cannot be exported, or not in this format.
        WeightsError: backbone or checkpoint cannot be had or do not fit.
    """
    registry = load_registry()
    name, checkpoint = split_adapter(registry, spec.adapter)
    registration = registry.get("adapter", name)
    assert isinstance(registration, AdapterRegistration)
    if checkpoint is None:
        raise CapabilityError(f"Which {name}?", f"Name it: {name}:CHECKPOINT, such as a folder that `train` left.")
    resolved = resolve_spec(spec)
    assert resolved.adapter is not None
    adapter = create_fitted(resolved.adapter, "adapter")
    formats = tuple(getattr(adapter, "formats", ()))
    if form not in formats:
        hint = did_you_mean(form, formats) if formats else None
        raise UnknownNameError(f"The adapter {name} cannot be exported as {form}.", hint)
    settle_numerics(spec.offline)
    written: Path = adapter.export(given_artifact(resolved), build_backbone(resolved, spec.weights, "cpu"), out, form)
    return written
