"""The commands that only look: list, describe, matrix, doctor, data; help and errors of all."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BACKBONE = """
from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl

@hookimpl
def bench3d_register():
    return [BackboneRegistration(name="{name}", summary="from {owner}", factory="json:dumps")]
"""
COMMANDS = [
    ["list"], ["describe"], ["matrix"], ["doctor"], ["run"], ["train"], ["predict"], ["data"], ["data", "list"],
    ["data", "describe"], ["data", "check"], ["data", "synth"], ["data", "fetch"], ["data", "prepare"],
    ["data", "align"], ["features"], ["cache"], ["shape"], ["shape", "export"], ["shape", "show"],
    ["cache", "ls"], ["cache", "verify"], ["cache", "gc"], [],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example(cli, command):
    answer = cli(*command, "--help")
    assert answer.code == 0
    assert " ".join(["Example: bench3d", *command]).strip() in " ".join(answer.out.split())


def test_the_help_documents_the_exit_codes_of_all_errors(cli):
    from bench3d import errors

    text = cli("--help").out
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.Bench3DError)]
    for code in {e.exit_code for e in kinds} | {70, 130}:
        assert f" {code} " in text


def test_list_json_is_json_alone_and_filters_by_kind_and_glob(cli, install):
    install("broken", "raise ImportError('gone')")
    install("acme", BACKBONE.format(name="acme-one", owner="acme"))
    answer = cli("list", "backbones", "ACME*", "--json")
    (row,) = json.loads(answer.out)
    assert (row["kind"], row["name"], row["package"]) == ("backbone", "acme-one", "acme")
    assert answer.err.count("\n") == 1 and "broken" in answer.err and "gone" in answer.err
    assert cli("list", "acme*", "--json").out == answer.out
    assert "from acme" in cli("list", "backbone").out


def test_doctor_reports_broken_and_colliding_plugins_and_says_so_by_its_exit_code(cli, install):
    install("broken", "raise ImportError('gone')")
    install("first", BACKBONE.format(name="twice", owner="first"))
    install("second", BACKBONE.format(name="twice", owner="second"))
    answer = cli("doctor", "--json")
    assert answer.code == 5
    problems = [f for f in json.loads(answer.out) if f["part"] == "plugins" and f["state"] == "problem"]
    text = " ".join(f"{f['what']}: {f['detail']}" for f in problems)
    assert "broken (broken): ImportError: gone." in text
    assert "packages first and second" in text
    assert "gone" in cli("doctor").out
    assert "Traceback" in cli("doctor", "--debug").out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["describe", "HOGG"], 2, "Nothing is named HOGG.\nDid you mean hog?"),
        (["list", "backbons"], 2, "There is no kind backbons.\nDid you mean backbones"),
        (["run", "--backbone", "hogg", "--task", "pascal3d-pose"], 2, "no backbone named hogg.\nDid you mean hog?"),
        (["run", "--backbone", "hog", "--task", "x", "--adapter", "comon3d"], 2, "Did you mean common3d?"),
        (["run", "--backbone", "hog", "--task", "x", "--set", "shap.lr=1"], 2, "no scope shap.\nDid you mean shape?"),
        (["train", "--backbone", "hog"], 2, "There is nothing to train."),
        (["data", "check", "pascal3"], 2, "Did you mean pascal3d or pf-pascal?"),
        (["data", "check", "pascal3d", "--data", "/nonexistent"], 3, "pascal3d was not found"),
        (["predict", "x.jpg", "--category", "car", "--backbone", "hog", "--box", "1,2,3"], 2, "not four numbers"),
        (["predict", "x.jpg", "--category", "car", "--backbone", "hog", "--box", "5,2,3,9"], 2, "is empty"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_a_mistake_is_one_sentence_with_the_next_step(cli, arguments, code, sentence):
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert sentence in answer.err
    assert "Traceback" not in answer.err


def test_wrong_options_leave_with_the_same_code(cli):
    assert cli("run", "--bakbone", "hog").code == 2
    assert cli("run", "--backbone", "hog", "--task", "x", "--limit", "0").code == 2
    assert cli("nothing").code == 2


COMMAND = """
from bench3d.contracts import CommandRegistration
from bench3d.errors import DataError
from bench3d.plugins import hookimpl

def hello(name: str, loud: bool = False):
    if name == "nobody":
        raise DataError("Nobody is there.", "Ask somebody.")
    if name == "bug":
        raise RuntimeError("two\\nlines")
    if name == "stop":
        raise KeyboardInterrupt
    print(("HELLO " if loud else "hello ") + name)

@hookimpl
def bench3d_register():
    return [CommandRegistration(name="hello", summary="Greets somebody.", factory="greet_plugin:hello")]
