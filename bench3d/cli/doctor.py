"""`bench3d doctor`: what this machine has, which data are there, and which plugins are broken."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d import __version__
from bench3d.cli.data import DataDirOption, datasets, presence
from bench3d.cli.output import DebugOption, JsonOption, console, duration, gigabytes, print_json
from bench3d.errors import PluginError
from bench3d.machine import usable_cores
from bench3d.plugins import Failure, load_registry
from bench3d.plugins.points import ONLY, Selection, installed
from bench3d.plugins.registry import install_line

if TYPE_CHECKING:
    from bench3d.plugins.probe import Trial

LOW_DISK = 10e9
PLUGIN_SECONDS = 20.0
SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Finding:
    """One line of the report. `state`: ok, note (works without it), problem. `hint` is the next step."""

    part: str
    what: str
    state: str
    detail: str
    hint: str = ""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", short_help="Is the installation in order?", epilog="Example: bench3d doctor")(doctor)


def doctor(
    data: DataDirOption = None,
    results: Annotated[Path, typer.Option(metavar="DIR", help="Where results will go.")] = Path("bench3d-results"),
    plugin_seconds: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How long the import of a plugin may take.")
    ] = PLUGIN_SECONDS,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look at the installation: python, torch, CUDA, optional packages, data, disk, plugins.

    Each plugin is loaded in a child process, so that one that hangs or crashes is told as well. Exit code 5 when a
    plugin is broken.
    """
    trials = try_plugins(plugin_seconds)  # before anything loads the plugins into this process
    findings = [*machine(), *data_findings(data, results), *plugin_findings(trials, debug)]
    broken = any(f.part == "plugins" and f.state == "problem" for f in findings)
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        _print(findings)
    if broken:
        raise typer.Exit(PluginError.exit_code)


def machine() -> list[Finding]:
    """Python, torch, CUDA, numba, threads and the optional packages. Imports torch."""
    found = [
        Finding("machine", "bench3d", "ok", __version__),
        Finding("machine", "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _torch(),
        _module("numba", "it compiles what runs on the CPU: pip install numba", needed=True),
        _module("kaolin", "optional, faster geometry operators on CUDA: see the README"),
    ]
    for registration in load_registry().registrations():
        for name in registration.extras:
            if name not in {f.what for f in found}:
                hint = f"optional, for the {registration.kind} {registration.name}. {install_line(registration)}"
                found.append(_module(name, hint))
    cores = usable_cores()
    threads = {n: os.environ.get(n, "unset") for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    too_many = [n for n, v in threads.items() if v.isdigit() and int(v) > cores]
    detail = f"{cores} cores; " + ", ".join(f"{n} {v}" for n, v in threads.items())
    if too_many:
        detail += ": more threads than cores are slow"
    found.append(Finding("machine", "threads", "note" if too_many else "ok", detail))
    return found


def _torch() -> Finding:
    try:
        import torch

        if torch.cuda.is_available():
            return Finding("machine", "torch", "ok", f"{torch.__version__}, CUDA on {torch.cuda.get_device_name(0)}")
    except Exception as error:
        return Finding("machine", "torch", "problem", f"cannot be imported ({type(error).__name__}: {error})")
    return Finding("machine", "torch", "ok", f"{torch.__version__}, no CUDA: everything runs on the CPU")


def _module(name: str, hint: str, needed: bool = False) -> Finding:
    absent = "problem" if needed else "note"
    if importlib.util.find_spec(name) is None:
        return Finding("machine", name, absent, f"not installed ({hint})")
    try:
        version = getattr(importlib.import_module(name), "__version__", None)
    except Exception as error:  # a package built for another torch fails in many ways
        return Finding("machine", name, "problem", f"installed but broken ({type(error).__name__}: {error})")
    return Finding("machine", name, "ok", str(version or "installed"))


def data_findings(data: Path | None, results: Path) -> list[Finding]:
    """Data root, each data set, the cache of weights, free disk."""
    from bench3d.data.root import data_root

    root = data_root(data)
    found = [Finding("data", "data root", "ok" if root.is_dir() else "note", f"{root}{_absent(root)}")]
    for registration in datasets():
        there = presence(registration, data)
        parts = ["official data there"] if there["official"] else ["official data not there"]
        parts += [f"twins: {', '.join(there['twins'])}"] if there["twins"] else []
        state = "ok" if there["official"] or there["twins"] else "note"
        found.append(Finding("data", registration.name, state, "; ".join(parts)))
    cache = _weights_cache()
    found.append(Finding("data", "weights cache", "ok" if cache.is_dir() else "note", f"{cache}{_absent(cache)}"))
    for what, folder in (("disk for data", root), ("disk for results", results)):
        found.append(_disk(what, folder))
    return found


def _absent(path: Path) -> str:
    return "" if path.is_dir() else " (not there yet)"


def _weights_cache() -> Path:
    home = os.environ.get("HF_HOME")
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home or Path(cache, "huggingface"), "hub")).expanduser()


