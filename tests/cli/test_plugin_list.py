"""`bench3d plugin list` and `trace`."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import typer
from typer.testing import CliRunner

from bench3d.cli import plugin_list
from bench3d.plugins import load_registry, tracing

SOURCE = """
from bench3d.contracts import *
from bench3d.plugins import hookimpl

@hookimpl
def bench3d_register():
    return [BackboneRegistration(name=n, summary="", factory="a:b", api=v) for n, v in {names}]

@hookimpl
def bench3d_compatible(backbone, task):
    return "no acme" if backbone.name == "acme-one" else None
"""


@pytest.fixture
def group(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "0")
    app = typer.Typer()
    plugin_list.register(app)
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def plugins(install, monkeypatch):
    install("acme", SOURCE.format(names="[('acme-one', 1), ('acme-two', 9), ('hog', None)]"))
    install("gone", "import nowhere_at_all")
    install("quiet", "raise SystemExit('imported')")
    monkeypatch.setenv("BENCH3D_PLUGINS", "-quiet,-nobody")


def test_every_plugin_has_a_state_a_reason_and_a_next_step(plugins, group):
    rows = {row["plugin"]: row for row in json.loads(group("list", "--json").stdout)}
    assert rows["hog"]["state"] == "loaded" and rows["hog"]["registers"] == ["backbone hog"]
    assert rows["hog"]["why"] == rows["hog"]["hint"] == "" and rows["hog"]["milliseconds"] > 0
    acme = rows["acme"]
    assert (acme["package"], acme["version"], acme["state"]) == ("acme", "1.0", "loaded")
    assert acme["registers"] == ["backbone acme-one"]
    assert "the backbone acme-two was made for version 9" in acme["why"]
    assert "the backbone hog is bench3d's already." in acme["why"]
    assert "pip install --upgrade bench3d" in acme["hint"] and "BENCH3D_PLUGINS=-acme" in acme["hint"]
    assert rows["gone"]["state"] == "left out" and "Install what it needs (nowhere_at_all)" in rows["gone"]["hint"]
    assert (rows["quiet"]["state"], rows["quiet"]["why"]) == ("excluded", "BENCH3D_PLUGINS leaves it out (-quiet).")


def test_the_table_says_the_same(plugins, group):
    shown = " ".join(group("list").stdout.split())
    for row in map(asdict, plugin_list.rows(load_registry())):
        assert f"{row['plugin']} {row['package']} {row['version']} {row['state']}" in shown
    assert "names nobody, but no installed plugin or package is called that." in shown


def test_trace_shows_what_each_plugin_is_asked_and_leaves_the_output_alone(plugins, group, cli, capfd):
    plain = cli("matrix", "--task", "spair71k", "--json")
    result = group("trace", "matrix", "--task", "spair71k", "--json")
    out, err = capfd.readouterr()
    shown = (result.stdout + out, result.stderr + err)
    assert result.exit_code == 0 and shown[0] == plain.out
    lines = [line.split(maxsplit=4) for line in shown[1].splitlines() if line.startswith("trace ")]
    assert ["import,", "acme"] in [[line[4].split()[0], line[3]] for line in lines]
    asked = [line for line in lines if line[3] == "acme" and line[4].startswith("bench3d_compatible(backbone=acme-one")]
    assert asked and all(line[4].endswith("task=spair71k) -> 'no acme'") for line in asked)
    assert all(float(line[1]) >= 0 for line in lines)
    assert not tracing.is_on()


def test_trace_keeps_the_exit_code(group):
    assert group("trace", "describe", "nothing-of-this-name").exit_code == 2


def test_arguments_are_shown_short():
    assert tracing.short({f"k{i}": i for i in range(20)}).endswith(" ...")
    assert len(tracing.short("x" * 500)) <= 60
    assert tracing.short(load_registry().find("backbone", "hog")) == "hog"
