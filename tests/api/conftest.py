"""The synthetic data that these tests run on, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SMALL = {
    "data.categories": ["car"], "data.test_images": 3, "data.image_size": 64, "data.pairs": 3, "data.views": 2,
    "data.train_instances": 2, "backbone.grid": 8,
}  # fmt: skip


@pytest.fixture(scope="session")
def small_twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the twins of PF-WILLOW and CO3D that `SMALL` asks for."""
    import bench3d
    from bench3d.contracts import NullProgress
    from bench3d.data.twin import ensure_twin
    from bench3d.plugins import load_registry

    root = tmp_path_factory.mktemp("data")
    plan = bench3d.plan(
        backbone="hog", adapter="common3d", task="pascal3d-pose", synthetic=True, data=root, settings=SMALL
    )
    source = plan.resolved.test
    written = [load_registry().get("dataset", name) for name in ("pf-willow", "co3d")]
    ensure_twin(source.root, source.twin, written, NullProgress(), workers=1)
    return root


@pytest.fixture
def call(small_twin: Path, tmp_path: Path) -> dict[str, Any]:
    """Arguments of a run that takes a second."""
    return {
        "task": "pf-willow", "synthetic": True, "data": small_twin, "settings": dict(SMALL), "device": "cpu",
        "results": tmp_path / "results",
    }  # fmt: skip
