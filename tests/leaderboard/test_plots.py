"""The plots: what they show is where the numbers say, in every cell and for every string."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from boards import BINS, CATEGORIES, HEADLINE, OTHER, board, row
from hypothesis import given
from hypothesis import strategies as st

from bench3d.leaderboard.board import MEAN, Cell, Correlation, Metric, Point, Row, Table
from bench3d.leaderboard.plots import STYLE, angle_curves, correlation, heat_map, pareto, rank_intervals
from bench3d.leaderboard.plots.svg import WIDTH, width_of

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></title></svg><svg onload=alert(1)>",
    "&lt;b&gt; & \x00\x1b[31m \ud800 \u202egnp.exe \ufffe",
    "名" * 90,
    "a\u0301\u0301\u0301\u0301\u0301" * 50,
    "x" * 5000,
    "",
    "  \n\t ",
    "=HYPERLINK(1)",
)


def tables() -> list[Table]:
    """The board's, and harder ones: many categories, many rows, close values, far values, hostile texts."""
    real, twin = board().tables
    return [real, twin, wide(), crowd(200), crowd(30), close(), far(), hostile()]


def crowd(n: int) -> Table:
    rows = [
        replace(
            row(f"model-{i}", 90 - 0.3 * i, (i + 1, i + 1)),
            parameters=10**6 + (i * 7919) % n * 10**6,
            title=f"model-{i} + smoothap-lora + common3d",
        )
        for i in range(n)
    ]
    return replace(board().tables[0], id=f"crowd-{n}", rows=rows)


def wide() -> Table:
    names = tuple(f"category-{i}" for i in range(20))
    cells = {c: Cell(value=30.0 + 3 * i, n=10) for i, c in enumerate((*names, MEAN))}
    rows = [replace(r, cells={HEADLINE.name: cells}) for r in board().tables[0].rows]
    return replace(board().tables[0], id="wide", rows=rows, categories=names)


def close() -> Table:
    return replace(board().tables[0], id="close", rows=[row("a", 75.0001, (1, 2)), row("b", 75.0, (1, 2))])


def far() -> Table:
    cells = [{HEADLINE.name: {MEAN: Cell(value=v, n=3), "bus": Cell(value=-v, n=3)}} for v in (2e7, 3.0, 1e-9)]
    return replace(
        board().tables[0],
        id="far",
        metrics=(replace(HEADLINE, unit="px"),),
        rows=[replace(row(f"m{i}", 1.0, (1, 3)), cells=c, parameters=10 ** (4 * i + 1)) for i, c in enumerate(cells)],
    )


def hostile() -> Table:
    evil = Metric(name=HOSTILE[0], unit=HOSTILE[1], higher_is_better=True)
    rows = []
    for i, text in enumerate(HOSTILE):
        made = row(f"evil-{i}", 10.0 * i, (1, 9) if i else None)
        cells = dict(zip((*HOSTILE[:3], MEAN), made.cells[HEADLINE.name].values(), strict=True))
        curve = [(text, 3.0 * i, 1.0, 40.0, 3), (HOSTILE[2], 4.0, None, None, 2)]
        rows.append(
            replace(
                made, title=text, variant=HOSTILE[i - 1], unranked_because=text, cells={evil.name: cells},
                curve={evil.name: curve}, parameters=10**i + 5,
            )
        )  # fmt: skip
    return replace(
        board().tables[0],
        id=HOSTILE[1],
        task=HOSTILE[0],
        headline=evil.name,
        metrics=(evil,),
        categories=HOSTILE[:3],
        rows=rows,
    )


def links() -> list[Correlation]:
    link = board().correlations[0]
    points = [
        Point(title=t, row_x="a", row_y="b", x=float(i), y=5.0, x_interval=(i - 1.0, i + 1.0), random_weights=i == 3)
        for i, t in enumerate(HOSTILE)
    ]
    evil = replace(link, table_x=HOSTILE[0], metric_y=Metric(name=HOSTILE[1], unit=HOSTILE[2], higher_is_better=True))
    many = [replace(points[0], title=f"model {i}", x=i % 9, y=i % 7) for i in range(60)]
    return [link, replace(evil, points=points), replace(link, table_y="many", points=many, rho=None, n=60)]


