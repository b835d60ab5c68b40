"""The site as files: nothing hostile gets through, links resolve, a folder of ours is replaced whole."""

import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from boards import HEADLINE, board
from PIL import Image

from bench3d.errors import DataError, OutputError
from bench3d.leaderboard.board import MEAN, Board, Row
from bench3d.leaderboard.changes import Change, Changes
from bench3d.leaderboard.entries import Entry, Refusal
from bench3d.leaderboard.exports import export_all
from bench3d.leaderboard.page import site as site_module
from bench3d.leaderboard.page import write_site
from bench3d.leaderboard.page.files import MARKER
from bench3d.leaderboard.page.pictures import SIDE, small_copy
from bench3d.records import Fit, GroupScore, Score

VOID = {"meta", "link", "br", "img", "input", "hr", "col"}
# Elements whose end tag HTML lets one leave out.
OPEN_ENDED = {"p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot", "colgroup", "option"}
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;{{ 7*7 }}{% raw %}</table></td>--><svg/onload=1>"


class Page(HTMLParser):
    """What a page holds: tags, attributes, text; `faults` are end tags without a start and the like."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self.stack if tag not in OPEN_ENDED]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) < len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack[-1] != tag and self.stack[-1] in OPEN_ENDED:
            self.stack.pop()
        if not self.stack or self.stack[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.stack[-1:] or 'nothing'}")
        else:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def ids(self) -> list[str]:
        return [str(a["id"]) for _, a in self.tags if "id" in a]

    def links(self) -> list[str]:
        return [str(a[key]) for _, a in self.tags for key in ("href", "src") if a.get(key) is not None]


def write(tmp_path: Path, made: Board, name: str = "site", **options: object) -> Path:
    out = tmp_path / name
    write_site(made, out, more=lambda folder: export_all(made, folder), **options)
    return out


def pages(out: Path) -> dict[str, Page]:
    return {str(path.relative_to(out)): Page(path.read_text()) for path in sorted(out.rglob("*.html"))}


def scored(row: Row, **changes: object) -> Row:
    """A row whose record holds scores, groups and fits."""
    scores = [
        Score(
            metric=m, category=c, value=cell.value, unit="%", n=cell.n, interval=cell.interval, higher_is_better=True,
            version=1, order="o",
        )
        for m, cells in row.cells.items()
        for c, cell in cells.items()
    ]  # fmt: skip
    groups = [GroupScore(metric=HEADLINE.name, category="car", by="azimuth", bin="000-030", value=51.5, unit="%", n=7)]
    fits = [Fit(component="common3d", category="car", recipe="a" * 64, digest="b" * 64, seconds=3.0)]
    record = row.entry.record.model_copy(update={"scores": scores, "groups": groups, "fits": fits, **changes})
    return replace(row, entry=replace(row.entry, record=record))


def hostile() -> Board:
    """Every text that a stranger may write is markup."""
    made = board()
    first = made.tables[0]
    row = scored(
        first.rows[0], label=EVIL, message=EVIL, oracles=[EVIL], notes=[EVIL], pictures=[f"../{EVIL}.png"],
        fits=[Fit(component=EVIL, category=EVIL, recipe=EVIL, digest=EVIL)],
    )  # fmt: skip
    record = row.entry.record
    identity = record.identity.model_copy(update={"measurement": {EVIL: {EVIL: EVIL}, "backbone": {"name": EVIL}}})
    provenance = record.provenance.model_copy(
        update={"command": EVIL, "device": EVIL, "time": EVIL, "libraries": {EVIL: EVIL}, "weights": {EVIL: [EVIL]}}
    )
    groups = [GroupScore(metric=EVIL, category=EVIL, by=EVIL, bin=EVIL, value=1.0, unit=EVIL, n=1)]
    record = record.model_copy(update={"identity": identity, "provenance": provenance, "groups": groups})
    row = replace(
        row, title=EVIL, backbone=EVIL, adapter=EVIL, shape_model=EVIL, model=EVIL, family=EVIL, variant=EVIL,
        groups=EVIL, flags=[EVIL], entry=replace(row.entry, record=record),
    )  # fmt: skip
    other = replace(first.rows[1], family=EVIL, variant=EVIL, unranked_because=EVIL, ranked=False, rank=None)
    paper = replace(first.reported[0], method=EVIL, setting=EVIL, source=EVIL, where=EVIL, citation=EVIL, differs=EVIL)
    table = replace(
        first, task=EVIL, protocol=EVIL, summary=EVIL, dataset=EVIL, settings=EVIL, oracles=(EVIL,), notes=(EVIL,),
        rows=(row, other, *first.rows[2:]), reported=(paper,), categories=(*first.categories, EVIL),
    )  # fmt: skip
    return replace(made, tables=(table, *made.tables[1:]), refused=(Refusal(path=EVIL, reason=EVIL),), made=EVIL)


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    change = Change(kind="rescored", table="t-paper", table_title=EVIL, row="", row_title=EVIL, words=EVIL)
    out = write(tmp_path, hostile(), changes=Changes(since=EVIL, changes=(change,)))
    seen = 0
    for name, page in pages(out).items():
        assert not page.faults, (name, page.faults)
        scripts = [attrs for tag, attrs in page.tags if tag == "script"]
        assert [s["src"] for s in scripts] == ["../board.js" if "/" in name else "board.js"]
        assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on") or a == "style"]
        assert {"style", "iframe", "object", "base", "form"}.isdisjoint(tag for tag, _ in page.tags)
        seen += "".join(page.words).count("alert(1)")
        assert "49{%" not in "".join(page.words), "a text was taken for a template"
    assert seen > 40


def test_pages_are_whole_and_links_stay_inside(tmp_path: Path) -> None:
    made = board()
    rows = tuple(scored(row) for row in made.tables[0].rows)
    out = write(tmp_path, replace(made, tables=(replace(made.tables[0], rows=rows), made.tables[1])))
    found = pages(out)
    assert len(found) == 1 + 2 + 6
    for name, page in found.items():
        assert not page.faults, (name, page.faults)
        assert len(page.ids) == len(set(page.ids)), name
        assert [tag for tag, _ in page.tags].count("h1") == 1
        policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        for link in page.links():
            parts = urlsplit(link)
            assert not parts.scheme, (name, link)
            assert not parts.netloc, (name, link)
            target = (out / name).parent / unquote(parts.path) if parts.path else out / name
            assert target.resolve().is_relative_to(out.resolve()), (name, link)
            assert target.is_file(), (name, link)
            if parts.fragment:
                assert parts.fragment in found[str(target.resolve().relative_to(out.resolve()))].ids, (name, link)
        labels = {i for _, a in page.tags for key in ("aria-labelledby", "for") for i in (a.get(key) or "").split()}
        assert labels <= set(page.ids), name
    for style in (out / "style.css").read_text(), (out / "board.js").read_text():
        assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?:|import\(", style.replace("http://www.w3.org", ""))


def test_numbers_intervals_and_marks_reach_the_pages(tmp_path: Path) -> None:
    made = board()
    table = made.tables[0]
    cells = dict(table.rows[0].cells)
    cells[HEADLINE.name] = cells[HEADLINE.name] | {
        MEAN: replace(cells[HEADLINE.name][MEAN], method="student-t"),
        "bus": replace(cells[HEADLINE.name]["bus"], tied=True),
    }
    rows = (scored(replace(table.rows[0], cells=cells, flags=("changed source tree",))), *table.rows[1:])
    reported = (replace(table.reported[0], read_off=True),)
    made = replace(made, tables=(replace(table, rows=rows, reported=reported), made.tables[1]))
    out = write(tmp_path, made)
    text = (out / "tables/t-paper.html").read_text()
    t_mark = "<sup>t</sup><i class=sr> (Student’s t)</i>"
    assert f"<b class=best>75.0</b><i class=sr> best</i> <small>72.0–78.0{t_mark}</small>" in text
    assert "<b class=tied>65.0</b><i class=sr> tied with the best</i>" in text
    assert "random weights" in text
    assert "≈ 99.3" in text
    assert "read off a plot" in text
    assert "mean over seven categories" in text
    words = " ".join("".join(Page(text).words).split())
    assert "Chance random start" in words
    assert "7.0" in words
    run = " ".join("".join(Page((out / f"runs/{rows[0].id}.html").read_text()).words).split())
    for part in ("75.0 best 72.0–78.0", "000-030", "51.5 n 7", "recipe aaaaaaaaaaaa", "Flag: changed source tree"):
        assert part in run
    home = " ".join("".join(Page((out / "index.html").read_text()).words).split())
    assert "Numbers of synthetic twins say nothing about real images." in home
    assert "runs/t/broken/record.json" in home
    assert "field scores.0.unit: missing." in home
    with gzip.open(out / "tables/t-paper.records.jsonl.gz", "rt") as lines:
        stored = [json.loads(line) for line in lines]
    assert [s["identity"]["hash"][:12] for s in stored] == [row.id for row in rows]


def test_gaps_are_shown(tmp_path: Path) -> None:
    made = board()
    real = made.tables[0]
    second = replace(
        real, id="u-paper", task="u", rows=(replace(real.rows[0], id="0" * 12),), reported=(), comparisons=0
    )
    out = write(tmp_path, replace(made, tables=(real, second)))
    body = (out / "index.html").read_text().split('id="matrix-real"')[1].split("</table>")[0]
    lines = {re.sub("<.*?>", " ", line).split()[0]: line for line in body.split("<tbody>")[1].split("<tr")[1:]
             for line in [line.split(">", 1)[1]]}  # fmt: skip
    assert list(lines) == ["dinov2", "clip", "mae", "untrained"], "most tables first, then ranks, those without last"
    assert "not run" not in lines["dinov2"]
    assert lines["clip"].count("not run") == 1
    assert "no rank" in lines["untrained"]


def test_same_board_same_bytes(tmp_path: Path) -> None:
    one, two = write(tmp_path, board(), "one"), write(tmp_path, board(), "two")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_a_site_is_replaced_whole_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = write(tmp_path, board())
    (out / "left.html").write_text("of the last build")
    summary = write_site(board(), out)
    assert not (out / "left.html").exists()
    assert summary.files == sum(path.is_file() for path in out.rglob("*"))
    before = sorted(tmp_path.iterdir())
    assert before == [out], "no temporary folder is left"

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(site_module, "run_context", broken)
    with pytest.raises(RuntimeError):
        write_site(replace(board(), made="later"), out)
    assert sorted(tmp_path.iterdir()) == [out]
    assert "2000-01-02" in (out / "index.html").read_text()
    monkeypatch.undo()

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="holds files that are not"):
        write_site(board(), mine)
    with pytest.raises(OutputError, match="is a file"):
        write_site(board(), mine / "thesis.tex")
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(OutputError, match="is a link"):
        write_site(board(), tmp_path / "link")
    (tmp_path / "empty").mkdir()
    write_site(board(), tmp_path / "empty")
    assert (tmp_path / "empty" / MARKER).is_file()


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "A", "." * 3])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    made = board()
    bad = replace(made, tables=(replace(made.tables[0], id=name), made.tables[1]))
    with pytest.raises(DataError, match="cannot name a file"):
        write_site(bad, tmp_path / "site")
    assert not list(tmp_path.iterdir())


def test_many_runs_leave_to_the_table_what_they_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "BRIEF_FROM", 2)
    out = write(tmp_path, board())
    row = board().tables[0].rows[0]
    table, run = (out / "tables/t-paper.html").read_text(), (out / f"runs/{row.id}.html").read_text()
    assert "<dt>bench3d</dt><dd>0</dd>" in table
    assert "<dt>bench3d<dd>0" not in run
    assert "#shared" in run
    assert "<summary>backbone: dinov2</summary>" not in table


def test_pictures_are_encoded_anew_within_a_budget(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "pictures").mkdir(parents=True)
    Image.new("RGB", (1200, 600), "red").save(run / "pictures" / "car_1.png", pnginfo=None)
    (run / "pictures" / "page.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    Image.effect_noise((300, 300), 90).save(tmp_path / "secret.png")
    (run / "pictures" / "out.png").symlink_to(tmp_path / "secret.png")
    names = ["pictures/car_1.png", "pictures/page.png", "../secret.png", "pictures/out.png", "a\0b", "pictures"]
    assert [small_copy(run, name) is not None for name in names] == [True, False, False, False, False, False]
    made = board()
    table = made.tables[0]
    record = table.rows[0].entry.record.model_copy(update={"pictures": names})
    rows = (replace(table.rows[0], entry=Entry(record, run / "record.json", None)), *table.rows[1:])
    made = replace(made, tables=(replace(table, rows=rows),), correlations=())
    out = write(tmp_path, made)
    (copy,) = (out / "runs").glob("*.webp")
    with Image.open(copy) as opened:
        assert opened.format == "WEBP"
        assert opened.size == (SIDE, SIDE // 2)
        assert not opened.getexif()
    images = [a for tag, a in Page((out / f"runs/{rows[0].id}.html").read_text()).tags if tag == "img"]
    assert [(i["src"], i["alt"]) for i in images] == [(copy.name, "Picture of this run: car 1")]
    assert not list((write(tmp_path, made, "none", picture_bytes=100) / "runs").glob("*.webp"))


def test_a_bomb_of_pixels_is_left_out(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert small_copy(tmp_path, "bomb.png") is None
