"""Loading plugins: broken, colliding and well-behaved ones side by side."""

from __future__ import annotations

import logging
import sys

import pytest

from bench3d.contracts import BackboneRegistration, Protocol, ShapeModelRegistration, TaskRegistration
from bench3d.errors import PluginError, UnknownNameError, UsageError
from bench3d.plugins import incompatibilities, load_registry, oracles_of, renderer_for, withheld
from bench3d.plugins.names import nearest
from bench3d.plugins.registry import Registry

GOOD = """
from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl

@hookimpl
def bench3d_register():
    return [BackboneRegistration(name="{name}", summary="from {owner}", factory="json:dumps")]
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_is_nowhere", "No module named 'a_module_that_is_nowhere'"),
        ("raise SystemExit(3)", "SystemExit: 3."),
        ("def bench3d_register(): return []", "implements no hook"),
        (
            "from bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_regster(): return []",
            "has no hook bench3d_regster",
        ),
        (
            "from bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_register(): return ['hog']",
            "returned str, which is not a registration",
        ),
        (
            "from bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_register(): return 5",
            "must return a list of registrations, not int",
        ),
        (
            "from bench3d.plugins import hookimpl\nfrom bench3d.contracts import BackboneRegistration\n@hookimpl\n"
            "def bench3d_register(): return [BackboneRegistration(name='x', summary='', factory=print)]",
            'write it as "module:name"',
        ),
        ("from bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_register(): 1/0", "ZeroDivisionError"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_stay(install, source, reason):
    install("bad", source)
    install("good", GOOD.format(name="fine", owner="good"))
    registry = load_registry()
    (failure,) = [f for f in registry.failures if f.distribution == "bad"]
    assert reason in failure.reason
    assert registry.get("backbone", "fine").summary == "from good"


def test_of_two_owners_of_a_name_the_first_in_the_alphabet_wins_and_both_are_named(install):
    for owner in ("zeta", "Alpha"):
        install(owner, GOOD.format(name="twice", owner=owner))
    registry = load_registry()
    (collision,) = registry.collisions
    assert registry.get("backbone", "twice").summary == "from Alpha"
    assert (collision.kept, collision.left_out) == ("Alpha", "zeta")
    assert "Alpha" in collision.sentence() and "zeta" in collision.sentence()


def test_a_shipped_name_cannot_be_taken_over(install):
    shipped = load_registry().registrations("backbone")[0]
    install("aaa", GOOD.format(name=shipped.name, owner="aaa"))
    registry = load_registry()
    assert registry.get("backbone", shipped.name).summary == shipped.summary
    assert registry.collisions[0].left_out == "aaa"


def backbone(name: str, **more: object) -> BackboneRegistration:
    return BackboneRegistration(name=name, summary="", factory="builtins:dict", **more)


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.add(backbone("dinov2"), "here")
    found.add(backbone("dinov2-b"), "here")
    found.add(backbone("zoo:"), "here")
    found.add(backbone("needy", extras=("nowhere_x", "json"), install="pip install nowhere-x"), "here")
    found.add(ShapeModelRegistration(name="morph", summary="", factory="a:b", adds=("pose",)), "here")
    found.add(TaskRegistration(name="pose", summary="", factory="a:b", dataset="d", requires=("pose",)), "here")
    return found


def test_a_family_answers_for_every_name_after_its_colon_and_hands_it_to_the_factory(registry):
    assert registry.get("backbone", "zoo:vit:large").name == "zoo:"
    assert registry.create("backbone", "zoo:vit:large", device="cpu") == {"variant": "vit:large", "device": "cpu"}
    assert registry.create("backbone", "dinov2", device="cpu") == {"device": "cpu"}
    for name in ("zoo:", "zoo"):
        with pytest.raises(UnknownNameError):
            registry.get("backbone", name)


def test_an_unknown_name_answers_with_the_nearest(registry):
    with pytest.raises(UnknownNameError, match=r"no backbone named DINO2\. Did you mean dinov2 or dinov2-b\?"):
        registry.get("backbone", "DINO2")
    with pytest.raises(UnknownNameError, match="morph is a shape-model, not a backbone"):
        registry.get("backbone", "morph")
    assert nearest("xyz", ["hog", "rgb"]) == []


def test_a_missing_extra_answers_with_its_install_line_without_importing_it(registry):
    sys.modules.pop("this", None)
    registry.add(backbone("lazy", extras=("this",)), "here")
    with pytest.raises(UsageError, match=r"needs nowhere_x, not installed.*Install with: pip install nowhere-x"):
        registry.get("backbone", "needy")
    assert registry.find("backbone", "needy").name == "needy"
    assert registry.get("backbone", "lazy") and "this" not in sys.modules


def test_a_factory_that_cannot_be_imported_is_the_plugins_fault(registry):
    with pytest.raises(PluginError, match="shape-model morph is broken: a:b"):
        registry.create("shape-model", "morph")


OBSERVER = """
from bench3d.plugins import hookimpl
seen = []

