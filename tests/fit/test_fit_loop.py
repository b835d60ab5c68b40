from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_trainable import PLAN, Toy

from bench3d.contracts import Progress
from bench3d.errors import Bench3DError, UsageError, WeightsError
from bench3d.fit.loop import STATE_FILE, train


def test_a_killed_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    straight = train(Toy([0.1, 0.3, 0.3]), PLAN, tmp_path / "straight")
    script = Path(__file__).with_name("toy_trainable.py")
    killed = subprocess.run([sys.executable, str(script), str(tmp_path / "killed"), "17"], check=False)
    assert killed.returncode == -signal.SIGKILL
    toy = Toy([0.1, 0.3, 0.3])
    resumed = train(toy, PLAN, tmp_path / "killed")
    assert toy.steps[0] == 14  # the last checkpoint before iteration 17, every 7
    assert torch.equal(resumed.last["weight"], straight.last["weight"])
    assert resumed.history == straight.history
    assert (resumed.best_score, resumed.best_iteration) == (0.3, 30)
    assert not list((tmp_path / "killed").glob(".*"))


@pytest.mark.parametrize(("scores", "best"), [([0.5, 0.5, 0.2], 20), ([0.9, 0.1, 0.2], 10), ([0.1, 0.2, 0.3], 30)])
def test_best_is_kept_and_the_later_of_equals_wins(tmp_path: Path, scores: list[float], best: int) -> None:
    result = train(Toy(scores), PLAN, tmp_path)
    reference = train(Toy(), replace(PLAN, iterations=best, evaluate_every=None), tmp_path / "reference")
    assert result.best_iteration == best
    assert torch.equal(result.best["weight"], reference.last["weight"])


def test_without_evaluations_the_last_is_the_best(tmp_path: Path) -> None:
    result = train(Toy(), replace(PLAN, evaluate_every=None), tmp_path)
    assert result.best_score is None
    assert torch.equal(result.best["weight"], result.last["weight"])
    assert [entry["iteration"] for entry in result.history] == [4, 8, 12, 16, 20, 24, 28, 30]


def test_interrupt_ends_the_iteration_and_leaves_a_state(tmp_path: Path) -> None:
    class Interrupted(Toy):
        def step(self, iteration: int) -> dict[str, float]:
            if iteration == 11:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step(iteration)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(), replace(PLAN, checkpoint_every=None), tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    toy = Toy()
    resumed = train(toy, PLAN, tmp_path)
    assert toy.steps[0] == 12
    assert torch.equal(resumed.last["weight"], train(Toy(), PLAN, tmp_path / "other").last["weight"])


def test_a_loss_that_is_not_finite_is_named_and_leaves_the_last_good_state(tmp_path: Path) -> None:
    class Broken(Toy):
        def step(self, iteration: int) -> dict[str, float]:
            losses = super().step(iteration)
            return {**losses, "app": float("nan") if iteration == 9 else 1.0}

    with pytest.raises(Bench3DError, match="toy: the loss 'app' became nan at iteration 10"):
        train(Broken(), PLAN, tmp_path)
    toy = Toy()
    train(toy, PLAN, tmp_path)
    assert toy.steps[0] == 7


def test_progress_tells_losses_and_what_was_done_before(tmp_path: Path) -> None:
    class Recorder(Progress):
        def __init__(self) -> None:
            self.calls: list[tuple] = []

        def start(self, name: str, total: int | None) -> None:
            self.calls.append(("start", name, total))

        def advance(self, steps: int = 1, **values: float) -> None:
            self.calls.append((steps, sorted(values)))

        def finish(self) -> None:
            self.calls.append(("finish",))

    plan = replace(PLAN, iterations=8, evaluate_every=None, checkpoint_every=None)
    train(Toy(), replace(plan, iterations=5), tmp_path)
    recorder = Recorder()
    train(Toy(), plan, tmp_path, recorder)
    assert recorder.calls == [("start", "toy", 8), (5, []), *[(1, ["square"])] * 3, ("finish",)]


def test_reports_are_the_history_as_it_comes_and_a_resumed_training_goes_on_with_them(tmp_path: Path) -> None:
    class Recorder(Progress):
        def __init__(self) -> None:
            self.reports: list[dict[str, float]] = []

        def report(self, step: int, values: Mapping[str, float]) -> None:
            self.reports.append({"iteration": step, **values})

    first, second = Recorder(), Recorder()
    train(Toy([0.5, 0.25, 0.75]), replace(PLAN, iterations=10, checkpoint_every=None), tmp_path, first)
    result = train(Toy([0.5, 0.25, 0.75]), PLAN, tmp_path, second)
    steps = [4, 8, 10, 10, 12, 16, 20, 20, 24, 28, 30, 30]
    assert [report["iteration"] for report in first.reports + second.reports] == steps
    assert first.reports + second.reports == result.history
    assert [report["score"] for report in result.history if "score" in report] == [0.5, 0.25, 0.75]


def test_states_of_another_fit_and_broken_ones_are_refused(tmp_path: Path) -> None:
    train(Toy(), PLAN, tmp_path)
    with pytest.raises(UsageError, match="belongs to another fit"):
        train(Toy(), replace(PLAN, recipe="other"), tmp_path)
    path = tmp_path / STATE_FILE
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match=STATE_FILE):
        train(Toy(), PLAN, tmp_path)
    assert train(Toy(), PLAN, tmp_path, resume=False).history
