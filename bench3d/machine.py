"""What the machine has: cores for this process, and memory that may run out, on the CPU or on a GPU."""

from __future__ import annotations

import os

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
