"""What a mesh file names beside itself (materials, textures, buffers): from its own folder, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image
from trimesh.resolvers import Resolver

MAX_BYTES = 2 * 10**9
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff", ".webp", ".gif")


class MeshFolder(Resolver):
    """Gives trimesh the bytes of files in `folder` or below it. Nothing is written and no address is opened.

    A name that leads elsewhere is tried by its last part in the folder, as exporters write the full paths of another
    machine. `problems` holds a few words on each file that could not be had.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.problems: list[str] = []

    def get(self, key: str) -> bytes:
        """A file's bytes; FileNotFoundError where it is missing, is elsewhere, or is no readable image."""
        name = str(key).strip().strip("\"'")
        place = self._place(name)
        if place is None:
            leaves = self._leaves(name)
            raise self._problem(f"{name!r} lies outside the mesh's folder" if leaves else f"{name!r} is missing")
        try:
            if place.stat().st_size > MAX_BYTES:
                raise self._problem(f"{name!r} is larger than {MAX_BYTES / 1e9:.0f} GB")
            content = place.read_bytes()
            if place.suffix.lower() in IMAGES:
                Image.open(BytesIO(content)).close()
        except FileNotFoundError:
            raise
        except Exception as error:
            # PIL raises much more than OSError, depending on the codec.
            raise self._problem(f"{name!r} cannot be read") from error
        return content

    def _problem(self, words: str) -> FileNotFoundError:
        if words not in self.problems:
            self.problems.append(words)
        return FileNotFoundError(words)

    def _inside(self, name: str) -> Path | None:
        """The resolved path of a name below the folder; None outside, and for what is no path at all."""
        try:
            place = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError):
            return None
        return place if place.is_relative_to(self.folder) else None

    def _leaves(self, name: str) -> bool:
        return self._inside(unquote(name).replace("\\", "/")) is None

    def _place(self, name: str) -> Path | None:
        plain = unquote(name).replace("\\", "/")
        for candidate in (name, plain, plain.rsplit("/", 1)[-1]):
            place = self._inside(candidate) if candidate else None
            if place is not None and place.is_file():
                return place
        return None

    def keys(self) -> Iterator[str]:
        """No listing: names come from the mesh file."""
        return iter(())

    def namespaced(self, namespace: str) -> MeshFolder:
        """A folder below; this folder where that is outside."""
        place = self._inside(namespace)
        return MeshFolder(place if place is not None else self.folder)

    def write(self, name: str, data: Any) -> None:
        """Refused."""
        raise PermissionError("meshes are only read")
