"""What `--log` and BENCH3D_LOG mean, and what a logger's failure does."""

import logging
import os

import pytest

from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins.logs import Logger, ask_for, log_target

PLUGIN = """
from bench3d.contracts import LoggerRegistration
from bench3d.plugins import hookimpl

MADE, HEARD, FAULT = [], [], []

class Writer:
    def __init__(self, target):
        MADE.append(target)
    def run_started(self, plan):
        if FAULT:
            raise ValueError("no   paper\\nleft")
        HEARD.append(plan)

@hookimpl
def bench3d_register():
    me, about = "paper_plugin", {"summary": "", "factory": "paper_plugin:Writer"}
    return [
        LoggerRegistration(name="paper", target="DIR", default="pile", folder=True, **about),
        LoggerRegistration(name="slate", target="PLACE", **about),
        LoggerRegistration(name="voice", **about),
        LoggerRegistration(name="stone", extras=("no_such_chisel",), install="pip install chisel", **about),
    ]
"""


@pytest.fixture
def paper(install, monkeypatch):
    install("paper", PLUGIN)
    monkeypatch.setenv("BENCH3D_LOG", "")
    import paper_plugin

    return paper_plugin


def test_loggers_are_asked_for_by_option_and_by_variable(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ask_for() == {} and os.environ["BENCH3D_LOG"] == ""
    monkeypatch.setenv("BENCH3D_LOG", "paper, slate:wall")
    assert log_target("voice") is None and log_target("paper") == "" and log_target("slate") == "wall"
    asked = ask_for(["voice", "slate:rock:7"])
    assert asked == {"paper": str(tmp_path / "pile"), "slate": "rock:7", "voice": ""}
    monkeypatch.chdir("/")  # what a child process in another folder makes of it
    assert ask_for() == asked
    assert {name: log_target(name) for name in asked} == asked


@pytest.mark.parametrize(
    ("value", "error", "sentence"),
    [
        ("papr:x", UnknownNameError, "There is no logger named papr. Did you mean paper?"),
        ("paper:", UsageError, "'paper:' is no logger. Write NAME or NAME:TARGET, for example csv:DIR."),
        (":x", UsageError, "':x' is no logger"),
        ("slate", UsageError, "The logger slate needs a target. Write slate:PLACE."),
        ("voice:x", UsageError, "The logger voice takes no target"),
        ("paper:a,slate:b", UsageError, "Give --log once for each logger"),
        ("stone", UsageError, "needs no_such_chisel, not installed here. Install with: pip install chisel"),
    ],
)
def test_a_wrong_value_is_a_sentence_and_changes_nothing(paper, value, error, sentence):
    with pytest.raises(error) as caught:
        ask_for([value])
    assert sentence in str(caught.value)
    assert os.environ["BENCH3D_LOG"] == ""


def test_a_wrong_variable_is_said_once_and_the_rest_of_it_counts(paper, monkeypatch, caplog):
    monkeypatch.setenv("BENCH3D_LOG", "papr:x,slate:wall")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert log_target("paper") is None and log_target("slate") == "wall"
    assert [r.getMessage() for r in caplog.records] == [
        "In BENCH3D_LOG: There is no logger named papr. Did you mean paper?"
    ]


def test_a_logger_is_made_when_it_is_asked_for_and_off_after_a_failure(paper, tmp_path, monkeypatch, caplog):
    logger = Logger("paper")
    logger.tell("run_started", plan="one")
    assert paper.MADE == []
    monkeypatch.setenv("BENCH3D_LOG", f"paper:{tmp_path}")
    for plan in ("two", "three"):
        logger.tell("run_started", plan=plan)
    assert [str(tmp_path)] == paper.MADE and paper.HEARD == ["two", "three"]
    paper.FAULT.append(1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            logger.tell("run_started", plan="four")
    assert [r.getMessage() for r in caplog.records] == [
        "The logger paper writes nothing more in this process: ValueError: no paper left"
    ]
    paper.FAULT.clear()
    logger.tell("run_started", plan="five")
    assert paper.HEARD == ["two", "three"] and [str(tmp_path)] == paper.MADE
