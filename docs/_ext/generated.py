"""Markdown made from registrations, contracts, the conformance kit, the command line and the committed tables."""

from __future__ import annotations

import importlib.resources
import inspect
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from command_reference import commands
from tables import cell, code, table

from bench3d.contracts import Registration, TaskRegistration
from bench3d.plugins import load_registry, load_settings, settings_model
from bench3d.plugins.settings import SCOPES

TOP = Path(__file__).resolve().parents[2]
OWN = "bench3d"


def registered(kind: str) -> list[Registration]:
    """What ships of a kind, by name."""
    registry = load_registry()
    return [r for r in registry.registrations(kind) if registry.distribution(r) == OWN]


def names(kind: str) -> str:
    """Table of what ships of a kind."""
    rows = [
        [code(r.name + ("NAME" if r.name.endswith(":") else "")), cell(r.summary), cell(r.licence)]
        for r in registered(kind)
    ]
    return table(["name", "what", "licence"], rows) if rows else f"None ships; `bench3d list {kind}s` shows yours.\n"


def checks(kind: str) -> str:
    """Table of what the conformance kit checks of a kind."""
    from bench3d.testing.checks import checks_for

    return table(["check", "promise"], ([code(c.name), cell(c.says)] for c in checks_for(kind)))


def settings(arguments: str) -> str:
    """Table of the settings of `KIND NAME`."""
    kind, name = arguments.split()
    return settings_of(load_registry().find(kind, name))


def settings_of(registration: Registration) -> str:
    """Table of a registration's settings."""
    from bench3d.cli.catalog import type_name

    scope, rows = SCOPES.get(registration.kind, registration.kind), []
    for key, info in settings_model(registration).model_fields.items():
        default = "required" if info.is_required() else info.get_default(call_default_factory=True)
        said = cell(info.description or "")
        rows.append([code(f"{scope}.{key}"), code(default), said or code(type_name(info.annotation))])
    return table(["setting", "default", "meaning"], rows)


def task(name: str) -> str:
    """Facts, protocols, metrics and settings of a task."""
    r = load_registry().find("task", name)
    assert isinstance(r, TaskRegistration)
    data = f"`{r.dataset}`"
    facts = [
        f"- **Data set**: {data}" + (f", or any folder of {r.accepts}" if r.accepts else ""),
        f"- **Needs of a model**: {', '.join(r.requires)}",
        f"- **Headline**: {r.headline}",
        f"- **Result version**: {r.result_version}",
        f"- **Source**: {cell(r.citation)}",
    ]
    if r.validation:
        own = ", ".join(f"`task.{k}={v}`" for k, v in r.validation.items())
        facts.append(f"- **Validation data** (`--layer auto`): {own}")
    return "\n".join([*facts, "", "## Protocols", "", protocols(r), "## Metrics", "", metrics(r), "## Settings", "",
                      "Each is a `--set` of `bench3d run`; those above that a protocol sets replace the defaults here.",
                      "", settings_of(r)])  # fmt: skip


def protocols(r: TaskRegistration) -> str:
    """Table of a task's protocols, the default first."""
    rows = []
    for p in r.protocols:
        own = [f"`task.{k}={_plain(v)}`" for k, v in p.settings.items()]
        own += [f"`backbone.{k}={_plain(v)}`" for k, v in p.backbone.items()]
        rows.append(
            [f"`{p.name}` v{p.version}", cell(p.summary), cell(", ".join(p.oracles) or "nothing"), ", ".join(own)]
        )
    heads = ["protocol", "what", "given to the model", "sets"]
    return table(heads, rows) + "\nThe first is the default.\n"


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def metrics(r: TaskRegistration) -> str:
    """Table of the metrics under the default protocol."""
    first = r.protocols[0]
    made = load_registry().create(
        "task", r.name, settings=load_settings(r, overrides=dict(first.settings)), protocol=first
    )
    rows = [
        [cell(m.name), cell(m.unit), "higher" if m.higher_is_better else "lower", cell(m.order), str(m.version),
         cell(", ".join(m.chance or ()) or "none")]
        for m in made.metrics
    ]  # fmt: skip
    heads = ["metric", "unit", "better", "average", "version", "chance levels"]
    return f"Under `{first.name}`:\n\n" + table(heads, rows)


def reported(name: str) -> str:
    """Tables of the numbers that papers report for a task, a table per place of a source."""
    from bench3d.leaderboard.reported import load_reported

    found = load_reported()
    mine = [v for v in found.values if v.task == name]
    if not mine:
        return "No paper's numbers are committed for this task.\n"
    blocks = []
    for key in dict.fromkeys((v.source, v.where) for v in mine):
        values = [v for v in mine if (v.source, v.where) == key]
        source, place = found.sources[key[0]], found.place(values[0])
        like = [p.partition("/")[2] for p in place.like if p.startswith(f"{name}/")]
        notes = [f"{place.about}.", f"Follows protocol {', '.join(f'`{p}`' for p in like)}." if like else ""]
        differs = place.differs if like else place.otherwise.get(name, place.differs)
        notes += [f"Differs: {differs}." if differs else "", "Read off a plot." if values[0].read_off else ""]
        head = f"### {source.short}, {key[1]}\n\n{cell(' '.join(filter(None, notes)))} [Source]({source.url}).\n"
        blocks.append(head + "\n" + _values(values))
    return "\n".join(blocks)


