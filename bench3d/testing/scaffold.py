"""`bench3d plugin new`: a module and a pyproject.toml that install, run and pass the checks at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from bench3d import __version__
from bench3d.contracts import BackboneRegistration, DatasetRegistration, Weights
from bench3d.errors import OutputError, UnknownNameError, UsageError
from bench3d.files import write_text
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean
from bench3d.plugins.registry import KINDS

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 50
_PREFIX = "bench3d-"
_DEFAULT = "bench3d.features.settings:InputSettings"
_FEW = "--synthetic --category car --limit 20"
TRY: Mapping[str, str] = {
    "backbone": "bench3d run --backbone {name} --task {task} " + _FEW + "{weights}",
    "adapter": "bench3d run --backbone {floor} --adapter {name} --task {task} " + _FEW,
    "shape-model": "bench3d run --backbone {floor} --shape-model {name} --task {pose} " + _FEW,
    "task": "bench3d run --backbone {floor} --task {name} " + _FEW,
    "dataset": "bench3d data synth {name}",
    "renderer": "bench3d describe {name}",
    "executor": "bench3d grid run smoke --executor {name}",
    "logger": "bench3d run --backbone {floor} --task {task} " + _FEW + " --log {name}",
    "command": "bench3d {name} --help",
}
"""What to type to see a new plugin of a kind at work."""


@dataclass(frozen=True)
class NewPlugin:
    """A package that was written.

    Attributes:
        folder: with the files.
        files: paths relative to it.
        steps: (what to type, what it does), in order.
    """

    folder: Path
    files: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]


def new_plugin(
    name: str,
    kind: str,
    *,
    out: Path | None = None,
    source: str | None = None,
    author: str = "",
    tests: bool = False,
) -> NewPlugin:
    """Writes a package for a plugin of a kind.

    Args:
        name: what users will type; lower case letters, digits and single hyphens.
        kind: of what it registers.
        out: the folder to write, which must not be there or be empty; None for one named as the distribution.
        source: of a backbone: a registered one, or one of a family ("timm:resnet50"), that it is made from.
        author: for the metadata, as "Name" or "Name <address>".
        tests: also write a test that runs the conformance kit.

    Raises:
        UsageError: a name that cannot be, or is taken; UnknownNameError: no such kind or source.
        OutputError: the folder is there, or cannot be written.
    """
    word = kind.casefold().replace("_", "-").removesuffix("s")
    if word not in KINDS:
        raise UnknownNameError(f"There is no kind {kind} of plugin.", did_you_mean(word, KINDS))
    check_name(name, word)
    if source is not None and word != "backbone":
        raise UsageError(f"--from is for backbones, and this is a {word}.", "Leave it out.")
    distribution = name if name.startswith(_PREFIX) else _PREFIX + name
    folder = out or Path(distribution)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already.", "Choose another folder with --out.")
    values = {
        "name": name,
        "kind": word,
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "version": __version__,
        "description": f"The {word.replace('-', ' ')} {name}",
        "authors": f"authors = [{_author(author)}]" if author.strip() else "",
        "train_dataset": _dataset("sequences") or "",
        "dataset": _dataset("poses") or "",
        "try_it": try_line(word, name, source),
        **(_source(source) if source else {}),
    }
    written = {
        "pyproject.toml": _filled("pyproject.toml", values),
        f"{values['module']}.py": _filled(f"{word.replace('-', '_')}{'_from' if source else ''}.py", values),
        "README.md": _filled("README.md", values),
    }
    if tests:
        written[f"test_{values['module']}.py"] = _filled("test_plugin.py", values)
    for path, text in written.items():
        write_text(folder / path, text)
    return NewPlugin(folder, tuple(written), _steps(folder, word, name, values["try_it"]))


def check_name(name: str, kind: str) -> None:
    """Whether a plugin may be called so.

    Raises:
        UsageError: no such name can be, it is Python's, or something that is installed has it.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:_LONGEST]
        hint = f"For example {plain}." if plain else "For example my-backbone."
        raise UsageError(
            f"{name!r} is no name of a plugin: lower case letters, digits and single hyphens, {_LONGEST} at the most.",
            hint,
        )
    if name in KINDS or name in ("none", "all", "auto", "bench3d") or name.replace("-", "_") in sys.stdlib_module_names:
        raise UsageError(f"{name} means something else already.", f"For example my-{name}.")
    registry = load_registry()
    for registration in registry.registrations():
        if registration.name == name:
            taken = f"the package {registry.distribution(registration)} registers a {registration.kind} {name}"
            raise UsageError(f"The name is taken: {taken}.", f"For example my-{name}.")
    if kind == "command":
        return
    if any(r.name.rstrip(":") == name for r in registry.registrations(kind)):
        raise UsageError(f"The name is taken: {name}: is a family of {kind}s.", f"For example my-{name}.")


