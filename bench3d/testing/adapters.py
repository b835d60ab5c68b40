"""The conformance kit of adapters: a fit on tiny data, its artifact, and the model that it makes (`fit_checks`)."""

from __future__ import annotations

from bench3d.testing.checks import Check
from bench3d.testing.fit_checks import fit_checks

CHECKS: tuple[Check, ...] = fit_checks("adapter")
