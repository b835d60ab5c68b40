"""One run: spec -> plan -> model -> task -> record. Planning imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench3d.runner.plan import FitPlan, PlanStep, RunPlan, plan_fits, plan_run
from bench3d.runner.spec import PredictSpec, RunSpec

if TYPE_CHECKING:
    from bench3d.runner.fits import fit_all
    from bench3d.runner.photo import predict
    from bench3d.runner.run import execute

__all__ = [
    "FitPlan",
    "PlanStep",
    "PredictSpec",
    "RunPlan",
    "RunSpec",
    "execute",
    "fit_all",
    "plan_fits",
    "plan_run",
    "predict",
]

_LAZY = {"execute": "run", "fit_all": "fits", "predict": "photo"}


def __getattr__(name: str) -> Any:
    """What loads torch is imported when it is first asked for."""
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(f"bench3d.runner.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
