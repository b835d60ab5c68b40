"""Observers: in order, with copies, and none that hangs or raises holds a run up."""

from __future__ import annotations

import logging
import sys
import time

import pytest

from bench3d.plugins import load_registry
from bench3d.plugins.registry import Registry

SOURCE = """
import threading, time
from bench3d.plugins import hookimpl
seen = []
threads = set()

@hookimpl
def bench3d_run_started(plan): seen.append(("started", plan))

@hookimpl
def bench3d_sample_done(values):
    {body}
    threads.add(threading.current_thread().name)
    seen.append(values)

@hookimpl
def bench3d_run_finished(record):
    {end}
    seen.append(("finished", record))
"""


@pytest.fixture
def observers(install, monkeypatch, caplog):
    """observers(name=(body of sample_done, body of run_finished)) -> the registry with only these plugins."""
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "0")
    monkeypatch.setenv("BENCH3D_OBSERVER_SECONDS", "0.3")
    monkeypatch.setattr(logging.getLogger("bench3d"), "propagate", True)
    caplog.set_level(logging.WARNING, "bench3d")

    def make(**bodies: tuple[str, str]) -> Registry:
        for name, (body, end) in bodies.items():
            install(name, SOURCE.format(body=body, end=end))
        registry = load_registry()
        registry.plugins = [p for p in registry.plugins if p.distribution in bodies]
        return registry

    return make


def seen(name):
    return sys.modules[f"{name}_plugin"].seen


def run(registry, count=3):
    registry.notify("bench3d_run_started", plan="p")
    for i in range(count):
        registry.notify("bench3d_sample_done", values={"id": i, "more": {"list": [i]}})
    registry.notify("bench3d_run_finished", record="r")


def test_calls_come_in_order_in_one_thread_and_the_end_waits_for_them(observers):
    registry = observers(slow=("time.sleep(0.002)", "time.sleep(0.1)"))
    run(registry, 50)
    assert seen("slow") == [("started", "p"), *({"id": i, "more": {"list": [i]}} for i in range(50)), ("finished", "r")]
    assert sys.modules["slow_plugin"].threads == {"bench3d-observer-slow"}


def test_what_an_observer_changes_nobody_else_sees(observers):
    registry = observers(
        first=("values['more']['list'].append('spoilt'); values.clear()", "pass"), second=("pass", "pass")
    )
    values = {"id": 1, "more": {"list": [1]}}
    registry.notify("bench3d_sample_done", values=values)
    values["id"] = "changed later"
    registry.notify("bench3d_run_finished", record=None)
    assert values["more"] == {"list": [1]}
    assert seen("second")[0] == {"id": 1, "more": {"list": [1]}}


def test_one_that_hangs_is_given_up_once_and_the_others_are_told_everything(observers, caplog):
    registry = observers(hangs=("time.sleep(60)", "pass"), well=("pass", "pass"))
    begun = time.monotonic()
    run(registry)
    run(registry)
    assert time.monotonic() - begun < 5
    assert caplog.text.count("Plugin hangs took more than 0.3 s in bench3d_sample_done") == 1
    assert len(seen("well")) == 10 and seen("hangs") == [("started", "p")]


def test_one_that_hangs_at_the_end_is_not_waited_for(observers, caplog):
    registry = observers(hangs=("pass", "time.sleep(60)"))
    begun = time.monotonic()
    run(registry)
    assert time.monotonic() - begun < 5
    assert "Plugin hangs took more than 0.3 s in bench3d_run_finished: it is not told anything more" in caplog.text


def test_an_error_is_logged_once_per_kind_and_ends_nothing(observers, caplog):
    body = "raise (ValueError if values['id'] % 2 else SystemExit)('boom')"
    registry = observers(bad=(body, "pass"))
    run(registry, 20)
    assert caplog.text.count("Plugin bad failed in bench3d_sample_done: ValueError: boom") == 1
    assert caplog.text.count("Plugin bad failed in bench3d_sample_done: SystemExit: boom") == 1
    assert seen("bad") == [("started", "p"), ("finished", "r")]


def test_telling_costs_microseconds(observers):
    """The bounds are ten times what a quiet machine needs (0.3 and 5 microseconds)."""

    def cost(registry, count=5000):
        values = {f"key{i}": float(i) for i in range(12)} | {"list": [1, 2, 3]}
        best = 1.0
        for _ in range(3):
            begun = time.perf_counter()
            for _ in range(count):
                registry.notify("bench3d_sample_done", values=values)
            best = min(best, (time.perf_counter() - begun) / count)
        return best

    assert cost(Registry()) < 5e-6
    registry = observers(counts=("pass", "pass"))
    assert cost(registry) < 100e-6
    registry.notify("bench3d_run_finished", record=None)
    assert len(seen("counts")) == 15001
