"""`bench3d adapter ...`: what a fitted adapter can become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench3d.cli.output import DebugOption, console
from bench3d.cli.runs import BackboneOption, OfflineOption, SetOption, WeightsOption
from bench3d.plugins import parse_set

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Adds the group."""
    example = "bench3d adapter export smoothap-lora:FOLDER --backbone dinov2-b --format peft --out lora/"
    group.command("export", epilog=f"Example: {example}")(export)
    app.add_typer(
        group, name="adapter", help="Fitted adapters: export them for other software.", epilog=f"Example: {example}"
    )


def export(
    adapter: Annotated[str, typer.Argument(metavar="NAME:CHECKPOINT", help="A folder that `train` left, or a file.")],
    backbone: BackboneOption,
    out: Annotated[Path, typer.Option(metavar="PATH", help="The file or folder to write.")],
    form: Annotated[str, typer.Option("--format", metavar="NAME", help="peft, authors, merged, ...")] = "peft",
    weights: WeightsOption = "pretrained",
    settings: SetOption = None,
    offline: OfflineOption = False,
    debug: DebugOption = False,
) -> None:
    """Write a fitted adapter in a format that other software reads."""
    from bench3d.runner import RunSpec
    from bench3d.runner.export import export_adapter

    spec = RunSpec(
        backbone=backbone, adapter=adapter, weights=weights, settings=parse_set(settings or []), offline=offline
    )
    written = export_adapter(spec, form, out)
    console().print(f"Written: {written}", soft_wrap=True)
