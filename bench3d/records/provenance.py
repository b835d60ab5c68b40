"""Where numbers come from: versions, device, threads, command. No person, host or absolute path gets in."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import bench3d

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "numpy",
    "scipy",
    "numba",
    "opencv-python-headless",
    "pillow",
    "nvdiffrast",
    "kaolin",
)
_PATH = re.compile(r"""(?:(?<=[\s'"=(,:])|^)(?:~|[A-Za-z]:\\|/)[^\s'",;)]*""")


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that numbers depend on; what is not installed is left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def source_commit() -> str | None:
    """Commit of bench3d's own source tree, `-dirty` where it was changed; None for an installed copy."""
    root = Path(bench3d.__file__).resolve().parent.parent
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def device_name(device: str) -> str:
    """Model of the GPU or of the CPU, never the machine's name."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command as typed, with every absolute path shortened to its last part."""
    given = list(sys.argv if arguments is None else arguments)
    return " ".join([Path(given[0]).name or "python", *(without_paths(a) for a in given[1:])]) if given else ""


def without_paths(text: str) -> str:
    """Absolute and home paths inside a text, each cut to its last part."""
    return _PATH.sub(lambda m: re.split(r"[/\\]", m.group().rstrip("/\\"))[-1] or ".", text)


def platform_name() -> str:
    """Operating system and processor type."""
    return f"{platform.system()} {platform.machine()}"


def peak_memory_bytes() -> int | None:
    """Largest resident size of this process so far."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
