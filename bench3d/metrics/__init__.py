"""Pure functions on arrays; each says its convention in its name and docstring."""

from bench3d.metrics.bootstrap import Rows, Statistic, bootstrap_draws, cluster_bootstrap, percentile_interval
from bench3d.metrics.chance import best_constant_rotation, fraction_within_strict, median_error_deg
from bench3d.metrics.intervals import Interval, interval, interval_across
from bench3d.metrics.masks import best_constant_mask, ellipse_mask, hard_iou, soft_iou
from bench3d.metrics.multiple import holm
from bench3d.metrics.pairwise import Group, Pairwise, pairwise
from bench3d.metrics.points import PointChance
from bench3d.metrics.rank_correlation import RankCorrelation, spearman
from bench3d.metrics.ranks import holm_pairs, letter_groups, rank_intervals
from bench3d.metrics.rotation import (
    about_up,
    half_turn_flip,
    pairwise_rotation_error_deg,
    rotation_error_deg,
    symmetric_rotation_error_deg,
)
from bench3d.metrics.shape import SurfaceDistances, canonical_box, sample_surface

__all__ = [
    "Group",
    "Interval",
    "Pairwise",
    "PointChance",
    "RankCorrelation",
    "Rows",
    "Statistic",
    "SurfaceDistances",
    "about_up",
    "best_constant_mask",
    "best_constant_rotation",
    "bootstrap_draws",
    "canonical_box",
    "cluster_bootstrap",
    "ellipse_mask",
    "fraction_within_strict",
    "half_turn_flip",
    "hard_iou",
    "holm",
    "holm_pairs",
    "interval",
    "interval_across",
    "letter_groups",
    "median_error_deg",
    "pairwise",
    "pairwise_rotation_error_deg",
    "percentile_interval",
    "rank_intervals",
    "rotation_error_deg",
    "sample_surface",
    "soft_iou",
    "spearman",
    "symmetric_rotation_error_deg",
]
