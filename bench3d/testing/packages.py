"""A plugin package that is not installed: its pyproject read, and made visible as if it were. Nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench3d.errors import UsageError
from bench3d.files import write_text
from bench3d.plugins.points import GROUP

PYPROJECT = "pyproject.toml"
SOURCES = ("src",)


@dataclass(frozen=True)
class Package:
    """What pyproject.toml says.

    Attributes:
        points: entry points of the group `bench3d`: name -> "module".
        paths: folders to import from.
    """

    name: str
    version: str
    points: dict[str, str]
    paths: tuple[Path, ...]


def read_package(folder: Path) -> Package:
    """Reads the pyproject.toml of a folder.

    Raises:
        UsageError: there is none, it is broken, or it names no plugin.
    """
    path = folder / PYPROJECT
    project = _table(_parsed(path).get("project"), path, "project")
    name = project.get("name")
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{path}: the field project.name is missing.", 'Write name = "my-plugin" under [project].')
    points = _table(_table(project.get("entry-points"), path, "project.entry-points").get(GROUP), path, GROUP)
    if not points or not all(isinstance(v, str) and v for v in points.values()):
        raise UsageError(
            f"{path} names no plugin of bench3d.",
            f'Add [project.entry-points.{GROUP}] with a line such as mine = "my_plugin".',
        )
    paths = tuple(p for p in (*(folder / s for s in SOURCES), folder) if p.is_dir())
    for module in points.values():
        _importable(str(module).partition(":")[0].strip(), paths, path)
    return Package(name.strip(), str(project.get("version", "0")), {k: str(v) for k, v in points.items()}, paths)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no {path}.", "Give a registered name, or the folder of a plugin package.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error


def _table(value: Any, path: Path, field: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: the field {field} is no table.")
    return value


def _importable(module: str, paths: tuple[Path, ...], pyproject: Path) -> None:
    top = module.partition(".")[0]
    if not any((p / top).is_dir() or (p / f"{top}.py").is_file() for p in paths):
        raise UsageError(
            f"{pyproject} names the module {module}, which stands neither beside it nor in src/.",
            "Install the package (pip install -e FOLDER) and check it by its name.",
        )


def make_visible(package: Package, folder: Path) -> list[str]:
    """Writes what `pip install` would say of the package into `folder`; returns what to put before sys.path.

    So every process that has these paths finds its entry points, and nothing is installed.
    """
    stem = package.name.replace("-", "_").replace(".", "_")
    info = folder / f"{stem}-{package.version.replace('-', '_')}.dist-info"
    write_text(info / "METADATA", f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n")
    lines = [f"{name} = {value}" for name, value in package.points.items()]
    write_text(info / "entry_points.txt", "\n".join([f"[{GROUP}]", *lines, ""]))
    return [str(folder), *(str(p.absolute()) for p in package.paths)]
