"""Entry points: which plugins are installed, and which of them BENCH3D_PLUGINS leaves in. Nothing is imported here."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

from bench3d import __version__
from bench3d.plugins.names import did_you_mean

GROUP = "bench3d"
HOST = "bench3d"
"""bench3d's own distribution: loaded first, so that its names cannot be taken over."""
ONLY = "BENCH3D_PLUGINS"
_FIELD = re.compile(r"^(Name|Version):\s*(.+?)\s*$", re.MULTILINE)
_MANY_FILES = 1000


@dataclass(frozen=True)
class Point:
    """An installed entry point: its name, "module" it names, and the distribution with version that brings it."""

    name: str
    value: str
    distribution: str
    version: str

    @property
    def key(self) -> str:
        """What is unique among the installed: distribution/name."""
        return f"{self.distribution}/{self.name}"

    @property
    def own(self) -> bool:
        """Whether bench3d itself brings it."""
        return self.distribution == HOST

    def entry(self) -> EntryPoint:
        """To be loaded."""
        return EntryPoint(self.name, self.value, GROUP)

    def stamp(self, whole: bool = False) -> str:
        """What changes when the plugin is installed anew or its module is edited.

        Args:
            whole: look at every source file of its package, not only at the module that the entry point names.
        """
        path = self.source()
        files = [path] if path is not None else []
        if whole and path is not None and path.name == "__init__.py":
            files = sorted(path.parent.rglob("*.py"))[:_MANY_FILES]
        marks = []
        for file in files:
            try:
                facts = file.stat()
            except OSError:
                continue
            marks.append((facts.st_mtime_ns, facts.st_size))
        newest = max(marks, default=(0, 0))
        python = f"{sys.prefix} {sys.version_info[0]}.{sys.version_info[1]}"
        count = f"{len(files)} files" if whole else ""
        return "|".join(map(str, (self.key, self.version, self.value, path, *newest, count, python, __version__)))

    def source(self) -> Path | None:
        """The file of the module that it names; None where that cannot be told without importing something."""
        top, *inner = self.value.partition(":")[0].strip().split(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None or not spec.origin or not os.path.isabs(spec.origin):
            return None
        path = Path(spec.origin)
        for part in inner:
            folder = path.parent / part
            path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        return path if path.is_file() else Path(spec.origin)


def installed() -> list[Point]:
    """Every entry point of the group, in the order of loading: bench3d's own, then by distribution and name."""
    return in_order(entry_points(group=GROUP))


def in_order(found: Iterable[EntryPoint]) -> list[Point]:
    """The same for given entry points."""
    found = tuple(found)
    known: dict[int, tuple[str, str]] = {}
    points = []
    for entry in found:
        dist = entry.dist
        if dist is not None and id(dist) not in known:
            known[id(dist)] = _origin(dist)
        points.append(Point(entry.name, entry.value, *(known[id(dist)] if dist is not None else ("unknown", ""))))
    return sorted(points, key=lambda p: (not p.own, p.distribution.casefold(), p.name))


def _origin(dist: Distribution) -> tuple[str, str]:
    """Name and version. Only the head of the metadata is read: parsing the whole README takes longer than all else."""
    text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    head = text.partition("\n\n")[0]
    found = dict(_FIELD.findall(head))
    return found.get("Name", "unknown"), found.get("Version", "")


@dataclass(frozen=True)
class Selection:
    """BENCH3D_PLUGINS read: names or globs of entry points or distributions, those behind a minus are left out.

    Where any stands without a minus, only these are loaded, and bench3d's own. An own one is left out only by a
    pattern that holds more than wildcards: `-*` leaves all others out.
    """

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> Selection:
        """What BENCH3D_PLUGINS says now; everything where it is unset or empty."""
        items = [item.strip() for item in os.environ.get(ONLY, "").split(",")]
        unwanted = tuple(i[1:].strip() for i in items if i.startswith("-") and i[1:].strip())
        return cls(tuple(i for i in items if i and not i.startswith("-")), unwanted)

    def reason(self, point: Point) -> str | None:
        """Why a plugin is not loaded, in a sentence; None where it is."""
        for pattern in self.unwanted:
            if _fits(point, pattern) and (pattern.strip("*?") or not point.own):
                return f"{ONLY} leaves it out (-{pattern})."
        if self.wanted and not point.own and not any(_fits(point, p) for p in self.wanted):
            return f"{ONLY} names only {', '.join(self.wanted)}."
        return None

    def unknown(self, points: list[Point]) -> list[str]:
        """A sentence for each pattern that fits nothing installed."""
        names = sorted({n for p in points for n in (p.name, p.distribution)})
        told = []
        for pattern in (*self.wanted, *self.unwanted):
            if not any(_fits(p, pattern) for p in points) and pattern.strip("*?"):
                told.append(
                    f"{ONLY} names {pattern}, but no installed plugin or package is called that.{_near(pattern, names)}"
                )
        return told


def _near(pattern: str, names: list[str]) -> str:
    hint = did_you_mean(pattern, names)
    return f" {hint}" if hint.startswith("Did you mean") else ""


def _fits(point: Point, pattern: str) -> bool:
    wanted = _plain(pattern)
    return any(fnmatch.fnmatchcase(_plain(name), wanted) for name in (point.name, point.distribution))


def _plain(name: str) -> str:
    """Upper case, underscore and dot make no difference, as in pip."""
    return re.sub(r"[-_.]+", "-", name).casefold()
