"""Conformance kit for plugin authors. `bench3d plugin check NAME` runs it; so does pytest (`pytest_plugin`).

In a test of your own:

    from bench3d.testing import run_checks, subject_for
    failed = [r for r in run_checks(subject_for("backbone", "mine", tmp=tmp_path)) if r.state in ("failed", "error")]
    assert not failed

or call a single check on what your plugin makes; it raises PluginError with a sentence:

    from bench3d.testing import check_backbone
    check_backbone(my_package.create("random", MySettings(grid=8), "cpu"))

Importing this package loads nothing: its names are looked up when they are used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Check": "checks",
    "CheckFailed": "subjects",
    "Options": "subjects",
    "Result": "checks",
    "Skip": "subjects",
    "Subject": "subjects",
    "check_backbone": "backbones",
    "check_batch": "models",
    "check_contract": "models",
    "check_localisation": "localisation",
    "check_ramp": "localisation",
    "checks_for": "checks",
    "require": "subjects",
    "run_check": "checks",
    "run_checks": "checks",
    "subject_for": "subjects",
    "subject_from": "subjects",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
