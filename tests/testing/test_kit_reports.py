"""The kit around the checks: packages that are not installed, reports, child processes, and pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from textwrap import dedent

import pytest

from bench3d.errors import UnknownNameError, UsageError
from bench3d.testing import isolated
from bench3d.testing.isolated import Bench, order_for
from bench3d.testing.packages import make_visible, read_package
from bench3d.testing.report import Outcome, Report, as_json, as_markdown
from bench3d.testing.targets import Target, find

PYPROJECT = """
    [project]
    name = "bench3d-acme"
    version = "2.1"
    [project.entry-points.bench3d]
    acme = "acme_renderers"
"""
MODULE = """
    from bench3d.contracts import RendererRegistration
    from bench3d.plugins import hookimpl

    @hookimpl
    def bench3d_register():
        shared = {"summary": "A renderer", "licence": "MIT", "devices": ("cpu",)}
        return [RendererRegistration(name=f"acme-{n}", factory=f"acme_renderers:{n}", **shared) for n in WHAT]

    WHAT = ("good", "crash", "deaf")

    def good(device):
        from bench3d.plugins import load_registry
        return load_registry().create("renderer", "cpu", device=device)

    def crash(device):
        import os, signal
        os.kill(os.getpid(), signal.SIGSEGV)

    def deaf(device):
        import signal, time
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(1000)
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """The folder of a package with three renderers; nothing of it is installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(dedent(PYPROJECT))
    (folder / "acme_renderers.py").write_text(dedent(MODULE))
    return folder


def test_a_crash_and_a_deaf_hang_are_results(acme, monkeypatch):
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 1.0)
    with Bench(order_for(str(acme), seconds=2.0)) as bench:
        names = [found.name for found in bench.found]
        assert names == ["acme-crash", "acme-deaf", "acme-good"]
        crash, deaf, good = bench.found
        assert (good.distribution, good.version) == ("bench3d-acme", "2.1")
        fell = bench.run(crash, "contract")
        assert fell.state == "failed" and "SIGSEGV" in fell.detail and "acme_renderers.py" in fell.trace
        hung = bench.run(deaf, "contract")
        assert hung.state == "failed" and "was killed" in hung.detail
        assert bench.run(good, "upright").state == "passed"
        assert bench.run(crash, "name").detail == "acme-crash"
        with pytest.raises(UnknownNameError, match="no check upward"):
            bench.require_known(["upward"])
    assert bench._process is None and not bench._tmp.exists()


def test_what_a_user_writes(acme, monkeypatch):
    monkeypatch.chdir(acme.parent)
    assert order_for("./acme").package.points == {"acme": "acme_renderers"}
    assert order_for("acme", kind="renderer").target == Target(kind="renderer", package="bench3d-acme")
    assert order_for("hog").target == Target(name="hog")
    assert order_for("open-clip:ViT-B-32/openai").target.name == "open-clip:ViT-B-32/openai"
    assert order_for("timm:resnet18").target.name == "timm:resnet18"
    assert order_for("acme_renderers:good", kind="renderer").target.thing == "acme_renderers:good"
    assert order_for(None, kind="task").target == Target(kind="task")
    with pytest.raises(UsageError, match="no /nowhere/pyproject"):
        order_for("/nowhere")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[project]\nversion = '1'", "project.name is missing"),
        ("[project]\nname = 'x'", "names no plugin"),
        ("[project]\nname = 'x'\n[project.entry-points.bench3d]\na = 'elsewhere'", "neither beside it nor in src/"),
        ("project = 3", "project is no table"),
        ("[project", "cannot be read"),
    ],
)
def test_packages_that_are_none(tmp_path, text, words):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_package(tmp_path)


def test_a_source_folder_is_seen(acme, tmp_path):
    (acme / "src").mkdir()
    (acme / "acme_renderers.py").rename(acme / "src" / "acme_renderers.py")
    paths = make_visible(read_package(acme), tmp_path / "site")
    assert paths == [str(tmp_path / "site"), str(acme / "src"), str(acme)]
    assert (tmp_path / "site" / "bench3d_acme-2.1.dist-info" / "entry_points.txt").read_text().endswith("renderers\n")


def test_names_packages_and_kinds():
    assert {f.kind for f in find(Target(name="pf-pascal"))} == {"task", "dataset"}
    assert [f.name for f in find(Target(name="pf-pascal", kind="task"))] == ["pf-pascal"]
    assert {f.name for f in find(Target(name="semantic_correspondence"))} == {"pf-pascal", "pf-willow", "spair71k"}
    assert not [f for f in find(Target(kind="backbone")) if f.name.endswith(":")]
    with pytest.raises(UnknownNameError, match="family"):
        find(Target(name="timm:"))
    with pytest.raises(UnknownNameError, match="Did you mean pf-pascal"):
        find(Target(name="pf-pascall"))
    with pytest.raises(UnknownNameError, match="Did you mean backbone"):
        find(Target(name="hog", kind="backbon"))


def two():
    fine = Report("task", "fine", "pkg", "1", "cpu", [Outcome("name", "passed", "fine", 0.25, says="A name.")])
    wrong = Outcome("values", "failed", "a|b <img src=x> [link](http://x)\nsecond", 1.0, hint="Do *this*.", says="V.")
    odd = Report("dataset", "o`dd", "pkg", "1", "cpu", [Outcome("opens", "skipped", "no twin"), wrong])
    return [fine, odd]


def test_markdown_says_what_failed_first_and_takes_nothing_from_a_plugin_as_markup():
    text = as_markdown(two(), {"bench3d": "1"})
    head, _, rest = text.partition("#### What failed")
    assert "1 failed, 1 passed, 1 skipped" in head and "| task `fine` | pkg 1 | cpu | 1 passed | 0.2 |" in head
    failed, _, folded = rest.partition("<details>")
    assert "dataset `o'dd`, **values**: a|b &lt;img src=x&gt; \\[link\\](http://x) second" in failed
    assert "  Next: Do \\*this\\*." in failed
    assert folded.index("| failed | values") < folded.index("| skipped | opens") and "a\\|b" in folded
    assert all(line.count("|") - line.count("\\|") == 6 for line in folded.splitlines() if line.startswith("| failed"))


def test_json_holds_everything():
    read = json.loads(json.dumps(as_json(two())))
    assert read["schema"] == "bench3d.check/1" and read["passed"] is False
    assert [r["passed"] for r in read["reports"]] == [True, False]
    assert read["reports"][1]["outcomes"][1]["hint"] == "Do *this*." and read["versions"]["torch"]


def run_pytest(*arguments, folder):
    """pytest in a folder, with the plugin whether or not the installation names it."""
    named = any(e.value == "bench3d.testing.pytest_plugin" for e in entry_points(group="pytest11"))
    with_plugin = () if named else ("-p", "bench3d.testing.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *with_plugin, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_pytest_has_an_item_for_each_check(acme, tmp_path):
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    done = run_pytest(
        "--bench3d", "acme", "-m", "bench3d", "-k", "(acme-good and upright) or (acme-crash and contract)", "-rA",
        "--bench3d-markdown", "r.md", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "bench3d acme::renderer/acme-good::upright\n" in done.stdout
    assert "It crashed the process (SIGSEGV)." in done.stdout and "pytest_plugin.py" not in done.stdout
    assert "test_own" not in done.stdout and "#### What failed" in (tmp_path / "r.md").read_text()


def test_fixtures_for_tests_of_ones_own(tmp_path):
    (tmp_path / "test_own.py").write_text(
        dedent(
            """
            def test_subject(bench3d_subject):
                from bench3d.testing import run_checks
                (result,) = run_checks(bench3d_subject("executor", "inline"), only=["name"])
                assert result.state == "passed"

            def test_twin(bench3d_twin):
                assert len(bench3d_twin("pf-pascal").pairs("car", "test")) == 4
            """
        )
    )
    done = run_pytest("-q", folder=tmp_path)
    assert "2 passed" in done.stdout, done.stdout + done.stderr  # and no check: no option asks for one
    wrong = run_pytest("--bench3d", "nonesuch", folder=tmp_path)
    assert wrong.returncode == 4 and "There is no plugin named nonesuch." in wrong.stderr


def test_the_pytest_plugin_costs_nothing_while_it_is_not_used():
    code = "import sys, bench3d.testing.pytest_plugin; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pydantic", "rich", "typer"} & set(eval(done.stdout))
    count = "import sys, bench3d.testing.pytest_plugin; print(sum(m.startswith('bench3d') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 3
