"""Every data set, task, renderer and executor that ships passes the kit, and every registration of any kind does."""

from __future__ import annotations

import pytest

from bench3d.plugins import load_registry
from bench3d.plugins.registry import missing_extras
from bench3d.testing import checks_for, run_check, subject_for
from bench3d.testing.registrations import CHECKS

IMPORTS = ("light-import", "quiet-import")
SLOW = {
    "dataset": ("objaverse-renderings", "pf-willow", "spair71k"),
    "task": ("multiview-equivariance", "mvimgnet-equivariance", "pf-willow", "spair71k"),
    "executor": ("local", "ray", "slurm"),
}
"""Checked with -m slow, and by `bench3d plugin check --all`."""
EVERY = [(r.kind, r.name) for r in load_registry().registrations() if not missing_extras(r)]


def member(name):
    """A name that can be made: a family's first member."""
    return {"timm:": "timm:resnet18", "open-clip:": "open-clip:ViT-B-32/openai"}.get(name, name)


def bad(subject, names):
    """What of some checks was not passed."""
    chosen = [c for c in checks_for(subject.kind) if c.name in names]
    return [
        (r.name, r.detail, r.trace) for r in (run_check(c, subject) for c in chosen) if r.state in ("failed", "error")
    ]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_registration(kind, name, tmp_path):
    assert not bad(subject_for(kind, member(name), tmp=tmp_path), {c.name for c in CHECKS} - {*IMPORTS})


def one_of_each_plugin():
    """A registration of every plugin: its module is imported once, however much it offers."""
    registry = load_registry()
    offers = ([r for r in registry.of(plugin) if not missing_extras(r)] for plugin in registry.plugins)
    return [(mine[0].kind, mine[0].name) for mine in offers if mine]


@pytest.mark.parametrize(("kind", "name"), one_of_each_plugin())
def test_import(kind, name, tmp_path):
    assert not bad(subject_for(kind, member(name), tmp=tmp_path), IMPORTS)


def behaving():
    """What is made and tried: the cheap ones, and those for -m slow."""
    for kind, name in EVERY:
        if kind in ("dataset", "task", "renderer", "executor"):
            yield pytest.param(kind, name, marks=[pytest.mark.slow] if name in SLOW.get(kind, ()) else [])


@pytest.mark.parametrize(("kind", "name"), list(behaving()))
def test_behaviour(kind, name, tmp_path):
    subject = subject_for(kind, name, tmp=tmp_path)
    assert not bad(subject, {c.name for c in checks_for(kind)} - {c.name for c in CHECKS})
