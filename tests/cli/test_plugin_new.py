"""`bench3d plugin new` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from bench3d.cli import plugin_new
from bench3d.cli.main import Root, State
from bench3d.cli.output import DebugOption


@pytest.fixture
def new(capfd):
    """Runs the command in the group `plugin`, with the errors of the whole command line."""
    app = typer.Typer(cls=Root, rich_markup_mode=None, pretty_exceptions_enable=False)
    group = typer.Typer(rich_markup_mode=None)
    plugin_new.register(group)
    group.callback()(lambda: None)
    app.add_typer(group, name="plugin")

    @app.callback()
    def root(debug: DebugOption = False) -> None:
        pass

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            app(args=["plugin", "new", *arguments], obj=State())
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
        return code, *capfd.readouterr()

    return call


def test_it_says_what_to_type_next(new):
    code, out, _ = new("my-net", "--kind", "backbone")
    assert code == 0
    assert "Wrote bench3d-my-net: pyproject.toml, bench3d_my_net.py, README.md" in out
    for command in ("pip install -e bench3d-my-net", "bench3d plugin check my-net", "bench3d run --backbone my-net"):
        assert f"    {command}" in out
    assert sorted(p.name for p in Path("bench3d-my-net").iterdir()) == [
        "README.md",
        "bench3d_my_net.py",
        "pyproject.toml",
    ]


def test_a_second_time_is_refused(new):
    assert new("my-net", "--kind", "backbone")[0] == 0
    code, _, err = new("my-net", "--kind", "backbone")
    assert code == 6 and "bench3d-my-net is there already. Choose another folder with --out." in " ".join(err.split())


def test_json(new):
    code, out, _ = new("my-task", "--kind", "task", "--out", "here", "--tests", "--json")
    page = json.loads(out)
    assert code == 0 and page["folder"] == "here" and len(page["files"]) == 4
    assert page["steps"][0]["command"] == "pip install -e here"


def test_a_wrong_kind_is_a_sentence(new):
    code, _, err = new("x1", "--kind", "bakbone")
    assert code == 2 and "Did you mean backbone?" in " ".join(err.split())
