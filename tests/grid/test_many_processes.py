"""Grids on the command line in processes of their own: two on one folder, a full disk, Ctrl-C, kills."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

GRID = """
summary: A tiny grid.
backbones: fake-net
shape_models: fake-shape
tasks: fake-task
protocols: easy
seeds: [0, 1, 2]
categories: car
"""
SMOKE_KILLS = int(os.environ.get("BENCH3D_KILLS", "30"))


@pytest.fixture
def shell(install, tmp_path):
    """Starts `bench3d ...` with the fake plugins: shell("grid", "run", ...)."""
    install("fakes", (Path(__file__).parents[1] / "runner" / "fake_plugin.py").read_text())
    folder = tmp_path / "data" / "fake"
    folder.mkdir(parents=True)
    (folder / "car.json").write_text(json.dumps([5.0, 15.0, 40.0, 100.0]))
    (folder / "chair.json").write_text(json.dumps([5.0, 100.0]))
    (tmp_path / "tiny.yaml").write_text(GRID)
    started = []

    def start(*words, results=tmp_path / "results"):
        command = [sys.executable, "-c", "from bench3d.cli.main import run; run()", *map(str, words)]
        command += ["--results", str(results)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "BENCH3D_DATA": str(tmp_path / "data")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_two_grids_on_one_folder_do_everything_once(shell, tmp_path):
    words = ("grid", "run", tmp_path / "tiny.yaml", "--executor", "local", "--workers", "2", "--device", "cpu")
    first, second = shell(*words), shell(*words)
    out = [p.communicate(timeout=120)[0] for p in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], out
    found = records(tmp_path / "results")
    assert len(found) == 3 and {r["status"] for r in found} == {"finished"}
    fits = (tmp_path / "results" / "fits" / "fits.log").read_text().splitlines()
    assert len(fits) == 3, fits
    status = shell("grid", "status", "tiny", "--json")
    values = json.loads(status.communicate(timeout=60)[0])
    assert values["over"] and values["runs"] == {"done": 3} and values["engines"] == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_stops_the_grid_with_a_sentence_and_it_goes_on_afterwards(shell, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        words = ("grid", "run", tmp_path / "tiny.yaml", "--executor", "local", "--workers", "1", "--device", "cpu")
        filler = small / "filler"
        plan = shell("grid", "plan", tmp_path / "tiny.yaml", "--device", "cpu", results=small / "r")
        assert plan.wait(60) == 0
        with contextlib.suppress(OSError), open(filler, "wb") as handle:
            for _ in range(4096):
                handle.write(bytes(1024))
                handle.flush()
        full = shell(*words, results=small / "r")
        text = full.communicate(timeout=120)[0]
        assert full.returncode != 0 and "The disk is full" in text and "Traceback" not in text
        assert records(small / "r") == []
        filler.unlink()
        again = shell(*words, results=small / "r")
        assert again.communicate(timeout=120)[0] and again.returncode == 0
        assert len(records(small / "r")) == 3
    finally:
        subprocess.run(["umount", str(small)], check=False)


def test_ctrl_c_drains_and_the_grid_goes_on_where_it_stopped(shell, tmp_path):
    words = ("grid", "run", tmp_path / "tiny.yaml", "--executor", "local", "--workers", "1", "--device", "cpu")
    first = shell(*words)
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("done"):
            first.send_signal(signal.SIGINT)
            break
    rest = first.communicate(timeout=60)[0]
    assert first.returncode == 130 and "it goes on with" in rest
    before = len(records(tmp_path / "results"))
    second = shell(*words)
    second.communicate(timeout=120)
    assert second.returncode == 0 and before < len(records(tmp_path / "results")) == 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_of_children_and_parent_leaves_every_record_once(tmp_path):
    """The grid `smoke` killed again and again, against an undisturbed pass: same records, same samples, no orphan."""
    environment = {**os.environ, "BENCH3D_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    rng = random.Random(0)

    def start(verb: str, results: Path) -> subprocess.Popen[bytes]:
        words = ["grid", verb, "smoke", "--results", str(results), "--workers", "2"]
        command = [sys.executable, "-c", "from bench3d.cli.main import run; run()", *words]
        with open(tmp_path / "out.txt", "ab") as out:
            return subprocess.Popen(command, env=environment, stdout=out, stderr=out)

    calm, wild = tmp_path / "calm", tmp_path / "wild"
    assert start("run", calm).wait() == 0
    engine, kills = start("run", wild), 0
    while kills < SMOKE_KILLS:
        time.sleep(rng.uniform(0.5, 12.0))
        if engine.poll() is not None:
            engine = start("retry", wild)
            continue
        children = psutil.Process(engine.pid).children(recursive=True)
        if children and rng.random() < 0.6:
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(children).kill()
        else:
            engine.kill()
            engine.wait()
            _, alive = psutil.wait_procs(children, timeout=15)
            assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
            engine = start("run", wild)
        kills += 1
    for _ in range(4):
        if engine.wait() == 0:
            break
        engine = start("retry", wild)
    assert engine.returncode == 0, (tmp_path / "out.txt").read_text()[-3000:]
    assert by_identity(wild) == by_identity(calm) and len(by_identity(wild)) >= 60


def records(results: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(results.glob("runs/*/*/record.json"))]


def by_identity(results: Path) -> dict[str, tuple]:
    """What a pass measured; no identity twice."""
    found: dict[str, tuple] = {}
    for path in results.glob("runs/*/*/record.json"):
        record = json.loads(path.read_text())
        lines = [json.loads(line) for line in (path.parent / "samples.jsonl").read_text().splitlines()]
        samples = sorted(
            ({k: v for k, v in s.items() if not k.endswith("_ms")} for s in lines),
            key=lambda s: (s["category"], s["id"]),
        )
        key = record["identity"]["hash"]
        assert key not in found and record["status"] == "finished"
        found[key] = (record["scores"], record["groups"], record["chance"], samples)
    return found
