"""Plots of a board as SVG text: small, with their data in words, no script and no style of their own.

Every function returns one complete `<svg>`, or "" where there is nothing to show. A page that has them includes `STYLE`
once; without it they show in the light colours. All texts of records are cleaned and escaped.
"""

from __future__ import annotations

from bench3d.leaderboard.plots.curves import angle_curves
from bench3d.leaderboard.plots.forest import rank_intervals
from bench3d.leaderboard.plots.fronts import Cost, pareto
from bench3d.leaderboard.plots.heat import heat_map
from bench3d.leaderboard.plots.relation import correlation
from bench3d.leaderboard.plots.style import STYLE

__all__ = ["STYLE", "Cost", "angle_curves", "correlation", "heat_map", "pareto", "rank_intervals"]
