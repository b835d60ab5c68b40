"""`import bench3d`: light, and everything it promises is there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import bench3d


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_it_loads_nothing_heavy():
    """What it is about, 50 ms, depends on the machine; that nothing but the package itself is loaded does not."""
    loaded = run(
        """
        import sys
        before = set(sys.modules)
        import bench3d
        print(*sorted(m for m in set(sys.modules) - before if m.startswith(("bench3d", "torch", "numpy", "pydantic"))))
        """
    )
    assert loaded.split() == ["bench3d"]


def test_listing_and_describing_load_no_torch():
    assert (
        run(
            """
        import sys, bench3d
        assert "hog" in bench3d.list("backbones", "h*")
        assert bench3d.describe("hog").settings["grid"][0] == 32
        print("torch" in sys.modules or "numpy" in sys.modules)
        """
        )
        == "False\n"
    )


def test_every_promised_name_is_there_and_documented():
    for name in bench3d.__all__:
        value = getattr(bench3d, name)
        assert name.startswith("__") or (value.__doc__ or "").strip(), name
    for name in ("run", "plan", "train", "load_backbone", "results", "wrap", "load_record", "list", "describe"):
        assert ">>>" in getattr(bench3d, name).__doc__, f"{name} shows no example"
    assert set(dir(bench3d)) >= set(bench3d.__all__)


def test_unknown_names_are_errors():
    with pytest.raises(AttributeError, match="has no attribute 'rum'"):
        bench3d.rum  # noqa: B018
    with pytest.raises(bench3d.errors.UnknownNameError, match="hog"):
        bench3d.describe("hogg")
    with pytest.raises(bench3d.errors.UnknownNameError, match="backbone"):
        bench3d.list("backbnes")


@pytest.mark.slow
def test_a_user_s_program_is_type_checked(tmp_path, monkeypatch):
    """The lazy names are typed: mypy sees a mistake, and knows what is returned."""
    api = pytest.importorskip("mypy.api")
    monkeypatch.setenv("MYPYPATH", str(Path(bench3d.__file__).parents[1]))  # it does not find editable installs
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import bench3d
            record = bench3d.run(backbone="hog", task="pf-willow", limit=3)
            score: float = record.scores[0].value
            names: list[str] = bench3d.list("task")
            wrong: int = bench3d.load_record("folder")
            bench3d.run(backbone="hog", task="pf-willow", limt=3)
            """
        )
    )
    report, errors, _ = api.run(["--strict", "--no-incremental", "--follow-imports=silent", str(program)])
    assert errors == ""
    lines = [line.partition("program.py:")[2] for line in report.splitlines() if "error:" in line]
    assert [line.partition(":")[0] for line in lines] == ["6", "7"], report
