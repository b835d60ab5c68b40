"""Names are completed in bash, zsh and fish, through the environment variables that their scripts set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

RUN = "import sys; sys.argv[0] = 'bench3d'; from bench3d.cli.main import run; run()"


def complete(shell, line, **more):
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = {**os.environ, "_BENCH3D_COMPLETE": f"complete_{shell}", **asked, **more}
    found = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    return found.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_backbones_are_completed_in_every_shell(shell):
    shown = complete(shell, "bench3d run --backbone dinov2-r")
    assert "dinov2-reg-b" in shown and "dinov2-b" not in shown and "hog" not in shown


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("bench3d run --adapter co", ["common3d"]),
        ("bench3d run --shape-model ", ["common3d", "none", "uop3d", "zsp"]),
        ("bench3d train --backbone ho", ["hog"]),
        ("bench3d run --task pasc", ["pascal3d-pose", "pascal3d-seg", "pascal3d-shape"]),
        ("bench3d run --task pascal3d-pose --protocol ", ["box2d", "paper"]),
        ("bench3d grid plan smo", ["smoke"]),
        ("bench3d grid run --backbone hog,rg", ["hog,rgb"]),
        ("bench3d describe pascal3d-", ["pascal3d-pose", "pascal3d-seg", "pascal3d-shape"]),
        ("bench3d list shape", ["shape-models"]),
        ("bench3d matr", ["matrix"]),
    ],
)
def test_each_place_completes_its_own_names(line, names):
    assert complete("bash", line).split() == names


def test_a_plugin_that_fails_or_prints_or_was_never_seen_is_not_heard(tmp_path):
    for name, source in {"bad": "print('x')\n1/0", "new": "import time\ntime.sleep(1000)"}.items():
        (tmp_path / f"{name}_plugin.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bench3d]\n{name} = {name}_plugin\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    place = {"PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), "BENCH3D_PLUGIN_SECONDS": "60"}
    assert complete("bash", "bench3d run --backbone ho", **place) == "hog\n"
