"""`bench3d data align`: help, wrong options, the import of a published alignment, and what a user is told."""

from __future__ import annotations

import json

import pytest
import torch

from bench3d.cli import data_align
from bench3d.cli.output import console


def test_help_names_what_it_does(cli):
    answer = cli("data", "align", "--help")
    assert answer.code == 0 and "align" in cli("data", "--help").out
    for word in ("--reference", "--labels", "--import", "--workers", "--synthetic", "--seed", "--json", "Example:"):
        assert word in answer.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "shape.iterations=3"], "no settings of the scope shape"),
        (["--set", "align.max_frame=3"], "max_frames"),
        (["--set", "align.seed"], "not of the form"),
        (["--variant", "x"], "--import"),
        (["--labels", "none.yaml"], "no label file none.yaml"),
        ([], "was not found"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(cli, tmp_path, options, words):
    answer = cli("data", "align", "co3d", "--backbone", "hog", "--data", str(tmp_path), *options)
    assert answer.code in (2, 3) and words in answer.err and "Traceback" not in answer.err


def test_published_files_become_a_table_and_labels(cli, tmp_path):
    place = tmp_path / "clone" / "data" / "co3d" / "aligned_N_alpha500_dinov2s" / "r0" / "meta_mask" / "meta"
    (place / "car" / "1_2").mkdir(parents=True)
    torch.save(torch.eye(4), place / "car" / "1_2" / "tform_obj.pt")
    out = tmp_path / "table.json"
    answer = cli("data", "align", "co3d", "--import", str(tmp_path / "clone"), "--out", str(out))
    assert answer.code == 0 and f"--set data.alignment={out} --set data.reference=r0" in answer.out
    assert json.loads(out.read_text())["r0"]["car"]["1_2"][0] == [1.0, 0.0, 0.0, 0.0]
    nothing = cli("data", "align", "co3d", "--import", str(tmp_path / "none"))
    assert nothing.code == 3 and "no folder" in nothing.err


def test_without_a_label_the_user_is_told_what_to_write(capsys):
    one = {"category": "car", "reference": "1_2", "aligned": 2, "skipped": {"empty masks": 1}, "score": -0.1}
    one |= {"spread": 5.0, "doubtful": 0.5, "seconds_per_sequence": 2.0, "within_30_degrees": 1.0, "errors": {}}
    one |= {"left_out": {"3_4": "empty masks."}, "picture": "car.png", "key": None}
    found = {"table": "t.json", "report": "t.report.json", "categories": [one], "unlabelled": {"car": ["1_2"]}}
    data_align._print(found, console())
    shown = capsys.readouterr().out
    for words in ("100 %", "left out 3_4: empty masks", "one constant rotation", '"1_2": {left: [x, y, z]', "t.json"):
        assert words in shown.replace("\n", " ")
