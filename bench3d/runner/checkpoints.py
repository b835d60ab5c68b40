"""`--adapter NAME:CHECKPOINT`: a file, a folder or a hub file in place of a fit. No torch until it is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.contracts import AdapterRegistration
from bench3d.errors import UsageError, WeightsError
from bench3d.plugins import Registry
from bench3d.records import file_digest, identity_hash

HUB_FILE = re.compile(r"[\w.-]+/[\w.-]+/[\w./-]*\w")
PASSING = {"fit.json", "state.safetensors"}
"""Files beside an artifact that decide no number."""


@dataclass(frozen=True)
class Checkpoint:
    """What a user gave, and what stands for it in an identity: the content of files, or the name of a hub file."""

    text: str
    identity: dict[str, Any]

    def fetch(self, owner: str) -> Path:
        """The file or folder on this disk. WeightsError where a hub file cannot be had."""
        if "hub" not in self.identity:
            return Path(self.text).expanduser()
        from bench3d.features.weights import hub_file

        organisation, repository, name = self.text.split("/", 2)
        return hub_file(f"{organisation}/{repository}", [name], owner).path


def split_adapter(registry: Registry, name: str) -> tuple[str, Checkpoint | None]:
    """The adapter's registered name, and the checkpoint behind a colon.

    Raises:
        UsageError: the adapter takes no checkpoints, or nothing stands behind the colon.
        WeightsError: there is no such file or folder, and it is no name of a hub file either.
    """
    base, colon, text = name.partition(":")
    if not colon or name in registry.names("adapter") or base not in registry.names("adapter"):
        return name, None
    registration = registry.find("adapter", base)
    assert isinstance(registration, AdapterRegistration)
    if not registration.checkpoints:
        raise UsageError(f"The adapter {base} takes no checkpoint.", f"Use --adapter {base}.")
    if not text:
        raise UsageError(f"--adapter {name} names no checkpoint.", f"Use --adapter {base}, or {base}:PATH.")
    return base, Checkpoint(text, _identity(text))


def _identity(text: str) -> dict[str, Any]:
    path = Path(text).expanduser()
    if path.is_file():
        return {"sha256": file_digest(path)}
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and p.name not in PASSING and p.name[0] != ".")
        if not files:
            raise WeightsError(f"The folder {text} holds no checkpoint.", "Give the folder of a fitted adapter.")
        return {"sha256": identity_hash({p.name: file_digest(p) for p in files})}
    if HUB_FILE.fullmatch(text):
        return {"hub": text}
    raise WeightsError(
        f"There is no checkpoint {text}.",
        "Give a file, the folder of a fitted adapter, or a hub file as organisation/repository/file.",
    )
