"""Every command line in the pages and in the READMEs parses; nothing in them is of one machine or person."""

from __future__ import annotations

import getpass
import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
from blocks import TOP, blocks, pages, steps

from bench3d.plugins import load_registry, settings_model
from bench3d.plugins.names import resolve

INDENTED = re.compile(r"^    (bench3d .+)$", re.MULTILINE)
INLINE = re.compile(r"`(bench3d [a-z][^`]*)`")
READMES = [TOP / "README.md", TOP / "leaderboard" / "README.md"]
UPPER = re.compile(r"[A-Z][A-Z_]+(\.\.\.)?")


def lines(page: Path) -> list[str]:
    """Command lines of bench3d in a page: shown in blocks, indented, or within a sentence."""
    text = page.read_text(encoding="utf-8")
    shown = [s.command for b in blocks(page) if b.language == "console" for s in steps(b)]
    joined = re.sub(r" \\\n\s*", " ", text)
    found = [*shown, *INDENTED.findall(joined), *(" ".join(c.split()) for c in INLINE.findall(text))]
    clean = [re.sub(r"\s+#.*$", "", re.sub(r"\\\n\s*", "", line)).strip() for line in found]
    clean = [re.sub(r"^tiny\(\) \{ (.*) \"\$@\"; \}$", r"\1", line) for line in clean]
    return [line for line in clean if line.startswith("bench3d ")]


def commands_of(line: str) -> list[list[str]]:
    """The words of each command that a line stands for: "a | b" and "[x]" are alternatives and options in prose."""
    line = re.sub(r"\[[^\]]*\]", "", line)
    head, *others = re.split(r" \| ", line)
    words = shlex.split(head.replace("...", ""))
    group = words[:2] if len(others) else []
    return [words, *([*group, *shlex.split(o)] for o in others)]


def check(words: list[str], root: Any) -> str | None:
    """Why a command line would not parse; None where it would."""
    command, rest = root, words[1:]
    while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
        if UPPER.fullmatch(rest[0]):
            return None  # "bench3d COMMAND --help"
        found = command.commands.get(rest[0]) or (plugin_command(rest[0]) if command is root else None)
        if found is None:
            return f"there is no command {rest[0]}"
        command, rest = found, rest[1:]
    if hasattr(command, "commands") or command.context_settings.get("ignore_unknown_options"):
        return None
    takes = [p for p in command.params if p.param_type_name == "argument"]
    options = {name: p for p in command.params for name in (*p.opts, *p.secondary_opts) if p not in takes}
    return options_and_arguments(words, rest, options, takes)


def plugin_command(name: str) -> Any:
    """The command that a plugin registers, None where there is none."""
    import typer

    if name not in load_registry().names("command"):
        return None
    target = resolve(load_registry().get("command", name).factory, name)
    single = typer.Typer(add_completion=False)
    single.command()(target)
    return typer.main.get_command(target if isinstance(target, typer.Typer) else single)


def options_and_arguments(words: list[str], rest: list[str], known: dict[str, Any], takes: list[Any]) -> str | None:
    """Why a command would not take these words."""
    positional, value = 0, False
    for word in rest:
        name, equals, _ = word.partition("=")
        if value:
            value = False
        elif not re.match(r"--|-[a-z]$", word):
            positional += 1
        elif name in known:
            value = not equals and not known[name].is_flag
        elif name not in ("--help", "-h"):
            return executor_option(words, name)
    if positional > len(takes) and all(p.nargs != -1 for p in takes):
        return f"{positional} arguments where {len(takes)} are taken"
    return None


def executor_option(words: list[str], name: str) -> str | None:
    """Why `grid run` does not take an option that it does not know itself: settings of an executor are options too."""
    if words[:3] == ["bench3d", "grid", "run"] and "--executor" in words:
        executor = load_registry().find("executor", words[words.index("--executor") + 1])
        if name.removeprefix("--").replace("-", "_") in settings_model(executor).model_fields:
            return None
    return f"there is no option {name}"


@pytest.fixture(scope="module")
def root() -> Any:
    import typer

    from bench3d.cli.main import app

    return typer.main.get_command(app)


@pytest.mark.parametrize("page", [*pages(), *READMES], ids=lambda p: str(p.relative_to(TOP)))
def test_commands_parse(page: Path, root: Any) -> None:
    wrong = [f"{line}: {why}" for line in lines(page) for words in commands_of(line) if (why := check(words, root))]
    assert not wrong, "\n".join(wrong)


def test_commands_are_found_and_faults_seen(root: Any) -> None:
    assert sum(len(lines(p)) for p in [*pages(), *READMES]) > 80
    assert check(shlex.split("bench3d run --backbone hog --task spair71k --nonsense 3"), root)
    assert check(shlex.split("bench3d results shwo"), root)
    assert check(shlex.split("bench3d describe hog rgb"), root)
    assert check(shlex.split("bench3d run --backbone hog --task spair71k --set a.b=c"), root) is None


def test_nothing_of_a_machine_or_person() -> None:
    texts = {p: p.read_text(encoding="utf-8") for p in (TOP / "docs").rglob("*") if p.suffix in {".md", ".py", ".css"}}
    own = [n for n in (socket.gethostname(), getpass.getuser()) if len(n) > 4]
    forbidden = re.compile(
        r"/(home|Users|work|root|tmp|scratch|mnt)/|@[a-z]+\.(com|org|edu)|" + "|".join(own or ["$^"])
    )
    assert not [f"{p.name}: {m[0]}" for p, text in texts.items() for m in forbidden.finditer(text)]
