"""Pure functions on arrays; each says its convention in its name and docstring."""

from bench3d.metrics.bootstrap import (
    Rows,
    Statistic,
    across_bootstrap,
    bootstrap_draws,
    cluster_bootstrap,
    percentile_interval,
    ratio_draws,
)
from bench3d.metrics.chance import best_constant_rotation, fraction_within_strict, median_error_deg
from bench3d.metrics.points import PointChance
from bench3d.metrics.rotation import pairwise_rotation_error_deg, rotation_error_deg

__all__ = [
    "PointChance",
    "Rows",
    "Statistic",
    "across_bootstrap",
    "best_constant_rotation",
    "bootstrap_draws",
    "cluster_bootstrap",
    "fraction_within_strict",
    "median_error_deg",
    "pairwise_rotation_error_deg",
    "percentile_interval",
    "ratio_draws",
    "rotation_error_deg",
]
