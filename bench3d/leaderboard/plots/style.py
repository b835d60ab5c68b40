"""Colours of the plots, light and dark, as custom properties; elements carry the light ones as attributes too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STEPS = 11
"""Steps of the sequential scale of heat maps."""
FLIP = 5
"""From this step on texts in a cell have the inverse ink, in both schemes."""
LINES = 8
"""Colours of lines."""

_LIGHT_HEAT = [
    "#fbf7e6",
    "#e2ebcf",
    "#c9dfb8",
    "#92c3b5",
    "#57a6b0",
    "#357ca3",
    "#2f6e9b",
    "#296093",
    "#224e84",
    "#1b376f",
    "#15215a",
]
_DARK_HEAT = [
    "#23263a",
    "#283858",
    "#2c4a78",
    "#2e5c85",
    "#2f6e92",
    "#2f87a3",
    "#4fa1a5",
    "#6dbaa5",
    "#96cfa7",
    "#c6deac",
    "#f3edb0",
]
_LIGHT_LINES = ["#0b62b0", "#b84c00", "#00795a", "#a3237e", "#7a5c00", "#5b45c2", "#c0262d", "#3d6370"]
_DARK_LINES = ["#6db7ff", "#ffa05c", "#3fd0a0", "#f38ad0", "#e0c050", "#b3a3ff", "#ff8a85", "#9fc3d0"]


def _scheme(base: Mapping[str, str], lines: list[str], heat: list[str]) -> dict[str, str]:
    numbered = {f"c{i}": c for i, c in enumerate(lines, 1)} | {f"h{i}": c for i, c in enumerate(heat)}
    return {**base, **numbered}


SCHEMES: Mapping[str, Mapping[str, str]] = {
    "light": _scheme(
        {"paper": "#ffffff", "muted": "#59616b", "grid": "#dfe3e8", "ink": "#1a1c20", "inverse": "#ffffff"},
        _LIGHT_LINES,
        _LIGHT_HEAT,
    ),
    "dark": _scheme(
        {"paper": "#14171c", "muted": "#a5adb8", "grid": "#333a44", "ink": "#f2f2f2", "inverse": "#101216"},
        _DARK_LINES,
        _DARK_HEAT,
    ),
}


def ink(name: str) -> dict[str, Any]:
    """Attributes of a group whose members draw with `currentColor`."""
    return {"class_": f"plot-{name}", "color": SCHEMES["light"][name]}


def fill(name: str) -> dict[str, Any]:
    """Attributes of a filled shape or text."""
    return {"class_": f"plot-f-{name}", "fill": SCHEMES["light"][name]}


def halo() -> dict[str, Any]:
    """Attributes of a text that stays readable over lines."""
    return {
        "class_": "plot-halo",
        "stroke": SCHEMES["light"]["paper"],
        "stroke_width": 4,
        "stroke_linejoin": "round",
        "paint_order": "stroke",
    }


def _properties(scheme: str) -> str:
    return "".join(f"--plot-{name}:{colour};" for name, colour in SCHEMES[scheme].items())


def _style() -> str:
    colours = [n for n in SCHEMES["light"] if n[0] != "h"]
    fills = ["paper", "ink", "inverse", "muted", *(f"h{i}" for i in range(STEPS))]
    rules = [
        f":where(:root){{{_properties('light')}}}",
        f"@media (prefers-color-scheme:dark){{:where(:root:not([data-theme=light])){{{_properties('dark')}}}}}",
        f":where(:root[data-theme=dark]){{{_properties('dark')}}}",
        ".plot{display:block;width:100%;max-width:44rem;height:auto;font-family:inherit;font-variant-numeric:tabular-nums}",
        *(f".plot-{name}{{color:var(--plot-{name})}}" for name in colours),
        *(f".plot-f-{name}{{fill:var(--plot-{name})}}" for name in fills),
        ".plot-halo{stroke:var(--plot-paper)}",
    ]
    return "\n".join(rules) + "\n"


STYLE = _style()
"""Stylesheet of the plots. Its rules for `:root` weigh nothing, so a page sets `--plot-paper` to the
colour behind the plots wherever it likes."""