def everything() -> list[str]:
    found = []
    for table in tables():
        found += [rank_intervals(table), pareto(table, "parameters"), pareto(table, "seconds_per_image")]
        found += [pareto(table, "memory_bytes")]
        found += [plot(table, m.name) for m in table.metrics for plot in (heat_map, angle_curves)]
    return [svg for svg in (*found, *map(correlation, links())) if svg]


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    return everything()


@pytest.fixture(scope="module")
def plots(drawn: list[str]) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in drawn]


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def content(node: ET.Element) -> str:
    """The text that shows: without tooltips."""
    return (node.text or "") + "".join(
        (content(child) if child.tag != f"{SVG}title" else "") + (child.tail or "") for child in node
    )


def texts(node: ET.Element, size: float = 16, anchor: str = "start"):
    """(x, y, size, anchor, turned, text) of everything written, attributes inherited."""
    size, anchor = float(node.get("font-size", size)), node.get("text-anchor", anchor)
    if node.tag == f"{SVG}text":
        spans = node.findall(f"{SVG}tspan")
        for part in spans or [node]:
            yield float(part.get("x")), float(node.get("y")), size, anchor, node.get("transform"), content(part)
        return
    for child in node:
        yield from texts(child, size, anchor)


def test_every_plot_is_one_accessible_picture(plots):
    assert len(plots) > 40
    for svg in plots:
        assert (svg.tag, svg.get("role")) == (f"{SVG}svg", "img")
        title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
        assert svg.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
        assert title.text.strip() and len(desc.text) > 20
        assert svg.get("viewBox").startswith(f"0 0 {WIDTH} ") and svg.get("width") == "100%"


def test_ids_differ_between_the_plots_of_a_page(plots):
    ids = [node.get("id") for svg in plots for node in svg.iter() if node.get("id")]
    assert len(ids) == len(set(ids)) == 3 * len(plots)
    assert all(re.fullmatch(r"plot-[a-z0-9-]+", i) for i in ids)


def test_no_text_becomes_markup_or_breaks_the_security_policy(plots):
    known = {"svg", "title", "desc", "g", "path", "circle", "text", "tspan"}
    for svg in plots:
        for node in svg.iter():
            assert node.tag.removeprefix(SVG) in known
            assert not [a for a in node.attrib if a == "style" or a.startswith("on") or "href" in a]
            for text in (node.text or "", node.tail or "", *(v for k, v in node.attrib.items() if k != "d")):
                assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
                assert len(text) < 3000


def test_numbers_are_finite_and_drawn_inside(plots):
    for svg in plots:
        height = float(svg.get("viewBox").split()[3])
        for node in svg.iter():
            for name in ("x", "y", "cx", "cy", "d"):
                for n in re.findall(r"nan|inf|-?\d+\.?\d*", node.get(name, "")):
                    assert math.isfinite(float(n))
            if node.tag == f"{SVG}circle":
                assert 0 <= float(node.get("cx")) <= WIDTH and 0 <= float(node.get("cy")) <= height


def test_texts_stay_inside_the_picture(plots):
    for svg in plots:
        height = float(svg.get("viewBox").split()[3])
        for x, y, size, anchor, turned, text in texts(svg):
            width = width_of(text, size)
            if turned:
                angle = math.radians(float(re.search(r"rotate\((-?\d+)", turned).group(1)))
                assert x + width * math.cos(angle) <= WIDTH + 1 and y + width * math.sin(angle) >= 0, text
                continue
            left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
            assert left >= -1 and left + width <= WIDTH + 1 and 0 < y <= height, (text, x, anchor)


def test_the_same_board_gives_the_same_plots(drawn):
    assert everything() == drawn


