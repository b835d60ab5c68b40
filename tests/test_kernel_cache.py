"""Where compiled kernels are kept, and that processes which compile at once do not get each other's."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench3d.machine import KERNELS, use_kernel_cache


def test_kernels_go_to_the_users_cache_unless_the_user_has_said_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(KERNELS, "elsewhere")
    use_kernel_cache()
    assert os.environ[KERNELS] == "elsewhere" and not list(tmp_path.iterdir())
    monkeypatch.setenv(KERNELS, "")
    use_kernel_cache()
    (folder,) = (tmp_path / "bench3d" / "kernels").iterdir()
    assert os.environ[KERNELS] == str(folder)


def test_where_the_cache_cannot_be_written_numba_is_left_alone(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv(KERNELS, raising=False)
    use_kernel_cache()
    assert KERNELS not in os.environ


KERNEL = """
import numpy as np
from numba import njit

@njit(cache=True)
def total(values):
    found = values.dtype.type(0)
    for value in values:
        found += value
    return found
"""

COMPILE = """
import sys, time
from pathlib import Path
from numba.core.caching import IndexDataCacheFile as File
from bench3d.machine import settle_kernel_cache
me, other, place = sys.argv[1], sys.argv[2], Path(sys.argv[3])
if sys.argv[4] == "settled":
    settle_kernel_cache()
save_index, save_data = File._save_index, File._save_data

def wait(name):
    until = time.monotonic() + 60
    while not (place / name).exists() and time.monotonic() < until:
        time.sleep(0.01)

def index(self, overloads):  # both have looked before one writes; the first writes its index first and its code last
    (place / f"looked-{me}").touch()
    wait(f"looked-{other}")
    if me == "2":
        wait("index-1")
    save_index(self, overloads)
    (place / f"index-{me}").touch()

def data(self, name, content):
    if me == "1":
        wait("data-2")
    save_data(self, name, content)
    (place / f"data-{me}").touch()

File._save_index, File._save_data = index, data
import kernel
kernel.total(kernel.np.ones(8, kernel.np.float32 if me == "1" else kernel.np.float64))
"""

CHECK = """
import kernel
print([float(kernel.total(kernel.np.full(8, 3, kind))) for kind in (kernel.np.float64, kernel.np.float32)])
"""


@pytest.mark.parametrize("settled", [True, False])
def test_two_variants_compiled_at_once_stay_apart(tmp_path, settled):
    """Without `settle_kernel_cache` one variant finds the other's code and fails, from then on in every process."""
    (tmp_path / "kernel.py").write_text(KERNEL)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        KERNELS: str(tmp_path / "cache"),
        "NUMBA_NUM_THREADS": "1",
    }

    def start(code, *arguments):
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    how = "settled" if settled else "plain"
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda pair: start(COMPILE, *pair, str(tmp_path), how), [("1", "2"), ("2", "1")])
        assert [done.returncode for done in both] == [0, 0]
    assert (start(CHECK).stdout.strip() == "[24.0, 24.0]") == settled
