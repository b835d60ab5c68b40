"""The distribution and the house rules that a machine can check: packages, import directions, names."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench3d

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # what pytest itself needs on Python 3.10

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Left imports right, never the other way; `errors` and `files` are below all.
ROOMS = [
    "cli", "api", "testing", "leaderboard", "grid", "runner", "morphable", "fit", "synth", "features", "data",
    "records", "plugins",
    "metrics", "render", "geometry", "contracts", "processes", "machine", "files", "errors",
]  # fmt: skip
FORBIDDEN_TO_PLUGINS = {"cli", "api", "testing", "leaderboard", "grid", "runner"}


def sources(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts)


def imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, wherever in the file, but those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_package_list_is_what_is_on_disk():
    setup = PYPROJECT["tool"]["setuptools"]
    listed = set(setup["packages"])
    on_disk = set()
    for package, folder in setup["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            inside = init.parent.relative_to(ROOT / folder).parts
            on_disk.add(".".join((package, *inside)))
    assert listed == on_disk


def test_every_folder_with_python_files_is_a_package():
    for folder in ("bench3d", "plugins"):
        for path in sources(folder):
            assert (path.parent / "__init__.py").is_file(), path


def test_every_entry_point_is_a_listed_package():
    packages = set(PYPROJECT["tool"]["setuptools"]["packages"])
    assert set(PYPROJECT["project"]["entry-points"]["bench3d"].values()) == {
        p for p in packages if p.startswith("bench3d_plugins.")
    }


def test_the_version_is_stated_once():
    assert bench3d.__version__ == PYPROJECT["project"]["version"]


@pytest.mark.parametrize("folder", ["bench3d", "plugins", "configs", "tests"])
def test_nothing_is_imported_under_its_folder_name(folder):
    """`plugins.x` would be a second module object beside `bench3d_plugins.x`."""
    for path in sources(folder):
        for name in imports(path):
            assert name.split(".")[0] not in ("plugins", "configs"), f"{path} imports {name}"


@pytest.mark.parametrize("room", [r for r in ROOMS if (ROOT / "bench3d" / r).is_dir()])
def test_rooms_import_one_way(room):
    for path in sources(f"bench3d/{room}"):
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] != "bench3d_plugins", f"the host imports a plugin: {path} imports {name}"
            if parts[0] == "bench3d" and len(parts) > 1 and parts[1] in ROOMS:
                assert ROOMS.index(parts[1]) >= ROOMS.index(room), f"{path} imports {name}"


def test_every_room_has_its_place_in_the_order():
    rooms = {p.parent.name for p in (ROOT / "bench3d").glob("*/__init__.py")}
    assert rooms <= set(ROOMS)


def test_plugins_import_neither_each_other_nor_the_upper_rooms():
    for path in sources("plugins"):
        own = path.relative_to(ROOT / "plugins").parts[0]
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "bench3d_plugins" and len(parts) > 1:
                assert parts[1] == own, f"{path} imports {name}"
            if parts[0] == "bench3d" and len(parts) > 1:
                assert parts[1] not in FORBIDDEN_TO_PLUGINS, f"{path} imports {name}"


def test_the_host_names_no_plugin():
    """No string in the host is the name of something that ships as a plugin, but in docstrings, help and examples."""
    from bench3d.plugins import load_registry

    registry = load_registry()
    shipped = {r.name for r in registry.registrations() if registry.distribution(r) == "bench3d"}
    assert shipped
    words = {"cpu", "csv", "noise"} | {
        e for r in registry.registrations() for e in r.extras
    }  # also a device, a kind of file, a texture, libraries
    for path in sources("bench3d"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in shipped - words, f"{path}:{node.lineno} names {node.value}"


LIGHT = """
import sys
from bench3d.cli.main import main
code = main({arguments!r})
heavy = {{"torch", "numpy", "scipy", "cv2", "numba", "timm", "open_clip", "matplotlib", "PIL"}} & set(sys.modules)
sys.stderr.write("heavy: " + " ".join(sorted(heavy)))
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"], ["matrix"], ["run", "--help"]])
def test_listing_imports_nothing_heavy(arguments):
    """The measured 0.2 s of `bench3d list` hold as long as this does; time itself is not asserted."""
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(arguments=arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "heavy: "


DESCRIBE = """
import sys
from bench3d.cli.catalog import details
from bench3d.plugins import load_registry
for registration in load_registry().registrations():
    page = details(load_registry(), registration)
    assert "torch" not in sys.modules, registration.name
    assert page["summary"] and page["kind"] == registration.kind
"""


def test_describe_loads_settings_without_torch():
    done = subprocess.run([sys.executable, "-c", DESCRIBE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_ships_loads_without_failure_or_collision():
    from bench3d.plugins import load_registry

    registry = load_registry()
    assert registry.failures == [] and registry.collisions == []
    assert {p.name for p in registry.plugins} >= set(PYPROJECT["project"]["entry-points"]["bench3d"])