def test_every_class_has_its_rule_and_every_colour_a_dark_one(plots):
    used = {c for svg in plots for node in svg.iter() for c in node.get("class", "").split()}
    kinds = {svg.get("class").split()[1] for svg in plots}
    assert all(f".{c}{{" in STYLE for c in used - kinds - {"plot"})
    light, media, chosen = (set(re.findall(r"(--plot-\w+):#", rule)) for rule in STYLE.splitlines()[:3])
    assert light == media == chosen == set(re.findall(r"var\((--plot-\w+)\)", STYLE))


def test_plots_are_small(drawn):
    real = board().tables[0]
    for svg in (rank_intervals(real), heat_map(real, HEADLINE.name), pareto(real, "parameters")):
        assert len(svg) < 6_000
    assert all(len(svg.encode()) < 70_000 for svg in drawn)


def test_rows_that_have_no_numbers_are_left_out_and_nothing_is_nothing():
    broken = [Cell(value=v, n=0, interval=(math.nan, math.inf), chance=math.nan) for v in (math.nan, math.inf, 1e300)]
    real = board().tables[0]
    rows: list[Row] = [
        replace(
            r, cells={HEADLINE.name: {MEAN: c, "bus": c}}, curve={HEADLINE.name: [("000-030", c.value, None, None, 0)]},
            parameters=None, seconds_per_image=math.nan, memory_bytes=0,
        )
        for r, c in zip(real.rows, broken, strict=False)
    ]  # fmt: skip
    empty = replace(real, rows=rows)
    for made in (
        rank_intervals(empty), heat_map(empty, HEADLINE.name), angle_curves(empty, HEADLINE.name),
        pareto(empty, "parameters"), heat_map(real, "no such metric"), rank_intervals(replace(real, headline="?")),
        angle_curves(real, OTHER.name), correlation(replace(board().correlations[0], points=())),
    ):  # fmt: skip
        assert made == ""
    mixed = replace(real, rows=[*rows, *real.rows[2:]])
    for made in (rank_intervals(mixed), heat_map(mixed, HEADLINE.name), angle_curves(mixed, HEADLINE.name)):
        assert "mae" in made and "dinov2" not in made and "nan" not in made


@pytest.mark.parametrize("value", [0.0, 75.0, -3.0, 1e-12, 1e14])
def test_one_row_or_equal_values_have_an_axis(value):
    cells = {HEADLINE.name: {MEAN: Cell(value=value, n=1), "bus": Cell(value=value, n=1)}}
    rows = [
        replace(row(n, 1.0, (1, 1)), cells=cells, curve={HEADLINE.name: [("000-030", value, None, None, 1)]})
        for n in "ab"
    ]
    for count in (1, 2):
        table = replace(board().tables[0], rows=rows[:count])
        for svg in (rank_intervals(table), heat_map(table, HEADLINE.name), angle_curves(table, HEADLINE.name)):
            assert "nan" not in svg and ET.fromstring(svg) is not None
    assert (pareto(replace(table, rows=rows[:1]), "parameters") == "") and pareto(table, "parameters")


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=True), st.floats() | st.none(), st.floats(0) | st.none()), min_size=1, max_size=12
    ),
    st.booleans(),
)
def test_no_numbers_break_a_plot(entries, higher):
    metric = Metric(name="m", unit="%", higher_is_better=higher)
    rows = []
    for i, (value, end, cost) in enumerate(entries):
        cell = Cell(value=value, n=1, interval=None if end is None else (end, value), chance=end)
        rows.append(
            replace(
                row(f"r{i}", 1.0, (1, 1)), cells={"m": {MEAN: cell, "bus": cell}}, seconds_per_image=cost,
                curve={"m": [(BINS[i % 4], value, end, cost, 1), (CATEGORIES[0], value, end, cost, 1)]},
            )
        )  # fmt: skip
    table = replace(board().tables[0], headline="m", metrics=(metric,), rows=rows)
    made = [rank_intervals(table), heat_map(table, "m"), angle_curves(table, "m"), pareto(table, "seconds_per_image")]
    for svg in made:
        for node in ET.fromstring(svg).iter() if svg else ():
            coordinates = " ".join(node.get(n, "") for n in ("x", "y", "cx", "cy", "d", "viewBox"))
            assert "nan" not in coordinates and "inf" not in coordinates and "e" not in coordinates
