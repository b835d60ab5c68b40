"""Category names of CO3D and of bench3d."""

from __future__ import annotations

from pathlib import Path

# bench3d name -> CO3D folder, where they differ; every other CO3D category keeps its name.
FOLDERS = {"bus": "toybus"}


def folder_of(category: str) -> str:
    """CO3D's folder of a category, by either name."""
    return FOLDERS.get(category, category)


def category_of(folder: str) -> str:
    """bench3d's name of a CO3D folder."""
    return next((ours for ours, theirs in FOLDERS.items() if theirs == folder), folder)


def recognise(folder: Path) -> bool:
    """Whether `folder` holds categories of CO3D."""
    try:
        return any(place.joinpath("frame_annotations.jgz").is_file() for place in folder.iterdir())
    except OSError:
        return False
