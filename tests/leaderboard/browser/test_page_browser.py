"""The site in headless Chromium: no message on the console, no request beyond the folder, the script does its work.

A page of the test's own frames nothing and fetches nothing: it is a copy of the site's page with a second script that
clicks and writes what it finds into the document, which `--dump-dom` prints.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from boards import board

from bench3d.leaderboard.page import write_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PROBE = """
addEventListener("DOMContentLoaded", () => {
  const found = {};
  const names = () => [...document.querySelectorAll("#main-table tbody tr")]
    .filter((row) => row.offsetParent !== null).map((row) => row.cells[0].querySelector("a").textContent);
  const head = [...document.querySelectorAll("#main-table thead th")].find((th) => th.textContent.startsWith("median"));
  found.start = names();
  head.querySelector("button").click();
  found.ascending = [head.getAttribute("aria-sort"), names()];
  head.querySelector("button").click();
  found.descending = [head.getAttribute("aria-sort"), names()];
  head.querySelector("button").click();
  found.again = [head.getAttribute("aria-sort"), names()];
  const filter = document.querySelector("[data-filter]");
  filter.value = "MAE";
  filter.dispatchEvent(new Event("input"));
  found.filtered = [names(), document.querySelector("[role=status]").textContent];
  const theme = document.querySelector("button.theme");
  const paper = () => getComputedStyle(document.body).backgroundColor;
  found.themes = [paper()];
  for (let i = 0; i < 3; i++) { theme.click(); found.themes.push(paper()); }
  found.tooWide = document.documentElement.scrollWidth > innerWidth;
  found.violations = violations;
  document.title = JSON.stringify(found);
});
const violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
"""


def chromium(url: str, tmp_path: Path, *options: str) -> tuple[str, str]:
    """The document after loading, and what Chromium wrote to its log."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
            # Whatever would leave the folder ends at a closed port, and is told of.
            "--proxy-server=http://127.0.0.1:9", "--enable-logging=stderr", "--virtual-time-budget=3000", *options, url,
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "site"
    write_site(board(), out)
    return out


def messages(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("kind", ["index.html", "tables/t-paper.html", "runs/*.html"])
def test_pages_say_nothing_on_the_console_and_are_drawn(kind: str, site: Path, tmp_path: Path) -> None:
    page = next(iter(sorted(site.glob(kind))))
    shot = tmp_path / "shot.png"
    _, log = chromium(page.as_uri(), tmp_path, f"--screenshot={shot}", "--window-size=390,844")
    assert messages(log) == []
    assert shot.stat().st_size > 5000


def test_the_script_sorts_filters_and_changes_the_theme(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    (copy / "probe.js").write_text(PROBE)
    page = copy / "tables/t-paper.html"
    text = page.read_text()
    page.write_text(text.replace("</head>", '<script src="../probe.js"></script></head>'))
    dom, log = chromium(page.as_uri(), tmp_path, "--dump-dom", "--window-size=360,740")
    assert messages(log) == []
    title = re.search(r"<title>(.*?)</title>", dom, re.S)
    assert title is not None
    found = json.loads(title[1].replace("&amp;", "&").replace("&lt;", "<"))
    names = ["dinov2 + common3d", "clip + common3d", "mae + common3d", "untrained + common3d"]
    assert found["start"] == names
    assert found["ascending"] == ["ascending", names], "the lowest error first"
    assert found["descending"] == ["descending", names[::-1]]
    assert found["again"] == ["none", names]
    assert found["filtered"] == [["mae + common3d"], "1 of 4 rows"]
    first, light, dark, automatic = found["themes"]
    assert light == "rgb(255, 255, 255)"
    assert dark == "rgb(20, 23, 28)"
    assert first == automatic
    assert found["tooWide"] is False
    assert found["violations"] == []


def test_the_policy_stops_what_is_not_of_the_folder(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    page = copy / "index.html"
    foreign = "<script>document.title=1</script><img src=http://127.0.0.1:9/x></main>"
    page.write_text(page.read_text().replace("</main>", foreign))
    dom, log = chromium(page.as_uri(), tmp_path, "--dump-dom")
    assert "<title>1</title>" not in dom
    assert len([line for line in messages(log) if "Content Security Policy" in line]) == 2
