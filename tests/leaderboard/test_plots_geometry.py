"""Where marks stand, how cells are coloured, and that names do not cover one another."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from boards import CATEGORIES, HEADLINE, OTHER, board, row
from hypothesis import given
from hypothesis import strategies as st

from bench3d.leaderboard.board import MEAN, Cell, Correlation, Metric, Point, Table
from bench3d.leaderboard.plots import STYLE, angle_curves, correlation, heat_map, pareto, rank_intervals
from bench3d.leaderboard.plots.curves import bounds, spread
from bench3d.leaderboard.plots.fronts import amount, front
from bench3d.leaderboard.plots.placing import Box, place
from bench3d.leaderboard.plots.scales import Axis, linear, logarithmic
from bench3d.leaderboard.plots.svg import width_of
from bench3d.leaderboard.plots.words import cut, cut_all, digits

SVG = "{http://www.w3.org/2000/svg}"
TABLE = board().tables[0]


def titled(svg: str) -> dict[str, ET.Element]:
    """Tooltip -> the element it belongs to, without those of texts."""
    root = ET.fromstring(svg)
    found = {}
    for node in root.iter():
        title = node.find(f"{SVG}title")
        if title is not None and node.tag not in (f"{SVG}text", f"{SVG}svg"):
            found[title.text] = node
    return found


def dots(svg: str) -> dict[str, tuple[float, float]]:
    """First word of the tooltip -> where its mark is."""
    found = {}
    for title, node in titled(svg).items():
        circle = next(node.iter(f"{SVG}circle"), None)
        if circle is not None:
            found[title.split()[0]] = (float(circle.get("cx")), float(circle.get("cy")))
        else:
            last = [*node.iter(f"{SVG}path")][-1].get("d")
            x, y = map(float, re.match(r"M(-?[\d.]+) (-?[\d.]+)", last).groups())
            found[title.split()[0]] = (x, y + 8 if "l8 8" in last else y)
    return found


def test_a_forest_puts_larger_values_further_right_and_lists_every_rank():
    at = dots(rank_intervals(TABLE))
    assert at["untrained"][0] < at["mae"][0] < at["clip"][0] < at["dinov2"][0]
    assert at["dinov2"][1] < at["clip"][1] < at["mae"][1] < at["untrained"][1]
    per_point = (at["dinov2"][0] - at["mae"][0]) / 35
    assert at["mae"][0] - at["untrained"][0] == pytest.approx(31 * per_point, abs=0.3)
    chance = next(p for p in ET.fromstring(rank_intervals(TABLE)).iter(f"{SVG}path") if p.get("stroke-dasharray"))
    x = float(re.match(r"M([\d.]+)", chance.get("d")).group(1))
    assert at["mae"][0] - x == pytest.approx(33 * per_point, abs=0.3)
    shown = "".join(ET.fromstring(rank_intervals(TABLE)).itertext())
    assert "1–2" in shown and "chance 7.0" in shown and "Hollow: not ranked (random weights)." in shown
    assert "leads with 75.0 % (95 % interval 72.0 to 78.0), rank 1–2 of 3" in shown


def test_chance_far_below_all_rows_does_not_press_them_together():
    table = replace(TABLE, rows=[row("a", 90.0, (1, 1)), row("b", 89.5, (2, 2))])
    at = dots(rank_intervals(table))
    assert at["a"][0] - at["b"][0] > 8 and "Chance lies off the axis: 7.0 %." in rank_intervals(table)


def test_rows_beyond_the_cap_are_counted():
    table = replace(TABLE, rows=[row(f"m{i}", 90 - i / 10, (i + 1, i + 1)) for i in range(200)])
    assert "The first 40 of 200 rows; 160 left out here." in rank_intervals(table)
    assert "The first 40 of 200 rows; 160 left out here." in heat_map(table, HEADLINE.name)
    assert "The first 8 of 200 rows; 192 left out here." in angle_curves(table, HEADLINE.name)


def cells(svg: str) -> list[tuple[float, float, str, ET.Element]]:
    """(x, baseline, class of the colour below, the text) of every number in a heat map."""
    root = ET.fromstring(svg)
    rects = []
    for path in root.iter(f"{SVG}path"):
        for x, y, w, h in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path.get("d")):
            rects.append((float(x), float(y), float(w), float(h), path.get("class")))
    found = []
    for text in root.iter(f"{SVG}text"):
        for part in text.findall(f"{SVG}tspan"):
            x, y = float(part.get("x")), float(text.get("y"))
            below = [c for left, top, w, h, c in rects if left < x < left + w and top < y < top + h]
            assert len(below) == (part.text != "–")
            found.append((x, y, below[0] if below else "", part, text.get("class")))
    return found


def test_cells_of_a_heat_map_show_their_values_in_rows_and_columns():
    shown = sorted((y, x, part.text) for x, y, _, part, _ in cells(heat_map(TABLE, HEADLINE.name)))
    expected = [
        f"{r.cells[HEADLINE.name][c].value:.1f}".replace("-", "−") for r in TABLE.rows for c in (*CATEGORIES, MEAN)
    ]
    assert [text for _, _, text in shown] == expected


@pytest.mark.parametrize("metric", [HEADLINE, OTHER])
def test_a_better_cell_never_has_a_weaker_colour(metric):
    found = [
        (float(p.text.replace("−", "-")), int(c.removeprefix("plot-f-h")))
        for _, _, c, p, _ in cells(heat_map(TABLE, metric.name))
    ]
    found.sort(reverse=not metric.higher_is_better)
    steps = [step for _, step in found]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 10


def test_the_best_of_a_column_is_bold_and_random_weights_never_are():
    values = {"a": (3.0, 9.0), "b": (5.0, 8.0), "c": (1.0, 99.0)}
    rows = []
    for name, (bus, car) in values.items():
        made = {"bus": Cell(value=bus, n=1), "car": Cell(value=car, n=1, tied=name == "b")}
        rows.append(replace(row(name, 50.0, None if name == "c" else (1, 2)), cells={"m": made}))
    for higher, best in ((True, {"5.0", "9.0"}), (False, {"3.0", "8.0"})):
        metric = Metric(name="m", unit="%", higher_is_better=higher)
        found = cells(heat_map(replace(TABLE, metrics=(metric,), rows=rows), "m"))
        assert {p.text for _, _, _, p, _ in found if p.get("font-weight") == "bold"} == best
        assert {p.text for _, _, _, p, _ in found if p.get("text-decoration")} == {"8.0"} - best


def test_noise_is_not_coloured_as_if_it_were_large():
    """Values that differ by a twentieth of an interval have (almost) one colour."""
    rows = [row("a", 75.0, (1, 2)), row("b", 75.4, (1, 2))]
    rows = [replace(r, cells={"m": {MEAN: r.cells[HEADLINE.name][MEAN]}}) for r in rows]
    found = cells(heat_map(replace(TABLE, metrics=(replace(HEADLINE, name="m"),), rows=rows), "m"))
    steps = [int(c.removeprefix("plot-f-h")) for _, _, c, _, _ in found]
    assert abs(steps[0] - steps[1]) <= 1


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def schemes() -> list[dict[str, str]]:
    return [dict(re.findall(r"--plot-(\w+):(#\w+)", rule)) for rule in STYLE.splitlines()[:3]]


def test_numbers_in_cells_and_coloured_names_can_be_read_in_both_schemes():
    values = [float(i) for i in range(101)]
    rows = [
        replace(
            row(f"r{i}", 1.0, (1, 1)),
            cells={"m": {c: Cell(value=values[(10 * i + k) % 101], n=1) for k, c in enumerate("abcdefghij")}},
        )
        for i in range(11)
    ]
    table = replace(TABLE, metrics=(replace(HEADLINE, name="m"),), categories=tuple("abcdefghij"), rows=rows)
    found = cells(heat_map(table, "m"))
    assert {c for _, _, c, _, _ in found} == {f"plot-f-h{i}" for i in range(11)}
    for scheme in schemes():
        for _, _, below, _, ink in found:
            assert contrast(scheme[below.removeprefix("plot-f-")], scheme[ink.removeprefix("plot-f-")]) >= 4.5
        for name in ("muted", *(f"c{i}" for i in range(1, 9))):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5


def test_attributes_without_the_stylesheet_are_the_light_scheme():
    light = schemes()[0]
    for node in ET.fromstring(heat_map(TABLE, HEADLINE.name)).iter():
        if node.get("class", "").startswith("plot-f-"):
            assert node.get("fill") == light[node.get("class").removeprefix("plot-f-")]


def test_a_curve_has_its_bins_in_the_order_of_their_numbers_and_higher_is_higher():
    curve = [("090-120", 10.0, 8.0, 12.0, 7), ("000-030", 40.0, None, None, 9), ("345-000", 20.0, 1.0, 50.0, 3)]
    table = replace(TABLE, rows=[replace(row("a", 1.0, (1, 1)), curve={HEADLINE.name: curve})])
    marks = titled(angle_curves(table, HEADLINE.name))
    at = {}
    for title, node in marks.items():
        x, y = re.match(r"M([\d.]+) ([\d.]+)", node.get("d")).groups()
        at[title.partition(", ")[2]] = float(x), float(y)
    first, second, third = (
        "−15 to 0°: 20.0 % (1.0 to 50.0), n 3",
        "0 to 30°: 40.0 %, n 9",
        "90 to 120°: 10.0 % (8.0 to 12.0), n 7",
    )
    assert at[first][0] < at[second][0] < at[third][0]
    assert at[second][1] < at[first][1] < at[third][1]
    assert (at[third][0] - at[second][0]) / (at[second][0] - at[first][0]) == pytest.approx(90 / 22.5, rel=0.02)


def test_bins_that_are_no_angles_keep_the_order_of_their_numbers():
    curve = [(f"bin {i}", float(i), None, None, 1) for i in (10, 9, 2)]
    table = replace(TABLE, rows=[replace(row("a", 1.0, (1, 1)), curve={HEADLINE.name: curve})])
    marks = titled(angle_curves(table, HEADLINE.name))
    xs = {
        t.split(",")[1].split(":")[0].strip(): float(re.match(r"M([\d.]+)", n.get("d")).group(1))
        for t, n in marks.items()
    }
    assert sorted(xs, key=xs.get) == ["bin 2", "bin 9", "bin 10"]


def test_lines_differ_in_more_than_colour():
    table = replace(TABLE, rows=[row(f"m{i}", 90.0 - i, (i, i)) for i in range(1, 9)])
    root = ET.fromstring(angle_curves(table, HEADLINE.name))
    lines = [p for p in root.iter(f"{SVG}path") if p.get("stroke-width") == "2.5"]
    shapes = {p.get("d").partition("m")[2] for p in root.iter(f"{SVG}path") if p.find(f"{SVG}title") is not None}
    assert len(lines) == 8 == len({p.get("stroke-dasharray") for p in lines}) == len(shapes)


@pytest.mark.parametrize(
    ("name", "ends"),
    [("030-060", (30, 60)), ("345-015", (-15, 15)), ("0-2.5", (0, 2.5)), ("none", None), ("5", None), ("30-30", None)],
)
def test_bounds_of_a_bin(name, ends):
    assert bounds(name) == ends


@given(st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_names_at_line_ends_keep_their_distance_and_order(heights):
    placed = spread(sorted(heights), 22, 0, 300)
    assert all(b - a >= 22 - 1e-9 for a, b in pairwise(placed))
    assert min(placed) >= -1e-9 and max(placed) <= 300


small = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(small, small), max_size=20), st.booleans())
def test_the_front_is_what_no_other_run_dominates(points, higher):
    def dominates(a, b):
        better = a[1] - b[1] if higher else b[1] - a[1]
        return a[0] <= b[0] and better >= 0 and (a[0] < b[0] or better > 0)

    assert front(points, higher) == [not any(dominates(q, p) for q in points) for p in points]


@pytest.mark.parametrize("higher", [True, False])
def test_a_pareto_plot_marks_its_front_and_names_it(higher):
    metric = replace(HEADLINE, higher_is_better=higher)
    rows = [
        replace(row(name, value, None if name == "random" else (1, 4)), parameters=cost)
        for name, value, cost in (
            ("tiny", 20.0, 10**6), ("middle", 50.0, 10**7), ("worse", 35.0, 2 * 10**7), ("large", 80.0, 10**9),
            ("random", 99.0, 10**5),
        )
    ]  # fmt: skip
    svg = pareto(replace(TABLE, metrics=(metric,), rows=rows), "parameters")
    best = {t.split()[0] for t, node in titled(svg).items() if "plot-c2" in node.get("class", "")}
    assert best == ({"tiny", "middle", "large"} if higher else {"tiny"})
    at = dots(svg)
    assert at["random"][0] < at["tiny"][0] < at["middle"][0] < at["worse"][0] < at["large"][0]
    assert at["large"][1] < at["middle"][1] < at["worse"][1] < at["tiny"][1]
    decade = at["middle"][0] - at["tiny"][0]
    assert at["large"][0] - at["middle"][0] == pytest.approx(2 * decade, abs=0.3)
    written = {"".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")}
    assert {"tiny + common3d", "middle + common3d", "large + common3d"} <= written
    hollow = [n for t, n in titled(svg).items() if n.find(f".//{SVG}circle[@class='plot-f-paper']") is not None]
    assert len(hollow) == 1


def test_every_member_of_the_front_has_its_name_in_a_crowd():
    rows = [
        replace(
            row(f"m{i}", 50 + 40 * math.sin(i * 7.1), (1, 9)), parameters=int(10 ** (6 + 3 * ((i * 37) % 200) / 200))
        )
        for i in range(200)
    ]
    svg = pareto(replace(TABLE, rows=rows), "parameters")
    members = {t.split(":")[0] for t, n in titled(svg).items() if "plot-c2" in n.get("class", "")}
    written = {"".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")}
    assert len(members) >= 2 and members <= written


@given(st.lists(st.tuples(st.floats(70, 630), st.floats(45, 370)), min_size=1, max_size=25))
def test_names_cover_no_point_and_no_other_name(points):
    names = [(i, f"model {i} + adapter") for i in range(len(points))]
    bounds_ = Box(66, 34, 640, 378)
    placed = place(points, names, bounds_, 16)
    boxes = [p.box for p in placed.values()]
    assert not any(a.touches(b) for a, b in combinations(boxes, 2))
    assert all(box.inside(bounds_) for box in boxes)
    assert not any(box.left < x < box.right and box.top < y < box.bottom for box in boxes for x, y in points)


def test_a_correlation_turns_the_axis_of_an_error_and_says_what_was_computed():
    svg = correlation(board().correlations[0])
    at = dots(svg)
    assert at["untrained"][0] < at["mae"][0] < at["clip"][0] < at["dinov2"][0]
    assert at["untrained"][1] > at["mae"][1] > at["clip"][1] > at["dinov2"][1]
    said = "".join(ET.fromstring(svg).itertext())
    assert "Spearman's ρ = 1.00 (95 % CI 0.20 to 1.00), p = 0.08, n = 4 models." in said
    assert "Hollow: untrained networks, counted in ρ." in said and "axis reversed" in said


def test_a_correlation_of_few_models_has_no_interval():
    link: Correlation = replace(board().correlations[0], rho=-0.5, interval=None, p_value=None, n=3)
    assert "ρ = −0.50, n = 3 models; too few for an interval." in correlation(link)
    assert "No rank correlation: n = 2 models." in correlation(replace(link, rho=None, n=2))
    whiskers = [Point(title="a", row_x="", row_y="", x=1.0, y=2.0, x_interval=(0.0, 3.0), y_interval=(1.0, 9.0))] * 2
    node = next(iter(titled(correlation(replace(link, points=whiskers))).values()))
    assert node.find(f"{SVG}path").get("d").count("M") == 2


@given(st.floats(-1e5, 1e5), st.floats(1e-2, 1e9), st.integers(2, 9))
def test_ticks_are_round_and_inside(low, width, count):
    axis = Axis(low, low + width, 0, 100)
    ticks = axis.ticks(count)
    assert 1 <= len(ticks) <= count
    assert all(-1e-3 <= axis(t) <= 100 + 1e-3 for t in ticks)
    if len(ticks) > 1:
        step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
        assert round(step / 10 ** math.floor(math.log10(step * 1.0001)), 3) in (1, 2, 5)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1))
def test_logarithmic_axes_hold_their_values_and_two_ticks(values):
    axis = logarithmic(values, 0, 100)
    assert all(0 < axis(v) < 100 for v in values) and len(axis.ticks(9)) >= 2


def test_percent_stays_in_its_range_and_equal_values_have_width():
    axis = linear([0.0, 100.0], 0, 10, "%")
    assert (axis.low, axis.high) == (0, 100)
    assert linear([5.0], 0, 10).low < 5 < linear([5.0], 0, 10).high


@pytest.mark.parametrize(
    ("value", "cost", "text"),
    [
        (22_000_000, "parameters", "22 M"), (1.5e9, "parameters", "1.5 B"), (999_999, "parameters", "1 M"),
        (0.0351, "seconds_per_image", "35.1 ms"), (2_000_000_000, "memory_bytes", "2 GB"),
        (512, "memory_bytes", "512 B"),
    ],
)  # fmt: skip
def test_costs_have_units_that_fit(value, cost, text):
    assert amount(value, cost) == text


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([75.04, 20.0], "%", "75.0"), ([75.04, 75.01], "%", "75.04"), ([-12.34, 50.0], "deg", "−12.3"),
        ([0.01234], "", "0.0123"), ([12345.6], "px", "12,346"), ([3e-8], "", "3.0e−8"), ([-0.001, 90.0], "%", "0.0"),
    ],
)  # fmt: skip
def test_numbers_have_sensible_digits(values, unit, text):
    assert digits(values, unit)(values[0]) == text


def test_long_names_lose_what_they_share_and_stay_different():
    names = [f"some-very-long-backbone-name-{i} + common3d, rank {i}" for i in range(12)]
    shown, said = cut_all(names, 220, 18)
    assert len(set(shown)) == 12 and all(width_of(n, 18) <= 220 for n in shown)
    assert said == ["All names go on with “+ common3d”."] and shown[3].endswith("rank 3")
    assert cut("short", 120, 18) == "short"
    assert cut_all(["a + b", "c + b"], 300, 18) == (["a + b", "c + b"], [])
    same: Table = replace(TABLE, rows=[TABLE.rows[0], TABLE.rows[0]])
    assert rank_intervals(same).count("dinov2 + common3d</text>") == 2
