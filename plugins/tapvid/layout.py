"""Names and places of the files. Loads no torch."""

from __future__ import annotations

from pathlib import Path

OFFICIAL = "tapvid_davis.pkl"
STRIDED = "tapvid_davis_data_strided.pkl"
FRAMES = "tapvid-davis"


def find(root: Path, name: str) -> Path:
    """A file or folder in `root` or one of its folders; where it should be, if it is nowhere."""
    if (root / name).exists() or not root.is_dir():
        return root / name
    return next((p / name for p in sorted(root.iterdir()) if p.is_dir() and (p / name).exists()), root / name)


def frame_folder(root: Path, index: int) -> Path:
    """The folder of a video's frames in DINO-Tracker's layout."""
    return find(root, FRAMES) / str(index) / "video"


def recognise(folder: Path) -> bool:
    """Whether a folder holds one of the two pickles."""
    return folder.is_dir() and any(find(folder, name).is_file() for name in (OFFICIAL, STRIDED))