"""


def test_a_plugin_command_is_a_command_like_any_other(cli, install):
    install("greet", COMMAND)
    assert "Greets somebody." in cli("--help").out
    assert cli("hello", "you", "--loud").out == "HELLO you\n"
    assert "--loud" in cli("hello", "--help").out
    assert cli("hello", "you", "--lout").code == 2


def test_exceptions_become_sentences_and_exit_codes(cli, install):
    install("greet", COMMAND)
    missing = cli("hello", "nobody")
    assert (missing.code, missing.err) == (3, "Error: Nobody is there.\nAsk somebody.\n")
    bug = cli("hello", "bug")
    assert bug.code == 70 and "failed unexpectedly (RuntimeError: two lines)" in bug.err
    assert "--debug" in bug.err and "Traceback" not in bug.err
    assert "Traceback" in cli("--debug", "hello", "bug").err
    stopped = cli("hello", "stop")
    assert stopped.code == 130 and "are kept" in stopped.err


def test_a_closed_pipe_is_quiet():
    script = "'{}' -c 'from bench3d.cli.main import run; run()' list --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        script.format(sys.executable),
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and "roken" not in done.stderr


def test_threads_follow_the_affinity_unless_the_user_has_said_so(monkeypatch):
    from bench3d.machine import set_thread_counts

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "")
    monkeypatch.delenv("MKL_NUM_THREADS")
    set_thread_counts()
    assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("7", "3")


def test_data_check_names_what_is_broken(cli, install, tmp_path):
    install("datum", DATASET)
    for folder in ("toy", "synthetic/quickstart/toy"):
        (tmp_path / "root" / folder).mkdir(parents=True)
    answer = cli("data", "check", "toyset", "--data", str(tmp_path / "root"), "--json")
    found = json.loads(answer.out)
    assert answer.code == 3
    assert [c["place"] for c in found["checked"]] == ["official", "twin quickstart"]
    assert found["problems"][0] == {
        "dataset": "toyset", "place": "official", "file": "a.mat", "field": "azimuth", "message": "is not a number.",
        "hint": "Unpack again.", "severity": "error",
    }  # fmt: skip
    shown = cli("data", "check", "toyset", "--data", str(tmp_path / "root")).out
    assert "a.mat" in shown and "azimuth" in shown and "toyset (official): 1 errors, 0 warnings" in shown
    (row,) = [r for r in json.loads(cli("data", "list", "--data", str(tmp_path / "root"), "--json").out)["datasets"]
              if r["name"] == "toyset"]  # fmt: skip
    assert (row["official"], row["twins"]) == (True, ["quickstart"])


DATASET = """
from bench3d.contracts import DatasetRegistration, Problem
from bench3d.plugins import hookimpl

class Toy:
    def __init__(self, root, settings):
        assert root.name == "toy" and root.is_dir()
        self.twin = "synthetic" in root.parts
    def check(self, categories=None):
        if not self.twin:
            yield Problem("a.mat", "is not a number.", field="azimuth", hint="Unpack again.")

@hookimpl
def bench3d_register():
    return [DatasetRegistration(name="toyset", summary="Toys", factory="datum_plugin:Toy", folder="toy")]
"""


def test_a_third_party_package_adds_a_row(tmp_path):
    """tests/plugins/demo, installed as pip installs it, is listed and described from another process."""
    demo = tmp_path / "demo"  # pip builds inside the source folder
    shutil.copytree(Path(__file__).parents[1] / "plugins" / "demo", demo)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    if _can_build():
        subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(demo)], check=True, timeout=120)
    else:  # pip alone cannot build without setuptools: lay out what it would have installed
        site.mkdir()
        shutil.copy(demo / "bench3d_demo.py", site)
        info = site / "bench3d_demo-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench3d-demo\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text("[bench3d]\ndemo = bench3d_demo\n")
    code = "from bench3d.cli.main import run; run()"
    env = {**os.environ, "PYTHONPATH": str(site)}

    def call(*arguments: str) -> object:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--json"], env=env, capture_output=True, check=True
        )
        return json.loads(done.stdout)

    (row,) = call("list", "backbones", "demo*")
    assert (row["name"], row["package"], row["facts"]) == ("demo-grey", "bench3d-demo", "patch 16; no weights")
    assert any(s["key"] == "grid" for s in call("describe", "demo-grey")["settings"])


def _can_build() -> bool:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


def test_a_made_twin_is_found_by_the_run_that_synth_recommends(cli, monkeypatch, tmp_path):
    from bench3d.data import twin
    from bench3d.runner import RunSpec
    from bench3d.runner.resolve import resolve_spec

    made = []
    monkeypatch.setattr(twin, "ensure_twin", lambda root, spec, *rest: made.append((root, spec)))
    for options in (
        [],
        ["--videos", "5", "--seed", "2"],
        ["--preset", "full"],
        ["--category", "tv,bus", "--size", "64"],
    ):
        shown = cli("data", "synth", *options, "--data", str(tmp_path)).out
        words = shown[shown.index("--synthetic") :].split()
        assert words[:3] == ["--synthetic", "--data", str(tmp_path)]
        given = dict(w.removeprefix("data.").split("=") for w in words if w.startswith("data."))
        categories = words[words.index("--category") + 1].split(",") if "--category" in words else ()
        spec = RunSpec(
            backbone="hog", task="pascal3d-pose", shape_model="common3d", synthetic=True, data=tmp_path,
            settings={"data": given}, categories=tuple(categories),
        )  # fmt: skip
        source = resolve_spec(spec).test
        assert (source.root, source.twin) == made[-1]


def test_types_are_written_for_people():
    from typing import Annotated, Literal

    from bench3d.cli.catalog import type_name

    types = (int | None, Literal["on", "off"], tuple[Annotated[float, "positive"], ...], bool)
    assert [type_name(t) for t in types] == ["int or none", "on | off", "list of float", "bool"]
