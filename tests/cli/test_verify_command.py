"""`bench3d leaderboard verify`: verdicts, exit codes, what is written and what is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "leaderboard"))
from verifiable import copy_of, make_run, rewrite


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("verify")


@pytest.fixture(scope="module")
def run(root):
    return make_run(root)


@pytest.fixture
def ask(cli, root):
    def call(record, *more):
        where = ("--results", str(root / "results"), "--data", str(root / "data"), "--device", "cpu")
        return cli("leaderboard", "verify", str(record), *where, *more)

    return call


def test_a_confirmed_record_shows_then_and_now_and_leaves_a_verification_when_asked(run, ask, tmp_path):
    folder = copy_of(run, tmp_path / "copy")
    answer = ask(folder / "record.json", "--sample", "all", "--seed", "4")
    assert answer.code == 0 and "confirmed: 24 of 24 samples computed again: every value agrees." in answer.out
    assert "PCK@0.1" in answer.out and "100.00%" in answer.out and "--seed 4" in answer.out
    assert "Computing 24 of 24 samples again" in answer.err
    assert not (folder / "verification.json").exists()
    assert ask(folder, "--sample", "3", "--write").code == 0
    assert json.loads((folder / "verification.json").read_text())["kind"] == "sample-verified"


def test_an_identity_is_found_in_the_results_folder(run, ask):
    digits = run.name.rpartition("-")[2]
    answer = ask(digits[:8], "--sample", "2", "--json")
    found = json.loads(answer.out)
    assert answer.code == 0 and found["verdict"] == "confirmed" and found["samples"] == 2
    assert found["identity"].startswith(digits) and found["verification"]["schema"] == "bench3d.verification/1"


def test_a_record_that_differs_names_its_samples_and_earns_nothing(run, ask, tmp_path):
    folder = copy_of(run, tmp_path / "copy")

    def change(values):
        for value in values[:5]:
            value["parts"]["relative"] = [0.0 for _ in value["parts"]["relative"]]

    rewrite(folder, change)
    name = json.loads((folder / "samples.jsonl").read_text().partition("\n")[0])["id"]
    answer = ask(folder, "--sample", "all", "--write")
    assert answer.code == 1 and "differs: " in answer.out and name[:30] in answer.out
    assert not (folder / "verification.json").exists()


def test_other_data_and_wrong_options_are_sentences(run, ask):
    answer = ask(run, "--set", "data.seed=9")
    assert answer.code == 3 and "cannot be verified: " in answer.out and "dataset.fingerprints." in answer.out
    assert json.loads(ask(run, "--set", "data.seed=9", "--json").out)["verdict"] == "cannot be verified"
    assert ask(run, "--sample", "many").code == 2
    assert ask("0123456789ab").code == 2
    help_text = ask(run, "--help").out
    assert "Example: bench3d leaderboard verify" in help_text
