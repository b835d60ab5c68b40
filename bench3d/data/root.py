"""Where data sets stand, and what a user reads when one is missing."""

from __future__ import annotations

import os
from pathlib import Path

from bench3d.contracts.registration import DatasetRegistration
from bench3d.errors import DataError
from bench3d.machine import user_cache

ENVIRONMENT = "BENCH3D_DATA"


def data_root(argument: str | os.PathLike[str] | None = None) -> Path:
    """The data root: the argument, else the environment variable BENCH3D_DATA, else the user's cache folder."""
    if argument is not None:
        return Path(argument).expanduser()
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT]).expanduser()
    return user_cache() / "bench3d" / "data"


def twin_root(root: Path, name: str) -> Path:
    """Folder of the synthetic twin called `name`; it holds the same dataset folders as a data root."""
    return root / "synthetic" / name


def dataset_folder(registration: DatasetRegistration, root: Path) -> Path:
    """The folder of a data set under `root`; `root` itself is taken where it already is that folder.

    Raises:
        DataError: with where it was looked for, its size, its licence and how to get it.
    """
    folder = root / registration.folder
    if folder.is_dir():
        return folder
    if root.name == registration.folder and root.is_dir():
        return root
    facts = ", ".join(
        part for part in (human_bytes(registration.bytes), f"licence: {registration.licence or 'unknown'}") if part
    )
    hint = registration.how_to_get or "Put the data set there, or link to it."
    if registration.synth:
        hint += " Or use --synthetic: a generated twin in the same layout."
    raise DataError(f"{registration.name} was not found: there is no folder {folder} ({facts}).", hint)


def human_bytes(count: int | None) -> str:
    """A size for people: 7.5 GB; empty for None."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
