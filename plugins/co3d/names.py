"""Category names of CO3D and of bench3d."""

from __future__ import annotations

# bench3d name -> CO3D folder, where they differ; every other CO3D category keeps its name.
FOLDERS = {"bus": "toybus"}


def folder_of(category: str) -> str:
    """CO3D's folder of a category, by either name."""
    return FOLDERS.get(category, category)


def category_of(folder: str) -> str:
    """bench3d's name of a CO3D folder."""
    return next((ours for ours, theirs in FOLDERS.items() if theirs == folder), folder)
