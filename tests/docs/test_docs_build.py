"""The site builds without a warning, has a page for everything registered, and needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from blocks import DOCS, TOP

from bench3d.plugins import load_registry
from bench3d.plugins.registry import KINDS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="pip install 'bench3d[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-E",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        out.parent / "trees",
    ]
    done = subprocess.run([*command, DOCS, out], cwd=out.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    return out


class Links(HTMLParser):
    """Links, ids and what a page loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.ids |= {found[k] for k in ("id", "name") if k in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe", "source", "video") and "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and "stylesheet" in found.get("rel", ""):
            self.loads.append(found["href"])


def test_links_lead_somewhere_and_nothing_is_loaded_from_the_network(site: Path) -> None:
    read = {p.resolve(): Links(p) for p in site.rglob("*.html")}
    assert len(read) > 40
    lost = []
    for page, found in read.items():
        assert not [u for u in found.loads if urlsplit(u).netloc], page
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            known = read[target].ids if target in read else set()
            if not target.exists() or (parts.fragment and target in read and unquote(parts.fragment) not in known):
                lost.append(f"{page.relative_to(site.resolve())}: {link}")
    assert not lost, "\n".join(lost)
    styles = "".join(p.read_text(encoding="utf-8", errors="ignore") for p in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*['\"]?https?:", styles)


def test_search_works_without_a_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith(
        "Search.setIndex("
    )  # a script, loaded by a tag: no request that a browser blocks on file://
    assert "spair71k" in index and "bench3d_data" in index


def test_everything_registered_has_its_page(site: Path) -> None:
    registry = load_registry()
    own = [r for r in registry.registrations("task") if registry.distribution(r) == "bench3d"]
    for task in own:
        assert (site / "tasks" / f"{task.name}.html").is_file(), f"docs/tasks/{task.name}.md is missing"
        text = (site / "tasks" / f"{task.name}.html").read_text(encoding="utf-8")
        for word in (*(p.name for p in task.protocols), "Traps", "Reported numbers"):
            assert word in text, (task.name, word)
    for kind in KINDS:
        text = (site / "contracts" / f"{kind}.html").read_text(encoding="utf-8")
        assert "quiet-import" in text or kind == "command" or "What the kit checks" in text, kind


def test_every_hook_and_environment_variable_is_documented() -> None:
    from bench3d.plugins import hooks

    page = (DOCS / "contracts" / "hooks.md").read_text(encoding="utf-8")
    assert "<!-- bench3d: hooks -->" in page and hooks.__doc__
    told = set(re.findall(r"_?BENCH3D_[A-Z_]+", (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")))
    sources = [p for room in ("bench3d", "plugins") for p in (TOP / room).rglob("*.py")]
    used = {
        name for p in sources for name in re.findall(r"[\"'](_?BENCH3D_[A-Z_]+)[\"']", p.read_text(encoding="utf-8"))
    }
    assert used - told == set()
    assert told - used <= {"BENCH3D_REAL_SAMPLES"}
