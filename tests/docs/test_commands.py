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
    clean = [re.sub(r"\s+#.*$", "", line).strip() for line in found]
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
        if rest[0] not in command.commands:
            return f"there is no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {o: p for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help": None, "-h": None}
    if command.context_settings.get("ignore_unknown_options"):
        return None
    positional, skip = 0, False
    for at, word in enumerate(rest):
        if skip:
            skip = False
        elif word.startswith("--") or (word.startswith("-") and len(word) == 2):
            name, equals, _ = word.partition("=")
            if name not in known and hasattr(command, "commands"):
                return None
            if name not in known and not command.context_settings.get("allow_extra_args"):
                return f"there is no option {name}"
            option = known.get(name)
            skip = not equals and option is not None and not option.is_flag
            if skip and at + 1 == len(rest):
                return None  # the option alone, in a sentence
        else:
            positional += 1
    takes = [p for p in command.params if p.param_type_name == "argument"]
    many = any(p.nargs == -1 for p in takes) or command.context_settings.get("allow_extra_args")
    if positional > len(takes) and not many and not hasattr(command, "commands"):
        return f"{positional} arguments where {len(takes)} are taken"
    return None


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
    forbidden = re.compile(r"/(home|Users|work|root|tmp|scratch|mnt)/|@[a-z]+\.(com|org|edu)|" + "|".join(own or ["$^"]))
    assert not [f"{p.name}: {m[0]}" for p, text in texts.items() for m in forbidden.finditer(text)]
