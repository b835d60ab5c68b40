"""The commands of the tutorial and of the page on Python, run in order in a fresh folder and environment."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from blocks import DOCS, TOP, Block, Step, blocks, missing, steps

SLOWER = 600
ENTRY = 'from bench3d.cli.main import run\nif __name__ == "__main__":\n    run()'
PIP = """import sys
from importlib.metadata import version
from pip._internal.cli.main import main
if sys.argv[1] == "install" and int(version("setuptools").split(".")[0]) >= 77:
    sys.argv[2:2] = ["--no-build-isolation", "--no-deps", "--no-index"]  # all that it needs is here
sys.exit(main())"""
SENTINEL = "\x1eend of a command "


def tutorial() -> list[Step]:
    """What the tutorial says to type, but for installing bench3d and what needs a network."""
    return [s for b in blocks(DOCS / "tutorial.md") if b.language == "console" and not b.words for s in steps(b)]


def core() -> list[Step]:
    """The part that leads from a new plugin to a row of a leaderboard, with one floor instead of three."""
    every, left_out = tutorial(), ("tiny --backbone noise", "tiny --backbone rgb", "bench3d results diff")
    last = next(i for i, s in enumerate(every) if s.command.startswith("bench3d leaderboard build"))
    chosen: list[Step] = []
    for step in every[: last + 1]:
        again = step.command in [s.command for s in chosen]
        if not again and not step.command.startswith(left_out):
            chosen.append(step)
    return [replace(s, shown=()) if s.command == "bench3d results show" else s for s in chosen]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[list[Step]], None]:
    """Runs commands in one bash in a fresh folder, with a virtual environment that sees what is installed here."""
    venv, home, work = tmp_path / "venv", tmp_path / "home", tmp_path / "work"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next((venv / "lib").glob("python*/site-packages"))
    parents = [p for p in sys.path if p.endswith("site-packages")]
    lines = "".join(f"import site; site.addsitedir({p!r})\n" for p in parents)
    (site / "outer.pth").write_text(lines)
    for name, code in (
        ("bench3d", ENTRY),
        ("pip", PIP),
    ):
        script = venv / "bin" / name
        script.write_text(f"#!{venv}/bin/python\n{code}\n")
        script.chmod(0o755)
    for folder in (home, work):
        folder.mkdir()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("BENCH3D_", "PYTHON", "PYTEST", "COV_"))},
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(Path.home() / ".cache" / "bench3d" / "kernels")),
        "COLUMNS": "200",
        "HF_HUB_OFFLINE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")},
    }

    def run(todo: list[Step]) -> None:
        script = "".join(f'{s.command}\necho "{SENTINEL}$?"\n' for s in todo)
        done = subprocess.run(
            ["bash"], input=script, cwd=work, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SLOWER, check=False,
        )  # fmt: skip
        outputs = done.stdout.split(SENTINEL)
        assert len(outputs) == len(todo) + 1, done.stdout[-3000:]
        for step, output, after in zip(todo, outputs, outputs[1:], strict=False):
            where = f"docs/tutorial.md, line {step.line}: $ {step.command}\n{output[-3000:]}"
            assert after.partition("\n")[0] == "0", where
            assert not missing(step.shown, output), f"{missing(step.shown, output)} is not in the output of\n{where}"

    return run


@pytest.mark.timeout(SLOWER)
def test_core_of_the_tutorial(shell: Callable[[list[Step]], None]) -> None:
    shell(core())


@pytest.mark.slow
def test_whole_tutorial(shell: Callable[[list[Step]], None]) -> None:
    shell(tutorial())


def test_ci_installs_as_the_tutorial_says() -> None:
    (install,) = [b for b in blocks(DOCS / "tutorial.md") if "install" in b.words]
    assert [s.command for s in steps(install)] == ["python3 -m venv .venv", ". .venv/bin/activate", "pip install ."]
    ci = (TOP / ".ci" / "run").read_text()
    assert "python3 -m venv" in ci and '/pip" install' in ci


def session(found: list[Block]) -> str:
    """One interactive session of several blocks."""
    return "\n".join(b.body for b in found if b.language == "pycon")


def test_page_on_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BENCH3D_CACHE", str(tmp_path / "cache"))
    test = doctest.DocTestParser().get_doctest(session(blocks(DOCS / "python.md")), {}, "python.md", "python.md", 0)
    assert len(test.examples) > 15
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert results.failed == 0, "".join(said)
