"""How checks are run: alone, in time, once for one fault, and without a trace in the process."""

import os
import signal
import sys
import time
from pathlib import Path

import planted_backbones as planted
import pytest
import torch

from bench3d.errors import UnknownNameError
from bench3d.plugins.names import resolve
from bench3d.testing import checks as checks_room
from bench3d.testing.checks import (
    Check,
    CheckFailed,
    Options,
    Skip,
    checks_for,
    run_check,
    run_checks,
    subject_for,
    subject_from,
)
from bench3d.testing.state import changes, restored_state, snapshot, stirred_random

KINDS = ("backbone", "adapter", "shape-model", "dataset", "task", "renderer", "executor", "logger", "command")


def subject(tmp_path, **options):
    return subject_from(planted.registration(), planted.honest, tmp=tmp_path, options=Options(**options))


def run(tmp_path, function, **options):
    return run_check(Check("one", ("backbone",), "It holds.", function), subject(tmp_path, **options))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_checks_of_which_each_says_what_it_guards(kind):
    found = checks_for(kind)
    assert len({check.name for check in found}) == len(found) > 0
    assert all(check.says.endswith(".") and len(check.says) < 130 for check in found)
    known = {check.name for check in found}
    assert all(set(check.needs) <= known for check in found)


def test_no_checks_of_an_unknown_kind():
    with pytest.raises(UnknownNameError, match="backbne") as caught:
        checks_for("backbne")
    assert "backbone" in str(caught.value)


def test_an_exception_ends_its_own_check_and_is_kept(tmp_path):
    def divide(one):
        return 1 / 0

    result = run(tmp_path, divide)
    assert (result.state, result.name) == ("error", "one")
    assert "ZeroDivisionError" in result.detail and "in divide" in result.trace

    def leave(one):
        raise SystemExit(3)

    assert run(tmp_path, leave).state == "error"


def test_a_skip_and_a_failure_are_told_apart(tmp_path):
    def skip(one):
        raise Skip("no GPU")

    def fail(one):
        raise CheckFailed("It is round.", "Make it square.")

    assert run(tmp_path, skip).state == "skipped"
    failed = run(tmp_path, fail)
    assert (failed.state, failed.detail, failed.hint) == ("failed", "It is round.", "Make it square.")


def test_who_hangs_is_interrupted_even_where_everything_is_caught(tmp_path):
    def hang(one):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    before = signal.getsignal(signal.SIGALRM)
    begun = time.monotonic()
    result = run(tmp_path, hang, seconds=0.3)
    assert result.state == "failed" and "0.3 s" in result.detail
    assert time.monotonic() - begun < 5
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_a_check_changes_of_the_process_is_put_back(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH3D_TEST_A", "1")
    here, former = os.getcwd(), snapshot()

    def disturb(one):
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(5)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        os.chdir(tmp_path)
        os.environ["BENCH3D_TEST_A"] = "2"
        os.environ["BENCH3D_TEST_B"] = "3"
        sys.path.append("nowhere")
        return ", ".join(changes(former))

    told = run(tmp_path, disturb).detail
    for part in (
        "default dtype (from torch.float32 to torch.float64)",
        "random state",
        "gradient mode (from True to False)",
        "deterministic algorithms",
        "cudnn.benchmark",
        "the working folder",
        "the environment (BENCH3D_TEST_A, BENCH3D_TEST_B",
        "sys.path",
    ):
        assert part in told
    assert changes(former) == [] and os.getcwd() == here and "BENCH3D_TEST_B" not in os.environ


def test_stirred_generators_differ_and_come_back():
    with restored_state() as former:
        with stirred_random(1):
            first = float(torch.rand(1))
        with stirred_random(2):
            second = float(torch.rand(1))
        assert first != second and changes(former) == []


def test_a_check_whose_ground_has_gone_is_skipped_for_one_cause(tmp_path, monkeypatch):
    def check(name, passes, *needs):
        def function(one):
            if not passes:
                raise CheckFailed(f"{name} is broken.")

        return Check(name, ("backbone",), "It holds.", function, needs)

    chain = [check("a", False), check("b", True, "a"), check("c", True, "b"), check("d", True)]
    monkeypatch.setattr(checks_room, "checks_for", lambda kind: chain)
    states = {r.name: (r.state, r.detail) for r in run_checks(subject(tmp_path))}
    assert states["a"] == ("failed", "a is broken.") and states["d"] == ("passed", "")
    assert states["b"] == states["c"] == ("skipped", "needs a, which did not pass")
    # Alone it runs: what it needs was not found wanting.
    assert [r.state for r in run_checks(subject(tmp_path), ["c"])] == ["passed"]


def test_a_name_of_a_check_that_is_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match="no check pixel-geometri") as caught:
        run_checks(subject(tmp_path), ["pixel-geometri"])
    assert "pixel-geometry" in str(caught.value)


def test_an_excuse_of_the_author_is_shown(tmp_path):
    (result,) = run_checks(subject_for("backbone", "noise", tmp=tmp_path), ["pixel-geometry"])
    assert result.state == "skipped" and result.detail.startswith("the author says: ")


def test_a_network_of_a_notebook_is_checked_as_it_would_be_run(tmp_path):
    from bench3d.api.objects import lend, wrap

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 16, stride=16), torch.nn.BatchNorm2d(8))
    with lend(wrap(net, "mine", random_weights=True)) as (name, settings):
        results = run_checks(subject_for("backbone", name, tmp=tmp_path, options=Options(settings=settings)))
    assert not [(r.name, r.detail) for r in results if r.state in ("failed", "error")]
    assert {"pixel-geometry", "batch", "odd-inputs"} <= {r.name for r in results if r.state == "passed"}


def test_a_package_of_a_third_party_passes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "plugins" / "demo"))
    (registration,) = resolve("bench3d_demo:bench3d_register", "demo")()
    factory = resolve(registration.factory, "demo")
    one = subject_from(registration, factory, tmp=tmp_path, registered=True)
    found = {r.name: r for r in run_checks(one, [c.name for c in checks_for("backbone") if c.name in OWN])}
    assert not [r for r in found.values() if r.state in ("failed", "error")]
    assert found["facts"].detail == "dim 1, patch 16.0"


OWN = {"makes", "contract", "batch", "odd-inputs", "pixel-geometry", "facts", "weights-file", "making-state"}
