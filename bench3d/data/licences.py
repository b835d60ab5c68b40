"""Licences that the user has accepted: kept in `<data root>/licences.json` with the day and a digest of the text."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench3d.errors import DataError
from bench3d.files import write_json

FILE = "licences.json"


def accepted(root: Path, name: str, licence: str | None = None) -> bool:
    """Whether the licence of `name` (a data set, or a backbone's weights) was accepted under this data root.

    With `licence` also whether it was this text: who accepted another one is asked again.

    Raises:
        DataError: the file is broken.
    """
    entry = _read(root).get(name)
    return entry is not None and (licence is None or entry.get("sha256") == _digest(licence))


def accept(root: Path, name: str, licence: str) -> None:
    """Remembers that the user has accepted the licence of `name`.

    Raises:
        DataError: the file is broken. OutputError: it cannot be written.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = {"accepted": now, "licence": licence, "sha256": _digest(licence)}
    write_json(root / FILE, {**_read(root), name: entry})


def _digest(licence: str) -> str:
    return hashlib.sha256(" ".join(licence.split()).encode()).hexdigest()


def _read(root: Path) -> dict[str, dict[str, Any]]:
    path = root / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(values, dict):
        raise _broken(path, "it is no mapping")
    for name, entry in values.items():
        if not isinstance(entry, dict):
            raise _broken(path, f"the entry {name} is no mapping")
    return values


def _broken(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path} is no readable list of accepted licences ({reason}).", "Delete it and accept the licences again."
    )
