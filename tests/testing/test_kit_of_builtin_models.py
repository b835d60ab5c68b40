"""Every backbone, adapter and shape model that ships passes the kit, made through the door of a third party."""

import pytest

from bench3d.machine import available_bytes
from bench3d.plugins import load_registry
from bench3d.testing.checks import Options, run_checks, subject_for

MEMBERS = {
    "timm:": ["timm:vit_tiny_patch16_224", "timm:resnet18", "timm:convnext_atto"],
    "open-clip:": ["open-clip:ViT-B-32"],
}
"""Of each family, some that stand for the rest."""


def names(kind):
    found = [registration.name for registration in load_registry().registrations(kind)]
    return [member for name in found for member in MEMBERS.get(name, [name])]


def slow(name):
    """More than ten seconds in CI: more than ten million parameters."""
    registration = load_registry().find("backbone", name)
    return (registration.params or 0) > 10_000_000 or name in ("timm:resnet18", "open-clip:ViT-B-32")


def options(name):
    registration = load_registry().find("backbone", name)
    large = (registration.params or 0) > 50_000_000 or name.startswith("open-clip:")
    return Options(seconds=600.0, settings={"layer": 0} if large else {})


def check(subject):
    results = run_checks(subject)
    assert not [(r.name, r.detail, r.trace) for r in results if r.state in ("failed", "error")]
    return {r.name: r for r in results}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if slow(n) else ()) for n in names("backbone")]
)
def test_a_backbone_conforms(name, tmp_path):
    params = load_registry().find("backbone", name).params or 0
    if 6 * 4 * params > available_bytes():
        pytest.skip("several instances of it do not fit into memory")
    check(subject_for("backbone", name, tmp=tmp_path, options=options(name)))


def test_an_adapter_conforms(tmp_path):
    """On a small network; the kit itself takes the cheapest that has a name of its own."""
    own = Options(backbone="timm:vit_tiny_patch16_224", backbone_settings={"grid": 4}, settings={"grid": 4})
    found = check(subject_for("adapter", "smoothap-lora", tmp=tmp_path, options=own))
    assert found["fit"].detail.startswith("on timm:vit_tiny_patch16_224")


@pytest.mark.slow
@pytest.mark.parametrize("name", names("adapter"))
def test_every_adapter_conforms_as_the_command_checks_it(name, tmp_path):
    check(subject_for("adapter", name, tmp=tmp_path))


@pytest.mark.parametrize("name", names("shape-model"))
def test_a_shape_model_conforms(name, tmp_path):
    found = check(subject_for("shape-model", name, tmp=tmp_path))
    added = set(load_registry().get("shape-model", name).adds)
    assert {one for one in ("pose", "shape", "mask") if found[one].state == "passed"} == added
    assert all(found[one].state == "passed" for one in ("pose-repeats", "oracles", "fit-interrupted"))


def test_the_quick_ones_cover_every_plugin_of_backbones():
    """What is left to the slow tests is of a plugin of which something quick is checked, but for OpenCLIP's towers."""
    quick = {load_registry().find("backbone", n).factory.partition(":")[0] for n in names("backbone") if not slow(n)}
    every = {r.factory.partition(":")[0] for r in load_registry().registrations("backbone")}
    assert {module.rpartition(".")[0].rpartition(".")[2] for module in every - quick} <= {"open_clip_backbones"}
