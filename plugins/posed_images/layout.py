"""Where `transforms.json` stands: in the folder itself, or in each of its subfolders."""

from __future__ import annotations

import os
from pathlib import Path

TRANSFORMS = "transforms.json"
MODELS = ("colmap/sparse/0", "sparse/0")


def scene_folders(root: Path) -> list[Path]:
    """The root where it holds a transforms.json, else its subfolders that do, sorted by name."""
    if (root / TRANSFORMS).is_file():
        return [root]
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return [root / name for name in names if (root / name / TRANSFORMS).is_file()]


def model_folder(folder: Path) -> Path | None:
    """The COLMAP model of a scene, None where there is none."""
    return next((folder / one for one in MODELS if (folder / one / "images.bin").is_file()), None)


def recognise(folder: Path) -> bool:
    """Whether `folder` holds a transforms.json, or subfolders that do."""
    try:
        return bool(scene_folders(folder))
    except OSError:
        return False
