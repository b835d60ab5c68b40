"""Content hashes of data sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench3d.records import file_digest


class Digest:
    """SHA-256 over named parts; names and lengths go in too, so that parts cannot run into each other."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        """One part."""
        self._hash.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        self._hash.update(content)

    def add_file(self, name: str, path: Path) -> None:
        """One file's content under `name` (not its path: data may move)."""
        self.add(name, bytes.fromhex(file_digest(path)))

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._hash.hexdigest()
