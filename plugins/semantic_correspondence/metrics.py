"""Metrics of semantic correspondence: the protocol's own average as headline, the other averages beside it."""

from __future__ import annotations

from bench3d.contracts import MetricSpec
from bench3d.contracts.task import Across, Over
from bench3d_plugins.semantic_correspondence.settings import HEADLINE_ALPHA, SemanticSettings

OVER: dict[str, Over] = {"keypoint": "parts", "image": "samples"}
ACROSS: dict[str, Across] = {"pairs": "samples", "macro": "macro", "pooled": "pooled"}
WITHIN_WORDS = {"parts": "keypoints of all pairs of a category", "samples": "keypoint > pair > category"}
ACROSS_WORDS = {
    "samples": "mean over categories weighted by numbers of pairs",
    "macro": "unweighted mean over categories",
    "pooled": "all categories together",
}
CHANCE = "random_point"
TOLERANCE = 0.01
"""Of a keypoint's error, in reference lengths: a neighbouring pixel of the argmax. On a twin another batch size changed
no error of 1,136, a second thread 5 of 852 (two matches that were equally good: up to 0.1), and features that differ by
1e-6 moved 3 of 284 with `rgb`, whose colours tie, and none of 568 with two other backbones."""


def chance_key(alpha: float) -> str:
    """Column of the chance level of a threshold."""
    return f"chance@{alpha:g}"


def metrics(settings: SemanticSettings) -> tuple[MetricSpec, ...]:
    """PCK at every alpha as the protocol averages it, at 0.1 by every average, and left/right swaps."""
    own = (OVER[settings.average], ACROSS[settings.categories])
    alphas = sorted(settings.alphas, key=lambda alpha: alpha != HEADLINE_ALPHA)
    found = [_pck(f"PCK@{a:g}", a, *own, settings, grouped=a == HEADLINE_ALPHA) for a in alphas]
    headline = f"PCK@{HEADLINE_ALPHA:g}"
    found += [
        _pck(f"{headline} per image", HEADLINE_ALPHA, "samples", "samples", settings),
        _pck(f"{headline} per keypoint", HEADLINE_ALPHA, "parts", "pooled", settings),
        _pck(f"{headline} per category", HEADLINE_ALPHA, "parts", "macro", settings),
        MetricSpec(
            name="left/right swaps",
            value="swap",
            reduce="mean",
            unit="%",
            higher_is_better=False,
            over="parts",
            across="pooled",
            order="keypoints whose other side is annotated in the target, all categories together",
            chance={CHANCE: "chance_swap"},
            grouped=False,
        ),
    ]
    return tuple(found)


def _pck(
    name: str, alpha: float, over: Over, across: Across, settings: SemanticSettings, grouped: bool = False
) -> MetricSpec:
    return MetricSpec(
        name=name,
        value="relative",
        reduce="fraction_below" if settings.inequality == "<" else "fraction_at_most",
        threshold=alpha,
        unit="%",
        higher_is_better=True,
        over=over,
        across=across,
        order=f"{WITHIN_WORDS[over]}, {ACROSS_WORDS[across]}",
        chance={CHANCE: chance_key(alpha)},
        grouped=grouped,
        tolerance=TOLERANCE,
    )
