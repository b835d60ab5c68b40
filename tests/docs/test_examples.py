"""The examples in the pages on contracts: imported and run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from blocks import DOCS, TOP

import bench3d
from bench3d.contracts import ImageBatch
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry
from bench3d.plugins.registry import KINDS, REGISTRATIONS


def loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_model_finds_a_bright_pixel_where_it_is() -> None:
    model = loaded(DOCS / "examples" / "model.py", "docs_model").Brightness()
    images = torch.zeros(1, 3, 32, 48)
    images[:, :, 8:16, 24:32] = 1.0
    geometry = PixelGeometry.identity((48, 32))
    (found,) = model.features(ImageBatch(images, torch.ones(1, 1, 32, 48), (geometry,), ("a",)))
    assert found.map.values.shape == (1, 2, 4, 6)
    assert found.map.sample(torch.tensor([[[28.0, 12.0]]]))[0, 0].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(found.map.locate(torch.tensor([[[3.5, 1.5]]]))[0, 0], [28.0, 12.0])


def test_model_runs_as_the_page_says() -> None:
    line = 'bench3d.run(backbone=Brightness(), name="brightness", task="spair71k", synthetic=True)'
    assert f"`{line}`" in (DOCS / "contracts" / "model.md").read_text(encoding="utf-8")
    module = loaded(DOCS / "examples" / "model.py", "docs_model")
    plan = eval(line.replace("bench3d.run", "bench3d.plan"), {"bench3d": bench3d, "Brightness": module.Brightness})
    assert not plan.problem


def test_hooks_are_asked(install: Any) -> None:
    install("docshooks", (DOCS / "examples" / "hooks.py").read_text(encoding="utf-8"))
    registry = load_registry()
    assert "docshooks" in [p.name for p in registry.plugins], registry.failures
    from bench3d.plugins import incompatibilities

    noise, lora = registry.find("backbone", "noise"), registry.find("adapter", "smoothap-lora")
    reasons = incompatibilities(registry, noise, lora, None, None)
    assert any("nothing to learn from noise" in str(reason) for reason in reasons)


@pytest.mark.parametrize("kind", KINDS)
def test_module_that_a_page_shows_registers_its_kind(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from generated import template

    page = (DOCS / "contracts" / f"{kind}.md").read_text(encoding="utf-8")
    assert f"<!-- bench3d: template {kind} -->" in page
    assert f"<!-- bench3d: checks {kind} -->" in page
    source = template(kind).removeprefix("```python\n").removesuffix("```\n")
    module = ModuleType(f"bench3d_my_{kind.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, f"{kind}.py", "exec"), module.__dict__)
    (registration, *_) = module.bench3d_register()
    assert isinstance(registration, REGISTRATIONS[KINDS.index(kind)])
    assert registration.factory.split(":")[0] == module.__name__
    assert callable(getattr(module, registration.factory.split(":")[1]))


def test_pages_hold_no_unfinished_marks() -> None:
    texts = [p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md")]
    assert not [t for t in texts if "TODO" in t or "TBD" in t]
    assert (TOP / "docs" / "index.md").is_file()