def _values(values: Sequence[Any]) -> str:
    columns = list(dict.fromkeys((v.metric, v.category, v.unit) for v in values))
    several = len({c[0] for c in columns}) > 1
    heads = ["method", "setting"] + [
        " ".join([m if several or c == "mean" else "", "" if c == "mean" and several else c, u]).strip()
        for m, c, u in columns
    ]
    rows: dict[tuple[str, str], dict[tuple[str, str, str], float]] = {}
    for v in values:
        rows.setdefault((v.method, v.setting), {})[v.metric, v.category, v.unit] = v.value
    return table(
        [cell(h) for h in heads],
        ([cell(m), cell(s), *(f"{row[c]:g}" if c in row else "" for c in columns)] for (m, s), row in rows.items()),
    )


def presets(arguments: str) -> str:
    """Table of the presets of `KIND NAME`."""
    from bench3d.plugins import load_preset, preset_names

    kind, name = arguments.split()
    r = load_registry().find(kind, name)
    return table(["preset", "what"], ([code(n), cell(load_preset(r, n).summary)] for n in preset_names(r)))


def template(kind: str) -> str:
    """The module that `bench3d plugin new my-KIND --kind KIND` writes."""
    from bench3d.testing.scaffold import new_plugin

    with tempfile.TemporaryDirectory() as folder:
        made = new_plugin(f"my-{kind}", kind, out=Path(folder) / "new")
        (module,) = [made.folder / name for name in made.files if name.endswith(".py")]
        text = module.read_text(encoding="utf-8")
    return f"```python\n{text.rstrip()}\n```\n"


def readme(heading: str) -> str:
    """A section of README.md by its heading, without the heading; deeper headings stay one level deep."""
    lines = (TOP / "README.md").read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(heading)}", line))
    level = len(lines[at].split()[0])
    end = next((i for i in range(at + 1, len(lines)) if _level(lines, i) in range(1, level + 1)), len(lines))
    return _shifted(lines[at + 1 : end], 1 - level)


def readme_prose(heading: str) -> str:
    """A section of README.md without its tables, where a generated one says the same."""
    return "\n".join(line for line in readme(heading).splitlines() if not line.startswith("|")) + "\n"


def exit_codes() -> str:
    """The README's table of exit codes."""
    lines = (TOP / "README.md").read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("| exit code"))
    end = next(i for i in range(at, len(lines)) if not lines[i].startswith("|"))
    return "\n".join(lines[at:end]) + "\n"


def whole_file(name: str) -> str:
    """A Markdown file of the repository without its first heading."""
    lines = (TOP / name).read_text(encoding="utf-8").splitlines()
    return _shifted(lines[1:], 0)


def _level(lines: Sequence[str], at: int) -> int:
    found = re.match(r"(#+) ", lines[at])
    return len(found[1]) if found and not lines[at].startswith("    ") else 0


def _shifted(lines: Sequence[str], by: int) -> str:
    def moved(line: str) -> str:
        found = re.match(r"(#+)( .*)", line)
        return "#" * max(2, len(found[1]) + by) + found[2] if found else line

    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"`\1`", "\n".join(map(moved, lines))) + "\n"


def errors() -> str:
    """Table of exceptions and exit codes."""
    from bench3d import errors as module

    found = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, module.Bench3DError)]
    rows = [[code(c.__name__), str(c.exit_code), cell((c.__doc__ or "").split("\n")[0])] for c in found]
    return table(["exception", "exit code", "when"], rows)


def hooks() -> str:
    """Table of the hooks and their first sentences."""
    from bench3d.plugins import hooks as module

    rows = []
    for name, function in vars(module).items():
        if name.startswith("bench3d_"):
            first = re.split(r"(?<=[.;])\s", inspect.cleandoc(function.__doc__ or "").split("\n\n")[0])[0]
            rows.append([code(name), cell(first.rstrip(";"))])
    return table(["hook", "what"], rows)


def grids() -> str:
    """Table of the shipped grids."""
    import yaml

    folder = importlib.resources.files("bench3d.configs") / "grids"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    rows = [[code(f.name.removesuffix(".yaml")), cell(yaml.safe_load(f.read_text())["summary"])] for f in found]
    return table(["grid", "what"], rows)


def sizes() -> str:
    """Table of the data sets: folder, size, what is fetched, licence."""
    from bench3d.data.root import human_bytes

    rows = []
    for r in registered("dataset"):
        size = human_bytes(r.bytes)
        get = (
            "`bench3d data fetch`"
            if r.downloads
            else "`bench3d data render`"
            if r.render
            else "after registration"
            if r.registration_required
            else "by hand"
        )
        rows.append([code(r.name), code(r.folder), size, get, "yes" if r.synth else "no", cell(r.licence)])
    return table(["data set", "folder", "size", "how to get it", "twin", "licence"], rows)


GENERATORS: dict[str, Callable[..., str]] = {
    "checks": checks,
    "commands": commands,
    "errors": errors,
    "exit-codes": exit_codes,
    "file": whole_file,
    "grids": grids,
    "hooks": hooks,
    "names": names,
    "presets": presets,
    "readme": readme,
    "readme-prose": readme_prose,
    "reported": reported,
    "settings": settings,
    "sizes": sizes,
    "task": task,
    "template": template,
}
