"""The reference of commands, from the command line itself."""

from __future__ import annotations

import inspect
import re
from typing import Any

from tables import cell, code, table


def commands() -> str:
    """Every command with its arguments and options, from the command line itself."""
    import typer

    from bench3d.cli.main import app

    blocks: list[str] = []
    _command(typer.main.get_command(app), ["bench3d"], blocks)
    return "\n".join(blocks)


def _command(command: Any, path: list[str], blocks: list[str]) -> None:
    if hasattr(command, "commands"):
        for name in command.commands:
            if not command.commands[name].hidden:
                _command(command.commands[name], [*path, name], blocks)
        return
    params = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    text = inspect.cleandoc(command.help or "").replace("\b", "").strip()
    blocks.append(f"## {' '.join(path)}\n\n{_prose(text)}\n")
    if params:
        rows = ([code(_words(p)), cell(getattr(p, "help", "") or "")] for p in params)
        blocks.append(table(["argument or option", "meaning"], rows))
    example = re.search(r"Example: (.+)", command.epilog or "", re.DOTALL)
    if example:
        blocks.append(f"```console\n$ {' '.join(example[1].split())}\n```\n")


def _words(param: Any) -> str:
    """How an argument or option is typed."""
    if param.param_type_name == "argument":
        return param.metavar or param.name.upper()
    said = " / ".join([*param.opts, *param.secondary_opts])
    if param.is_flag:
        return said
    choices = getattr(getattr(param, "type", None), "choices", None)
    return f"{said} {param.metavar or (' or '.join(map(str, choices)) if choices else 'VALUE')}"


def _prose(text: str) -> str:
    return "\n\n".join(cell(p) for p in text.split("\n\n"))