def try_line(kind: str, name: str, source: str | None) -> str:
    """What to type to see it at work, with the registered things that it needs."""
    registry = load_registry()
    floors = [
        r.name
        for r in registry.registrations("backbone")
        if isinstance(r, BackboneRegistration) and r.weights is None and not r.name.endswith(":")
    ]
    return TRY[kind].format(
        name=name,
        floor=next(iter(floors), "BACKBONE"),
        task=_task(()) or "TASK",
        pose=_task(("pose",)) or "TASK",
        weights=" --weights random" if source else "",
    )


def _task(requires: tuple[str, ...]) -> str | None:
    """The first task that requires exactly this and whose data set has a twin."""
    registry = load_registry()
    twins = {d.name for d in registry.registrations("dataset") if isinstance(d, DatasetRegistration) and d.synth}
    tasks = [t for t in registry.registrations("task") if getattr(t, "dataset", None) in twins]
    return next((t.name for t in tasks if {*getattr(t, "requires", ())} - {"features"} == {*requires}), None)


def _dataset(what: str) -> str | None:
    """A data set of posed images (the first pose task's), or of sequences (what shape models are fitted on)."""
    registry = load_registry()
    if what == "poses":
        name = _task(("pose",))
        return None if name is None else str(getattr(registry.find("task", name), "dataset", ""))
    fitted = [getattr(r, "train_dataset", None) for r in registry.registrations("shape-model")]
    return next((name for name in fitted if name), None)


def _source(source: str) -> dict[str, str]:
    """What the template of a backbone with another name takes over from the registration that it stands on."""
    registration = load_registry().get("backbone", source)
    assert isinstance(registration, BackboneRegistration)
    facts = [("settings", registration.settings or _DEFAULT)]
    facts += [(key, getattr(registration, key)) for key in ("licence", "citation", "url", "params", "patch", "dim")]
    lines = "".join(f"            {key}={_quoted(value)},\n" for key, value in facts if value)
    if not registration.licence:
        lines += '            licence="that of the weights",\n'
    weights = registration.weights
    if weights is None:
        return {"source": source, "facts": lines, "weights_import": ""}
    variant = source[len(registration.name) :]
    about = {"source": weights.source, "id": weights.id.replace("{variant}", variant), "revision": weights.revision}
    words = ", ".join(f"{key}={_quoted(value)}" for key, value in about.items() if value)
    assert isinstance(weights, Weights)
    return {"source": source, "facts": f"{lines}            weights=Weights({words}),\n", "weights_import": ", Weights"}


def _quoted(value: object) -> str:
    """A value as source code with double quotes."""
    if not isinstance(value, str):
        return repr(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _author(author: str) -> str:
    """An inline table of TOML."""
    name, _, address = author.strip().partition("<")
    address = address.rstrip(">").strip()
    if any(c in author for c in "\n\r") or (address and "@" not in address):
        raise UsageError(f"{author!r} is no author.", 'Write "Name" or "Name <address>".')
    parts = [f"name = {_quoted(name.strip())}"] if name.strip() else []
    parts += [f"email = {_quoted(address)}"] if address else []
    return "{ " + ", ".join(parts) + " }"


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with the values in it. A line that is left empty by a value goes."""
    text = files("bench3d.testing").joinpath("templates").joinpath(f"{template}.tmpl").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if Template(line).substitute(values).strip() or not line.strip()]
    return Template("".join(kept)).substitute(values)


def _steps(folder: Path, kind: str, name: str, try_it: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"pip install -e {folder}", "install it; edits take effect at once"),
        (f"bench3d plugin check {name}", "hold it against the contract"),
        (try_it, "see it at work"),
        (f"pip install build twine && python -m build {folder} && twine upload {folder}/dist/*", "publish it"),
    )
