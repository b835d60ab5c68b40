"""A plugin that ships, moved into a distribution of its own: nothing but the name of its package changes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench3d_plugins

BENCH3D = [sys.executable, "-c", "from bench3d.cli.main import run; run()"]
TINY = [
    "--task", "pf-willow", "--synthetic", "--limit", "4", "--set", "data.categories=car", "--set", "data.image_size=96",
    "--set", "data.test_images=6", "--set", "data.pairs=4", "--set", "backbone.grid=8", "--offline", "--device", "cpu",
]  # fmt: skip


def lifted(name: str, site: Path) -> None:
    """Installs a copy of `bench3d_plugins.<name>` as the package `lifted_<name>` of its own distribution."""
    source, package = Path(bench3d_plugins.__file__).parent / name, f"lifted_{name}"
    shutil.copytree(source, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (site / package).rglob("*.py"):
        module.write_text(module.read_text().replace(f"bench3d_plugins.{name}", package))
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bench3d]\n{package} = {package}\n")


@pytest.mark.parametrize("name", ["rgb"])
def test_a_plugin_in_its_own_distribution_gives_the_same_identity_and_scores(tmp_path, name):
    site = tmp_path / "site"
    site.mkdir()
    lifted(name, site)

    def run(results, **environment):
        words = [*BENCH3D, "run", "--backbone", name, *TINY]
        done = subprocess.run(
            [*words, "--data", str(tmp_path / "data"), "--results", str(tmp_path / results), "--json"],
            env={**os.environ, "BENCH3D_CACHE": str(tmp_path / "cache"), **environment},
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout), done.stderr

    own, _ = run("own")
    moved, said = run("moved", PYTHONPATH=str(site), BENCH3D_PLUGINS=f"*,-{name}")
    assert "left out" not in said and "is offered by" not in said
    assert moved["identity"] == own["identity"] and moved["scores"] == own["scores"]
    listed = subprocess.run(
        [*BENCH3D, "plugin", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(site), "BENCH3D_PLUGINS": f"*,-{name}"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    states = {p["plugin"]: p["state"] for p in json.loads(listed.stdout)}
    assert states[f"lifted_{name}"] == "loaded" and states[name] != "loaded"
