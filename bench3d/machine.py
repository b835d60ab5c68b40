"""What the machine has: cores for this process, and memory that may run out, on the CPU or on a GPU."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import platform
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench3d.errors import UsageError

KERNELS = "NUMBA_CACHE_DIR"
SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_failed")


def usable_cores() -> int:
    """The cores that this process may use: those of its affinity, fewer than the machine's in a container or job."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def release_memory() -> None:
    """Gives back what is only cached."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def garbage_collection_off() -> Iterator[None]:
    """For what makes millions of small objects that live on: looking through them again and again takes longer."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def peak_device_bytes(device: str) -> int | None:
    """Largest memory that PyTorch had allocated on a GPU so far; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    import torch

    return int(torch.cuda.max_memory_allocated(device))


def available_bytes() -> int:
    """Main memory that can be had without swapping; 4 GiB where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 4 * 2**30


def free_device_bytes(device: str) -> int:
    """Free memory of a GPU."""
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def choose_device(wanted: str) -> str:
    """The device to work on: "auto" becomes "cuda" where that works, else "cpu".

    Raises:
        UsageError: "cuda" was asked for and is not there.
    """
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("--device cuda: PyTorch finds no CUDA GPU here.", "Use --device cpu, or auto.")
    return wanted


def likely_device(asked: str) -> str:
    """What "auto" will probably be here: "cpu" or "cuda". Loads no torch, so it is good for estimates only."""
    if asked != "auto":
        return asked.partition(":")[0]
    return "cuda" if os.path.exists("/dev/nvidiactl") else "cpu"


def user_cache() -> Path:
    """The user's cache folder, as the operating system has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def use_kernel_cache() -> None:
    """Tells numba to keep compiled kernels in the user's cache folder, one folder per kind of processor.

    Beside the sources, numba's own choice, they may not be writable, or machines that share the environment over a
    network may fight about them. Must come before numba is imported, where it is for child processes as well; a
    NUMBA_CACHE_DIR of the user's stays, and where the folder cannot be made numba goes its own way.
    """
    if os.environ.get(KERNELS):
        return
    with contextlib.suppress(OSError, RuntimeError):
        folder = user_cache() / "bench3d" / "kernels" / _processor()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ[KERNELS] = str(folder)


def set_thread_counts() -> None:
    """Tells OpenMP, MKL and numba how many cores this process may use, unless the user has said so.

    numba also learns where compiled kernels are kept. Must come before torch or numba are imported. Cores are those of
    the CPU affinity: in a container or a job they are fewer than the machine has, and more threads than cores make
    everything 5 to 10 times slower.
    """
    cores = str(usable_cores())
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, cores)
    use_kernel_cache()


def settle_kernel_cache() -> None:
    """Lets every process write compiled kernels under names of its own.

    numba numbers the variants of a kernel (one a type of arguments) by what its index says. Two processes that compile
    two variants at once take the same number, the index of one then points to the code of the other, and the kernel
    fails in every later process.
    """
    try:
        from numba.core.caching import IndexDataCacheFile
    except ImportError:
        return
    numbered = getattr(IndexDataCacheFile, "_data_name", None)
    if numbered is None or hasattr(numbered, "token"):
        return

    def own(self: object, number: int) -> str:
        stem, suffix = os.path.splitext(numbered(self, number))
        return f"{stem}-{own.token}{suffix}"  # type: ignore[attr-defined]

    own.token = uuid.uuid4().hex[:8]  # type: ignore[attr-defined]
    IndexDataCacheFile._data_name = own  # type: ignore[method-assign]


def _processor() -> str:
    """A short name that is the same on machines with the same instructions."""
    found = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                break  # the first core stands for all
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                found.append(line)
    return hashlib.sha256("".join(found).encode()).hexdigest()[:12]
