"""`bench3d plugin new`: writes a package to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.plugins.registry import KINDS

EXAMPLE = "Example: bench3d plugin new my-backbone --kind backbone --from timm:resnet50"


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command(
        "new", short_help="Write a package to begin with: installs, runs, passes the checks.", epilog=EXAMPLE
    )(new)


def new(
    name: Annotated[str, typer.Argument(help="What users will type: lower case letters, digits, hyphens.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"One of: {', '.join(KINDS)}.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder to write (default: ./bench3d-NAME).")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="A backbone to stand on, e.g. timm:resnet50.")
    ] = None,
    author: Annotated[str, typer.Option(metavar="TEXT", help='"Name" or "Name <address>".')] = "",
    tests: Annotated[bool, typer.Option("--tests", help="Also write a test that runs the checks.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a package for a plugin: a module, pyproject.toml and README, ready to install, edit and publish."""
    from bench3d.testing.scaffold import new_plugin

    made = new_plugin(name, kind, out=out, source=source, author=author, tests=tests)
    if as_json:
        print_json(
            {
                "folder": str(made.folder),
                "files": list(made.files),
                "steps": [{"command": command, "what": what} for command, what in made.steps],
            }
        )
        return
    from rich.text import Text

    show = console()
    show.print(Text.assemble(("Wrote ", "green"), (str(made.folder), "bold"), f": {', '.join(made.files)}"))
    for command, what in made.steps:
        show.print(Text.assemble(("  ", ""), (what, "dim")))
        show.print(Text(f"    {command}"), soft_wrap=True)
