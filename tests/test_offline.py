"""`--offline` opens no socket: the commands that have it run in a process where looking up and connecting are noted."""

from __future__ import annotations

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
TINY = [
    "--synthetic", "--set", "data.categories=car", "--set", "data.train_instances=2", "--set", "data.views=2",
    "--set", "data.test_images=4", "--set", "data.image_size=64", "--set", "data.splits=[plain]",
    "--set", "data.pairs=12",
]  # fmt: skip


@pytest.fixture
def offline(tmp_path):
    """Runs a command line with an empty hub cache; its exit code, what it printed, and the network calls it made."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(TRAP)
    calls = tmp_path / "sockets"

    def run(*arguments: str) -> tuple[int, str, str]:
        hidden = {"HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE"}
        environment = {k: v for k, v in os.environ.items() if k not in hidden} | {
            "PYTHONPATH": str(tmp_path / "site"),
            "BENCH3D_TEST_SOCKETS": str(calls),
            "BENCH3D_DATA": str(tmp_path / "data"),
            "HF_HOME": str(tmp_path / "hub"),
            "COLUMNS": "200",
        }
        command = [sys.executable, "-c", "from bench3d.cli.main import run; run()", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300, check=False
        )
        return done.returncode, done.stdout + done.stderr, calls.read_text() if calls.exists() else ""

    return run


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 64), (200, 100, 50)).save(path)
    return str(path)


def test_the_trap_works(offline):
    code, _, calls = offline("data", "fetch", "spair71k", "--yes", "--json")
    assert (code == 3 and "getaddrinfo" in calls) or "create_connection" in calls


def test_a_run_opens_no_socket_whether_its_weights_are_there_or_not(offline):
    code, text, calls = offline("run", "--backbone", "hog", "--task", "spair71k", "--offline", *TINY)
    assert (code, calls) == (0, ""), text
    code, text, calls = offline("run", "--backbone", "dinov2", "--task", "spair71k", "--offline", *TINY)
    assert calls == "" and code in (1, 4), text
    assert "weights" in text and "hf download timm/vit_small_patch14_dinov2.lvd142m" in text


def test_missing_weights_of_other_libraries_are_said_without_a_socket(offline, photo):
    code, text, calls = offline("features", photo, "--backbone", "open-clip:ViT-B-16/openai", "--offline")
    assert calls == "" and code == 4, text


def test_features_and_training_open_no_socket(offline, photo):
    code, text, calls = offline("features", photo, "--backbone", "hog", "--offline", "--pca", "look.png")
    assert (code, calls) == (0, ""), text
    code, text, calls = offline("train", "--backbone", "dinov2", "--adapter", "smoothap-lora", "--offline", *TINY)
    assert calls == "" and code == 4 and "hf download" in text
    code, text, calls = offline(
        "predict", photo, "--category", "car", "--backbone", "dinov2", "--adapter", "common3d", "--offline", *TINY
    )
    assert calls == "" and code != 70, text


@pytest.mark.parametrize("target", ["spair71k", "co3d", "iclr25-comparison"])
def test_fetch_says_what_is_missing_without_a_socket(offline, target):
    code, text, calls = offline("data", "fetch", target, "--offline")
    assert calls == "" and code == 3, text
    assert "--offline fetches nothing" in text


def test_looking_and_planning_open_no_socket(offline):
    for command in (["list"], ["data", "list"], ["grid", "plan", "iclr25-comparison", "--offline"]):
        code, text, calls = offline(*command)
        assert calls == "" and code in (0, 3), text