@hookimpl
def bench3d_run_started(plan):
    {body}

@hookimpl
def bench3d_compatible(backbone):
    return "no {name} with " + backbone.name if backbone.name == "dinov2" else None

@hookimpl
def bench3d_estimate(plan):
    return {estimate}
"""


def test_an_observer_that_raises_is_logged_and_the_others_are_told(install, caplog):
    install("a1", OBSERVER.format(body="raise RuntimeError('boom')", name="a1", estimate={"seconds": 3}))
    install("b2", OBSERVER.format(body="seen.append(plan)", name="b2", estimate={"seconds": 5, "disk_bytes": 1}))
    registry = load_registry()
    with caplog.at_level(logging.WARNING, "bench3d"):
        logging.getLogger("bench3d").propagate = True
        registry.notify("bench3d_run_started", plan="the plan")
        registry.notify("bench3d_run_finished", record=None)
    assert sys.modules["b2_plugin"].seen == ["the plan"]
    assert "a1 failed in bench3d_run_started: RuntimeError: boom" in caplog.text
    assert registry.estimate(plan=None) == {"seconds": 5.0, "disk_bytes": 1.0}


def test_incompatibility_is_a_lacking_capability_or_a_plugins_reason(install, registry):
    install("a1", OBSERVER.format(body="pass", name="a1", estimate=None))
    registry.plugins = [p for p in load_registry().plugins if p.distribution == "a1"]
    dino, other = registry.find("backbone", "dinov2"), registry.find("backbone", "dinov2-b")
    task, morph = registry.find("task", "pose"), registry.find("shape-model", "morph")
    assert incompatibilities(registry, other, None, morph, task) == []
    assert incompatibilities(registry, other, None, None, task) == [
        "pose needs a shape model (for pose): add --shape-model morph."
    ]
    assert incompatibilities(registry, dino, None, morph, task) == ["no a1 with dinov2"]


def test_a_shape_model_that_asks_for_an_oracle_runs_where_it_is_offered_and_the_run_says_so(registry):
    from dataclasses import replace

    task = replace(registry.find("task", "pose"), protocols=(Protocol(name="p", oracles=("category",)),))
    curious = replace(registry.find("shape-model", "morph"), oracles=("depth",))
    backbone = registry.find("backbone", "dinov2-b")
    assert incompatibilities(registry, backbone, None, curious, task) == [
        "morph needs the true depth, which pose does not offer."
    ]
    (strict,) = task.protocols
    open_one = replace(strict, name="open", offers={"depth": "depth:cad"})
    offering = replace(task, protocols=(strict, open_one))
    assert incompatibilities(registry, backbone, None, curious, offering) == []
    assert (withheld(strict, curious), withheld(open_one, curious)) == (["depth"], [])
    assert oracles_of(open_one, curious) == ("category", "depth:cad")
    assert oracles_of(open_one, None) == ("category",)
    assert oracles_of(None, curious) == ()


RENDERERS = """
from bench3d.contracts import RendererRegistration
from bench3d.plugins import hookimpl

def make(device):
    return "made for " + device

def fail(device):
    raise RuntimeError("no driver")

@hookimpl
def bench3d_register():
    def one(name, factory, priority, **more):
        return RendererRegistration(name=name, summary="", factory="ren_plugin:" + factory, devices=("abacus",),
                                    priority=priority, **more)
    return [one("absent", "make", 99, extras=("nowhere_x",)), one("broken", "fail", 98), one("plain", "make", 97)]
"""


def test_the_best_renderer_that_works_is_taken(install):
    install("ren", RENDERERS)
    assert renderer_for("abacus:0") == "made for abacus:0"
    with pytest.raises(PluginError, match="No renderer works on loom"):
        renderer_for("loom")
    renderer_for.cache_clear()
