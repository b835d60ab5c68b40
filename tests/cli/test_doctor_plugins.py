"""Installed plugins that fail, collide, break their contract, hang or crash: told once, explained, and nobody suffers.

Real distributions in a folder, real processes: the first command, the second one, and what `bench3d doctor` says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

HEAD = "from bench3d.contracts import *\nfrom bench3d.plugins import hookimpl\n@hookimpl\ndef bench3d_register():\n"
RUN = "from bench3d.cli.main import run; run()"

PLUGINS = {
    "fails": "import a_module_that_is_nowhere",
    "collides": HEAD + "    return [BackboneRegistration(name='hog', summary='', factory='a:b')]",
    "breaks": HEAD + "    return ['hog']",
    "hangs": "import time\ntime.sleep(1e6)",
    "segfaults": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "leaves": "import os\nos._exit(0)",
    "newer": "bench3d_api = 99\n" + HEAD + "    return []",
    "talks": "print('{not json')\n"
    + HEAD
    + "    return [BackboneRegistration(name='talker', summary='', factory='a:b')]",
    "watches": """
import threading, time
from bench3d.contracts import CommandRegistration
from bench3d.plugins import hookimpl, load_registry

def command():
    for i in range(1000):
        load_registry().notify("bench3d_sample_done", values={"id": i})
    load_registry().notify("bench3d_run_finished", record=None)
    print("went on")

@hookimpl
def bench3d_register():
    return [CommandRegistration(name="as-in-a-run", summary="", factory="watches_plugin:command")]

@hookimpl
def bench3d_sample_done(values):
    time.sleep(1e6)
""",
}
WHY = {
    "fails": "No module named 'a_module_that_is_nowhere'",
    "breaks": "bench3d_register returned str",
    "hangs": "its import took more than 2 s, in hangs_plugin.py line 2",
    "segfaults": "its import crashed the process (a segmentation fault)",
    "leaves": "its import ended the process (exit code 0)",
    "newer": "it was made for version 99 of the plugin API",
}


@dataclass
class Place:
    """A folder of distributions and a cache of its own."""

    site: Path
    cache: Path

    def install(self, name: str, source: str) -> None:
        (self.site / f"{name}_plugin.py").write_text(source)
        info = self.site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bench3d]\n{name} = {name}_plugin\n")

    def bench3d(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {"PYTHONPATH": path, "XDG_CACHE_HOME": str(self.cache), "BENCH3D_PLUGIN_SECONDS": "2"}
        return subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            env={**os.environ, **own, **environment},
            cwd=self.site.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("installed")
    (root / "site").mkdir()
    place = Place(root / "site", root / "cache")
    for name, source in PLUGINS.items():
        place.install(name, source)
    return place


@pytest.fixture(scope="module")
def first(place):
    return place.bench3d("list", "backbones", "--json")


def test_a_command_goes_on_and_says_one_line_for_each_that_was_left_out(first):
    assert first.returncode == 0
    names = {row["name"] for row in json.loads(first.stdout)}
    assert {"talker", "hog"} <= names
    lines = [line for line in first.stderr.splitlines() if "See `bench3d doctor`" in line]
    assert len(lines) == len(WHY) + 1
    for name, why in WHY.items():
        (line,) = [line for line in lines if line.startswith(f"Plugin {name} (package {name}) was left out: ")]
        assert why in line
    assert "The backbone hog is offered by the packages bench3d and collides" in first.stderr
    assert "Traceback" not in first.stderr


def test_the_next_command_does_not_try_them_again(place, first):
    begun = time.monotonic()
    second = place.bench3d("list", "backbones", "--json", BENCH3D_PLUGIN_SECONDS="1000")
    assert time.monotonic() - begun < 60
    assert second.stdout == first.stdout and second.returncode == 0
    assert [s for s in second.stderr.splitlines() if "See `" in s] == [
        s for s in first.stderr.splitlines() if "See `" in s
    ]


def test_an_observer_that_hangs_is_left_behind(place, first):
    answer = place.bench3d("as-in-a-run", BENCH3D_OBSERVER_SECONDS="0.5")
    assert answer.returncode == 0 and answer.stdout == "went on\n"
    assert answer.stderr.count("Plugin watches took more than 0.5 s in bench3d_sample_done") == 1


def test_doctor_explains_all_of_them_and_finds_again_what_is_well(place, first):
    place.install("hangs", HEAD + "    return []  # mended")
    answer = place.bench3d("doctor", "--json", "--plugin-seconds", "10")
    assert answer.returncode == 5
    found = {f["what"]: f for f in json.loads(answer.stdout) if f["part"] == "plugins"}
    for name, why in WHY.items():
        if name == "hangs":
            assert "hangs (hangs)" not in found
            continue
        finding = found[f"{name} ({name})"]
        assert finding["state"] == "problem" and why[3:] in finding["detail"]
        assert finding["hint"] and "Traceback" not in finding["detail"]
    assert "BENCH3D_PLUGINS=-segfaults" in found["segfaults (segfaults)"]["hint"]
    assert "pip install --upgrade bench3d" in found["newer (newer)"]["hint"]
    assert "BENCH3D_PLUGINS=-collides" in found["backbone hog"]["hint"]
    assert found["hangs 1.0"]["detail"] == "1 plugin, 0 registrations"


def test_the_user_can_leave_them_out(place):
    unwanted = ",".join(f"-{name}" for name in (*WHY, "collides"))
    answer = place.bench3d("list", "backbones", "--json", BENCH3D_PLUGINS=unwanted)
    assert answer.stderr == "{not json\n"
    own = place.bench3d("list", "backbones", "--json", BENCH3D_PLUGINS="-*")
    assert own.stderr == "" and "talker" not in own.stdout
