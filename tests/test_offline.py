"""`--offline` opens no socket: the commands that have it run in a process where looking up and connecting are noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TRAP = """
import os, socket, traceback

def note(*args, **kwargs):
    with open(os.environ["BENCH3D_TEST_SOCKETS"], "a") as log:
        traceback.print_stack(file=log)
    raise OSError("this process must not use the network")

socket.getaddrinfo = socket.gethostbyname = socket.create_connection = note
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, note)
"""
RUNNER = """
import contextlib, io, json, os, sys
from pathlib import Path
from bench3d.cli.main import main

log, results = Path(os.environ["BENCH3D_TEST_SOCKETS"]), []
for command in json.loads(sys.argv[1]):
    # Nothing that one command switched off may help the next one.
    os.environ.pop("HF_HUB_OFFLINE", None)
    if "huggingface_hub.constants" in sys.modules:
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = False
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(command)
    results.append([code, text.getvalue(), log.read_text() if log.exists() else ""])
    log.unlink(missing_ok=True)
print(json.dumps(results))
"""
TINY = [
    "--synthetic", "--set", "data.categories=car", "--set", "data.train_instances=2", "--set", "data.views=2",
    "--set", "data.test_images=4", "--set", "data.image_size=64", "--set", "data.splits=[plain]",
    "--set", "data.pairs=12", "--set", "data.objects=1", "--set", "data.train_objects=1",
]  # fmt: skip


@pytest.fixture
def offline(tmp_path):
    """Runs command lines, one after the other in one process with an empty hub cache.

    Gives for each its exit code, what it printed, and the network calls it made.
    """
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TRAP)

    def run(*commands: list[str]) -> list[tuple[int, str, str]]:
        hidden = {"HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE"}
        environment = {k: v for k, v in os.environ.items() if k not in hidden} | {
            "PYTHONPATH": str(tmp_path / "site"),
            "BENCH3D_TEST_SOCKETS": str(tmp_path / "sockets"),
            "BENCH3D_DATA": str(tmp_path / "data"),
            "HF_HOME": str(tmp_path / "hub"),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, json.dumps(commands)],
            cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, timeout=400, check=True,
        )  # fmt: skip
        return [tuple(result) for result in json.loads(done.stdout)]

    return run


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64), (200, 100, 50)).save(path)
    return str(path)


def test_the_trap_works(offline):
    ((code, _, calls),) = offline(["data", "fetch", "spair71k", "--yes"])
    assert code == 3 and "urllib" in calls


def test_runs_fits_features_and_predictions_open_no_socket(offline, photo):
    use = ["--backbone", "dinov2", "--offline"]
    run, missing, train, predict, picture, other = offline(
        ["run", "--backbone", "hog", "--task", "spair71k", "--offline", *TINY],
        ["run", *use, "--task", "spair71k", *TINY],
        ["train", *use, "--adapter", "smoothap-lora", *TINY],
        ["predict", photo, *use, "--category", "car", "--shape-model", "common3d"],
        ["features", photo, "--backbone", "hog", "--offline", "--pca", "look.png"],
        ["features", photo, "--backbone", "open-clip:ViT-B-16/openai", "--offline"],
    )
    for code, text, calls in (run, missing, train, predict, picture, other):
        assert calls == "" and code != 70, text
    assert run[0] == picture[0] == 0, run[1] + picture[1]
    for code, text, _ in (missing, train):
        assert code != 0 and "weights" in text and "hf download timm/vit_small_patch14_dinov2.lvd142m" in text
    assert other[0] == 4 and "hf download" in other[1]


def test_fetching_looking_and_planning_open_no_socket(offline):
    targets = ["spair71k", "co3d", "iclr25-comparison"]
    *fetched, grid, listed = offline(
        *(["data", "fetch", target, "--offline"] for target in targets),
        ["grid", "plan", "iclr25-comparison", "--offline"],
        ["data", "list"],
    )
    for code, text, calls in fetched:
        assert calls == "" and code == 3 and "--offline fetches nothing" in text, text
    assert grid[2] == listed[2] == "" and listed[0] == 0
