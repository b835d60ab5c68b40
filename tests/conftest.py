"""Fixtures that several rooms share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in an empty folder: nothing it starts finds the source tree instead of what is installed."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.setenv("BENCH3D_PLUGIN_SECONDS", "0")  # tests install plugins of their own: no child tries them first


@dataclass
class Answer:
    """What a command line left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Runs a command line in this process, 100 columns wide: cli("list", "--json")."""
    from bench3d.cli.main import main

    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        code = main(arguments)
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a throw-away plugin package for one test: install("acme", "source of its module")."""
    from bench3d.plugins import load_registry

    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def make(distribution: str, source: str) -> None:
        module = f"{distribution}_plugin"
        (site / f"{module}.py").write_text(dedent(source))
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[bench3d]\n{distribution} = {module}\n")
        modules.append(module)
        load_registry.cache_clear()

    yield make
    load_registry.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)
