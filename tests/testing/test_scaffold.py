"""`bench3d.testing.scaffold`: what it writes installs, runs and passes the conformance kit as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench3d.errors import OutputError, UnknownNameError, UsageError
from bench3d.plugins.registry import KINDS
from bench3d.testing.scaffold import new_plugin

CLI = ("-c", "from bench3d.cli.main import run; run()")
PLUGINS = {f"new-{kind}": kind for kind in KINDS}
KIT = """
import sys, tempfile
from pathlib import Path
from bench3d.testing.checks import run_checks, subject_for
for pair in sys.argv[1:]:
    kind, name = pair.split("=")
    for r in run_checks(subject_for(kind, name, tmp=Path(tempfile.mkdtemp(dir=".")))):
        if r.state not in ("passed", "skipped"):
            print(name, r.name, r.state, r.detail, r.hint, r.trace)
"""
TINY = (
    "--synthetic --category car --limit 2 --device cpu --results results --data data --set data.categories=[car] "
    "--set data.train_instances=2 --set data.views=2 --set data.test_images=2 --set data.image_size=64 "
    "--set data.splits=[plain] --set data.pairs=2 --set backbone.grid=8"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind, and a backbone that stands on another one, written and installed as a user would by pip."""
    folder = tmp_path_factory.mktemp("plugins")
    made = [new_plugin(name, kind, out=folder / name) for name, kind in PLUGINS.items()]
    made.append(new_plugin("new-vit", "backbone", source="timm:vit_tiny_patch16_224", out=folder / "vit"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    where = folder / "site"
    done = subprocess.run(
        [*command, "--target", str(where), *(str(m.folder) for m in made)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return where


def go(site: Path, *command: str, cwd: Path) -> str:
    """Standard output of a Python process that sees the installed plugins."""
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=600, check=False, cwd=cwd, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_kind_is_listed_as_installed_from_its_package(site, tmp_path):
    listed = json.loads(go(site, *CLI, "list", "--json", cwd=tmp_path))
    found = {row["name"]: (row["kind"], row["package"]) for row in listed if row["name"] in PLUGINS}
    assert found == {name: (kind, f"bench3d-{name}") for name, kind in PLUGINS.items()}


def test_every_kind_passes_the_kit(site, tmp_path):
    quick = [f"{kind}={name}" for name, kind in PLUGINS.items() if kind != "executor"]
    assert go(site, "-c", KIT, *quick, cwd=tmp_path) == ""


@pytest.mark.slow
def test_the_executor_and_a_named_backbone_pass_the_kit(site, tmp_path):
    assert go(site, "-c", KIT, "executor=new-executor", "backbone=new-vit", cwd=tmp_path) == ""


def test_a_new_task_runs_with_a_new_backbone_and_a_new_logger(site, tmp_path):
    words = f"run --backbone new-backbone --task new-task --log new-logger --json {TINY}".split()
    said = go(site, *CLI, *words, cwd=tmp_path)
    assert "[new-logger] new-backbone-default: finished, found" in said
    (record,) = tmp_path.glob("results/runs/new-task/*/record.json")
    scores = {s["metric"]: s["value"] for s in json.loads(record.read_text())["scores"]}
    assert 0 <= scores["found"] <= 100
    assert "new-backbone-default" in go(site, *CLI, "new-command", "--results", "results", cwd=tmp_path)


@pytest.mark.slow
def test_new_adapter_shape_model_and_data_set_run(site, tmp_path):
    words = f"--adapter new-adapter --task new-task {TINY}".split()
    go(site, *CLI, "run", "--backbone", "hog", *words, cwd=tmp_path)
    words = f"--shape-model new-shape-model --task pascal3d-pose {TINY}".split()
    go(site, *CLI, "run", "--backbone", "hog", *words, cwd=tmp_path)
    size = ["--objects", "1", "--views", "8", "--size", "64"]
    own = ["--data", "data", "--name", "own", "--category", "car"]
    go(site, *CLI, "data", "synth", "new-dataset", *size, *own, cwd=tmp_path)
    data = ["--data", "data/synthetic/own/new-dataset", "--device", "cpu", "--set", "backbone.grid=8"]
    words = ["run", "--backbone", "hog", "--task", "multiview-equivariance", *data]
    go(site, *CLI, *words, cwd=tmp_path)
    assert list(tmp_path.glob("bench3d-results/runs/multiview-equivariance/*/record.json"))


def test_two_files_and_a_short_readme(tmp_path):
    made = new_plugin("my-net", "backbone", out=tmp_path / "net", author='A "B" <a@b.org>')
    assert made.files == ("pyproject.toml", "bench3d_my_net.py", "README.md")
    tables = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = tables.loads((tmp_path / "net" / "pyproject.toml").read_text())["project"]
    assert project["authors"] == [{"name": 'A "B"', "email": "a@b.org"}]
    assert project["entry-points"] == {"bench3d": {"my-net": "bench3d_my_net"}}
    assert [command.split()[0] for command, _ in made.steps] == ["pip", "bench3d", "bench3d", "pip"]
    assert "authors" not in (new_plugin("x1", "backbone", out=tmp_path / "x1").folder / "pyproject.toml").read_text()
    with_tests = new_plugin("my-task", "tasks", out=tmp_path / "task", tests=True)
    assert with_tests.files[-1] == "test_bench3d_my_task.py"


def test_what_is_written_is_neat(tmp_path):
    """In the author's own ruff, with bench3d a third party."""
    pytest.importorskip("ruff")
    for kind in KINDS:
        new_plugin(f"a-{kind}", kind, out=tmp_path / kind)
    ruff = [sys.executable, "-m", "ruff"]
    own = ["--isolated", "--line-length", "120", str(tmp_path)]
    for command in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        done = subprocess.run([*ruff, *command, *own], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My_Net", "For example my-net"),
        ("a--b", "For example a-b"),
        ("", "For example my-backbone"),
        ("../x", "For example x"),
        ("a" * 51, "50 at the most"),
        ("hog", "the package bench3d registers a backbone hog"),
        ("pascal3d-pose", "registers a task pascal3d-pose"),
        ("timm", "family of backbones"),
        ("json", "means something else already"),
        ("none", "means something else already"),
    ],
)
def test_names_that_cannot_be_are_told(tmp_path, name, says):
    with pytest.raises(UsageError, match=says):
        new_plugin(name, "backbone", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_mistakes_are_sentences(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no kind bakbone of plugin\. Did you mean backbone"):
        new_plugin("x1", "bakbone", out=tmp_path / "x")
    with pytest.raises(UsageError, match="--from is for backbones"):
        new_plugin("x1", "task", source="hog", out=tmp_path / "x")
    with pytest.raises(UnknownNameError, match="Did you mean hog"):
        new_plugin("x1", "backbone", source="hogg", out=tmp_path / "x")
    with pytest.raises(UsageError, match="is no author"):
        new_plugin("x1", "backbone", author="A <nowhere>", out=tmp_path / "x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.py").write_text("keep")
    with pytest.raises(OutputError, match="is there already"):
        new_plugin("x1", "backbone", out=tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.py"]
    assert not (tmp_path / "x").exists()
