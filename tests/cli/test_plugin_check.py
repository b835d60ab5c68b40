"""`bench3d plugin check`: names, folders, objects, reports and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

GOOD = """
    from bench3d.contracts import ExecutorRegistration
    from bench3d.plugins import hookimpl

    @hookimpl
    def bench3d_register():
        return [ExecutorRegistration(name="acme", summary="One after another", factory="acme:create", licence="MIT")]

    def create(settings):
        from bench3d.plugins import load_registry
        return load_registry().create("executor", "inline", settings=None)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package(source) writes a plugin package that is not installed, and stands beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(source: str):
        folder = tmp_path / "package"
        folder.mkdir()
        entry = '[project]\nname = "bench3d-acme"\nversion = "0.3"\n[project.entry-points.bench3d]\nacme = "acme"\n'
        (folder / "pyproject.toml").write_text(entry)
        (folder / "acme.py").write_text(dedent(source))
        monkeypatch.chdir(folder)
        return folder

    return write


def test_a_folder_from_within(cli, package):
    package(GOOD)
    done = cli("plugin", "check", "--markdown", "report.md")
    assert done.code == 0, done.out + done.err
    assert "executor acme  bench3d-acme 0.3, cpu" in done.out
    assert ["passed", "order", "4", "jobs"] in [line.split()[:4] for line in done.out.splitlines()]
    assert "Written: report.md" in done.out and "checking executor acme" in done.err
    text = Path("report.md").read_text(encoding="utf-8")
    assert text.startswith("### ✅ bench3d plugin check: ") and "| executor `acme` | bench3d-acme 0.3 | cpu |" in text


def test_what_fails_comes_first_with_the_next_step(cli, package):
    folder = package(GOOD.replace(', licence="MIT"', ""))
    done = cli("plugin", "check", str(folder), "--only", "name", "--only", "metadata")
    assert done.code == 5
    lines = done.out.splitlines()
    assert lines[1].startswith("failed") and "There is no licence." in lines[1] and "Set licence=" in done.out
    assert lines[-1] == "1 failed, 1 passed."
    read = cli("plugin", "check", ".", "--only", "metadata", "--json")
    assert read.code == 5 and json.loads(read.out)["reports"][0]["outcomes"][0]["state"] == "failed"


def test_a_plugin_that_does_not_load_is_a_result(cli, package):
    package("import no_such_module_anywhere")
    done = cli("plugin", "check", ".")
    assert done.code == 5 and "no_such_module_anywhere" in done.out and "loads" in done.out


def test_an_object(cli, package):
    package(GOOD)
    done = cli(
        "plugin", "check", "acme:create", "--kind", "executor", "--only", "order", "--only", "metadata", "--json"
    )
    states = {o["name"]: o["state"] for o in json.loads(done.out)["reports"][0]["outcomes"]}
    assert done.code == 0 and states == {"metadata": "skipped", "order": "passed"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Nothing to check was named."),
        (("hog", "--all"), "A name and --all were given."),
        (("hogg",), "Did you mean hog"),
        (("timm:",), "family"),
        (("hog", "--only", "nam"), "Did you mean name"),
        (("./nowhere",), "There is no nowhere/pyproject.toml."),
        (("hog", "--device", "tpu"), "Use cpu or cuda."),
    ],
)
def test_mistakes_are_sentences(cli, arguments, words):
    done = cli("plugin", "check", *arguments)
    assert done.code == 2 and words in done.err and "Traceback" not in done.err


def test_several_things_are_a_line_each(cli):
    done = cli("plugin", "check", "pf-pascal", "--only", "name")
    assert done.code == 0
    assert [line.split("  ")[0] for line in done.out.splitlines()] == [
        "task pf-pascal", "dataset pf-pascal", "2 passed, of 2 things.",
    ]  # fmt: skip


def test_help_has_an_example(cli):
    done = cli("plugin", "check", "--help")
    assert done.code == 0 and "bench3d plugin check ./my-plugin --markdown report.md" in done.out
