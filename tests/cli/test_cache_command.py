"""`bench3d cache`: what is there, whether it is whole, making room."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from bench3d.features.cache_shards import NewEntry, StoredMap, write_shard
from bench3d.geometry.pixels import PixelGeometry

GEOMETRY = PixelGeometry((8, 8), (8, 8), stride=(1.0, 1.0), grid_size=(8, 8))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of three shards with two images each, one of another model; the first was used a month ago."""
    folder = tmp_path / "features"
    monkeypatch.setenv("BENCH3D_CACHE", str(folder))
    monkeypatch.delenv("BENCH3D_CACHE_GB", raising=False)
    for number, model in enumerate(("m1", "m1", "m2")):
        entries = {
            f"k{number}{i}": NewEntry([StoredMap(np.full((1, 4, 8, 8), i, np.float32), GEOMETRY, 1.0)], model)
            for i in range(2)
        }
        write_shard(folder, "float32", entries, {model: f"words about {model}"})
    oldest = min(folder.glob("*.json"))
    os.utime(oldest, (time.time() - 31 * 86400,) * 2)
    return folder


def damage(folder):
    shard = max(folder.glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    return shard.stem


@pytest.mark.parametrize("command", [["cache"], ["cache", "ls"], ["cache", "verify"], ["cache", "gc"]], ids=" ".join)
def test_every_help_ends_with_an_example(cli, command):
    answer = cli(*command, "--help")
    assert answer.code == 0 and " ".join(["Example: bench3d", *command]) in " ".join(answer.out.split())


def test_ls_says_where_how_much_and_of_which_model(cli, folder):
    shown = cli("cache", "ls")
    assert shown.code == 0 and str(folder) in shown.out
    for words in ("6 images in 3 shards", "of at most 20 GB", "words about m1", "words about m2"):
        assert words in shown.out
    answer = json.loads(cli("cache", "ls", "--json").out)
    assert (answer["images"], answer["shards"], answer["cap_bytes"]) == (6, 3, 20_000_000_000)
    assert {row["model"]: row["images"] for row in answer["models"]} == {"m1": 4, "m2": 2}
    assert answer["bytes"] == sum(p.stat().st_size for p in folder.iterdir())


def test_ls_of_an_empty_cache_makes_nothing(cli, tmp_path):
    answer = cli("cache", "ls", "--folder", str(tmp_path / "none"))
    assert answer.code == 0 and "Nothing is in it yet" in answer.out and not (tmp_path / "none").exists()


def test_verify_finds_and_removes_what_is_broken(cli, folder):
    assert cli("cache", "verify").code == 0
    name = damage(folder)
    answer = cli("cache", "verify")
    assert answer.code == 3 and name in answer.out and "bytes have changed" in answer.out
    broken = json.loads(cli("cache", "verify", "--json").out)["broken"]
    assert [(row["shard"], row["key"]) for row in broken] == [(name, "k21")]
    assert cli("cache", "verify", "--delete").code == 3
    assert cli("cache", "verify").code == 0
    assert json.loads(cli("cache", "ls", "--json").out)["images"] == 5


def test_gc_frees_what_it_says(cli, folder):
    def size():
        return sum(p.stat().st_size for p in folder.iterdir())

    def freed(*options):
        before = size()
        answer = json.loads(cli("cache", "gc", "--json", *options).out)
        assert answer["freed_bytes"] == before - size()
        assert answer["left_bytes"] == size() - 100 * leftover.exists()
        return answer["images"]

    leftover = folder / ".0000000000000000-1-00000000.2-3.safetensors"
    leftover.write_bytes(b"x" * 100)
    assert freed() == 6 and leftover.exists()
    os.utime(leftover, (0, 0))
    assert freed() == 6 and not leftover.exists()
    assert freed("--older-than", "30d") == 4
    assert freed("--max-size", f"{size() / 1.9e6}MB") == 2
    assert freed("--all") == 0 and size() == 0


@pytest.mark.parametrize("option", [("--max-size", "much"), ("--older-than", "yesterday"), ("--max-size", "5 days")])
def test_a_wrong_size_or_time_is_said(cli, folder, option):
    answer = cli("cache", "gc", *option)
    assert answer.code == 2 and option[0] in answer.err
    assert cli("cache", "ls", "--json").code == 0 and len(list(folder.iterdir())) == 6


def test_no_torch_is_loaded(folder):
    code = "import sys; from bench3d.cli.main import main; main(['cache', 'ls']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