def _disk(what: str, folder: Path) -> Finding:
    there = next((p for p in (folder.absolute(), *folder.absolute().parents) if p.is_dir()), Path("/"))
    free = shutil.disk_usage(there).free
    writable = os.access(there, os.W_OK)
    detail = f"{gigabytes(free)} free" + ("" if writable else f"; no permission to write {there}")
    return Finding("data", what, "ok" if writable and free > LOW_DISK else "problem", detail)


def try_plugins(seconds: float) -> list[Trial]:
    """Loads every installed plugin in a child process, and remembers which must not be loaded here.

    What BENCH3D_PLUGINS leaves out is not tried.
    """
    from bench3d.plugins.probe import try_all
    from bench3d.plugins.watch import Memory

    selection = Selection.from_environment()
    points = [p for p in installed() if selection.reason(p) is None]
    trials = try_all(points, seconds, at_once=usable_cores())
    memory = Memory.load()
    for trial in trials:
        if trial.state != "untried" and not trial.point.own:
            memory.learn(trial.point, trial.verdict)
    memory.save()
    return trials


def plugin_findings(trials: Sequence[Trial], debug: bool = False) -> list[Finding]:
    """Loaded plugins by package, then every failure and collision, what was left out, and what slows commands down."""
    registry = load_registry()
    found = []
    for package in dict.fromkeys(p.distribution for p in registry.plugins):
        mine = [p for p in registry.plugins if p.distribution == package]
        count = sum(registry.distribution(r) == package for r in registry.registrations())
        version = f" {mine[0].version}" if mine[0].version else ""
        found.append(
            Finding(
                "plugins",
                package + version,
                "ok",
                f"{_counted(len(mine), 'plugin')}, {_counted(count, 'registration')}",
            )
        )
    failures = {(f.plugin, f.distribution): f for f in registry.failures}
    for trial in trials:
        key = (trial.point.name, trial.point.distribution)
        if not trial.safe and key in failures:  # the child knows better where it hung
            failures[key] = replace(failures[key], reason=trial.reason, trace=trial.trace)
        elif not trial.safe:
            failures[key] = Failure(*key, reason=trial.reason, trace=trial.trace, state=trial.state)
    for failure in failures.values():
        detail = failure.trace.rstrip() if debug and failure.trace else failure.reason
        what = f"{failure.plugin} ({failure.distribution})"
        found.append(Finding("plugins", what, "problem", standing_alone(detail), failure.hint))
    for collision in registry.collisions:
        hint = f"Uninstall one, or leave one out by {ONLY}=-{collision.plugin or collision.left_out}."
        found.append(
            Finding("plugins", f"{collision.kind} {collision.name}", "problem", collision.sentence(), hint),
        )
    for left in registry.excluded:
        found.append(Finding("plugins", f"{left.plugin} ({left.distribution})", "note", left.reason, left.hint))
    found += [Finding("plugins", ONLY, "note", sentence) for sentence in registry.notices]
    found += [_slow(t) for t in trials if t.state == "ok" and (t.heavy or t.seconds > SLOW_SECONDS)]
    return found


def _slow(trial: Trial) -> Finding:
    what = f"{trial.point.name} ({trial.point.distribution})"
    why = f", as it imports {' and '.join(trial.heavy)}" if trial.heavy else ""
    hint = "Its author should import such things behind the registration's factory."
    return Finding("plugins", what, "note", f"Every command waits {duration(trial.seconds)} for it{why}.", hint)


def standing_alone(text: str) -> str:
    """What follows "was left out: ", to stand alone."""
    return text[:1].upper() + text[1:] if text.startswith(("it ", "its ", "the ")) else text


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _print(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    styles: dict[str, str] = {"ok": "green", "note": "yellow", "problem": "bold red"}
    out = console()
    for part in dict.fromkeys(f.part for f in findings):
        out.print(Text(part, style="bold cyan"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        table.add_column(width=7, no_wrap=True)
        table.add_column(style="bold", max_width=28)
        table.add_column(overflow="fold")
        for f in findings:
            if f.part == part:
                detail = Text(f.detail)
                if f.hint:
                    detail.append(f"\n{f.hint}", style="dim")
                table.add_row(Text(f.state, style=styles[f.state]), Text(f.what), detail)
        out.print(table)
        out.print()
    problems = [f for f in findings if f.state == "problem"]
    out.print(Text(f"{len(problems)} problems" if problems else "No problems.", style="bold"))
