"""BENCH3D_PLUGINS, limits of time, and what is remembered of plugins that hang or crash."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time

import pytest

from bench3d.plugins import load_registry
from bench3d.plugins.points import Point, Selection, in_order, installed
from bench3d.plugins.watch import FIT, Memory, TimedOut, Verdict, memory_file, within

OWN = Point("hog", "m", "bench3d", "1")
POINTS = [OWN, Point("acme_one", "m", "bench3d-acme", "1"), Point("other", "m", "Other.Package", "2")]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("text", "loaded"),
    [
        ("", ["hog", "acme_one", "other"]),
        (" , ", ["hog", "acme_one", "other"]),
        ("acme-one", ["hog", "acme_one"]),
        ("bench3d-*", ["hog", "acme_one"]),
        ("other-package", ["hog", "other"]),
        ("-other", ["hog", "acme_one"]),
        ("*, -OTHER", ["hog", "acme_one"]),
        ("-*", ["hog"]),
        ("-hog", ["acme_one", "other"]),
        ("-bench3d", ["acme_one", "other"]),
        ("nothing", ["hog"]),
    ],
)
def test_the_environment_restricts_what_is_loaded(monkeypatch, text, loaded):
    monkeypatch.setenv("BENCH3D_PLUGINS", text)
    selection = Selection.from_environment()
    assert [p.name for p in POINTS if selection.reason(p) is None] == loaded


def test_a_name_that_nothing_has_is_told_with_the_nearest(monkeypatch):
    monkeypatch.setenv("BENCH3D_PLUGINS", "acme_on,-nobody,other,*")
    near, nobody = Selection.from_environment().unknown(POINTS)
    assert near.endswith("names acme_on, but no installed plugin or package is called that. Did you mean acme_one?")
    assert "names nobody," in nobody and "mean" not in nobody


def test_what_is_left_out_by_the_environment_is_never_imported(install, monkeypatch):
    install("acme", "raise SystemExit('imported')")
    monkeypatch.setenv("BENCH3D_PLUGINS", "-acme,-gone")
    registry = load_registry()
    assert registry.failures == [] and "acme_plugin" not in sys.modules
    assert [(f.plugin, f.state) for f in registry.excluded] == [("acme", "excluded")]
    assert [s for s in registry.sentences() if "gone" in s] == registry.notices


def test_metadata_is_read_as_the_standard_library_reads_it():
    from importlib.metadata import entry_points

    for entry in entry_points(group="bench3d"):
        (point,) = in_order([entry])
        assert (point.distribution, point.version) == (entry.dist.name, entry.dist.version)


def spin():
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


def test_what_hangs_is_interrupted_and_the_alarm_of_others_goes_on():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    left = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        with pytest.raises(TimedOut):
            within(0.1, spin)
        assert within(5, lambda: "done") == "done"
        with pytest.raises(ZeroDivisionError):
            within(5, lambda: 1 / 0)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 900 and not rung
        assert signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *left)


def test_outside_the_main_thread_what_hangs_is_left_behind():
    found = []

    def work():
        for call in (lambda: time.sleep(3), lambda: "done", lambda: 1 / 0):
            try:
                found.append(within(0.2, call))
            except BaseException as error:
                found.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [TimedOut, "done", ZeroDivisionError]


def test_a_verdict_stands_until_any_file_of_the_package_changes(install, tmp_path):
    install("acme", "x = 1")
    (point,) = [p for p in installed() if p.name == "acme"]
    memory = Memory.load()
    assert memory.verdict(point) is None
    hung = Verdict("timed out", "it hung.")
    memory.learn(point, hung)
    memory.save()
    assert Memory.load().verdict(point) == hung
    (tmp_path / "site" / "acme_plugin.py").write_text("x = 22")
    assert Memory.load().verdict(point) is None
    memory.learn(point, FIT)
    memory.save()
    assert Memory.load().verdict(point) == FIT
    memory_file().write_text("{broken")
    assert Memory.load().verdict(point) is None


def test_one_that_passed_and_hangs_later_is_interrupted_left_out_and_remembered(install, tmp_path, monkeypatch):
    flag = tmp_path / "flag"
    install("later", f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.05)")
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "20")
    assert "implements no hook" in load_registry().failures[0].reason  # passed, in a child too: it hurts nobody
    flag.touch()
    sys.modules.pop("later_plugin", None)
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "0.3")
    for seconds in (5, 0.25):  # the second time it is not even tried
        load_registry.cache_clear()
        begun = time.monotonic()
        (failure,) = load_registry().failures
        assert (failure.state, failure.reason) == ("timed out", "its import took more than 0.3 s.")
        assert time.monotonic() - begun < seconds
    assert "doctor" in failure.hint and "BENCH3D_PLUGINS=-later" in failure.hint
    monkeypatch.setenv("_BENCH3D_COMPLETE", "complete_bash")
    install("unseen", "raise RuntimeError('tried')")
    assert [f.plugin for f in load_registry().failures] == ["later"]
