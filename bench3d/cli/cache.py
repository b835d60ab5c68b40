"""`bench3d cache ...`: the features kept on disk: what is there, whether it is whole, making room."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, duration, gigabytes, print_json
from bench3d.errors import DataError, UsageError

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
BROKEN = DataError.exit_code
SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MOST_NAMED = 10

FolderOption = Annotated[
    Path | None,
    typer.Option("--folder", metavar="DIR", help="The cache's folder, instead of BENCH3D_CACHE or the user's cache."),
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group.command("ls", epilog="Example: bench3d cache ls")(ls)
    group.command("verify", epilog="Example: bench3d cache verify --delete")(verify)
    group.command("gc", epilog="Example: bench3d cache gc --max-size 5GB --older-than 30d")(gc)
    app.add_typer(
        group,
        name="cache",
        help="Features kept on disk: what is there, whether it is whole, making room.",
        epilog="Example: bench3d cache ls",
    )


def ls(folder: FolderOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Show where the feature cache is, how much it holds of which model, and when that was last used."""
    from rich.table import Table
    from rich.text import Text

    from bench3d.features.cache_care import summarise
    from bench3d.features.cache_key import CAP_VARIABLE, cache_cap

    where, cap = _folder(folder), cache_cap()
    summary = summarise(where)
    models = sorted(summary.models.items(), key=lambda item: -item[1].used)
    if as_json:
        rows = [{"model": name, **vars(use)} for name, use in models]
        print_json({"folder": str(where), "cap_bytes": cap, **vars(summary), "models": rows})
        return
    out = console()
    out.print(Text(f"Feature cache: {where}", style="dim"), soft_wrap=True)
    limit = f"of at most {gigabytes(cap)}" if cap else "and turned off"
    held = f"{_count(summary.images, 'image')} in {_count(summary.shards, 'shard')}"
    out.print(f"{gigabytes(summary.bytes)} {limit} ({CAP_VARIABLE}), {held}.")
    if summary.broken:
        text = f"{_count(summary.broken, 'shard')} cannot be read: bench3d cache verify --delete."
        out.print(Text(text, style="yellow"))
    if summary.leftovers:
        out.print(Text(f"{gigabytes(summary.leftovers)} belong to no shard: bench3d cache gc.", style="yellow"))
    if not models:
        out.print("Nothing is in it yet: a run fills it.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("images", justify="right")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("last use", no_wrap=True)
    table.add_column("model")
    now = time.time()
    for name, use in models:
        age = f"{duration(max(0.0, now - use.used))} ago" if now - use.used < 86400 else _days(now - use.used)
        table.add_row(str(use.images), gigabytes(use.bytes), age, Text(use.description or name))
    out.print(table)


def verify(
    folder: FolderOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is broken.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Read everything in the feature cache and compare it with its checksums. Exit code 3 where something is broken."""
    from bench3d.cli.progress import progress_for
    from bench3d.features.cache_care import shard_statuses
    from bench3d.features.cache_care import verify as check

    where = _folder(folder)
    shards = shard_statuses(where)
    with progress_for() as progress:
        progress.start("Shards", len(shards))
        findings = check(where, lambda size: progress.advance(1), delete)
        progress.finish()
    rows = [vars(f) for f in findings]
    if as_json:
        print_json({"folder": str(where), "shards": len(shards), "broken": rows, "deleted": delete})
    else:
        _print_findings(len(shards), findings, delete)
    if findings:
        raise typer.Exit(BROKEN)


def _print_findings(shards: int, findings: list[Any], deleted: bool) -> None:
    from rich.text import Text

    out = console()
    if not findings:
        out.print(Text(f"{_count(shards, 'shard')}, all whole.", style="green"))
        return
    for finding in findings[:MOST_NAMED]:
        what = f"shard {finding.shard}" if finding.key is None else f"an entry of shard {finding.shard}"
        out.print(Text(f"Broken: {what}: {finding.reason}.", style="red"), soft_wrap=True)
    if len(findings) > MOST_NAMED:
        out.print(f"... and {len(findings) - MOST_NAMED} more.")
    out.print("What is broken was removed." if deleted else "A run computes it again; --delete removes it at once.")


def gc(
    folder: FolderOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Keep at most so much, such as 5GB or 500MB.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Remove what was not used for so long: 30d, 12h.")
    ] = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Remove what killed runs left behind (older than an hour), and more where an option says so."""
    from bench3d.features.cache_care import collect, summarise

    where = _folder(folder)
    most = None if max_size is None else parse_size(max_size)
    age = None if older_than is None else parse_span(older_than)
    freed = collect(where, everything=everything, max_bytes=most, older_than=age)
    left = summarise(where)
    if as_json:
        print_json({"folder": str(where), "freed_bytes": freed, "left_bytes": left.bytes, "images": left.images})
        return
    console().print(f"{gigabytes(freed)} freed; {gigabytes(left.bytes)} and {_count(left.images, 'image')} left.")


def parse_size(text: str) -> int:
    """Bytes of "5GB" (5 000 000 000); UsageError for anything else than a number with B, kB, MB, GB or TB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?b)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"--max-size {text} is no size.", "Write it like 5GB or 500MB.")
    return int(float(match[1]) * SIZES[(match[2] or "").upper()])


def parse_span(text: str) -> float:
    """Seconds of "30d"; UsageError for anything else than a number with s, m, h, d or w."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"--older-than {text} is no time.", "Write it like 30d or 12h.")
    return float(match[1]) * SPANS[match[2].lower()]


def _folder(folder: Path | None) -> Path:
    from bench3d.features.cache_key import cache_folder

    return cache_folder() if folder is None else folder.expanduser()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _days(seconds: float) -> str:
    days = round(seconds / 86400)
    return "1 day ago" if days == 1 else f"{days} days ago"
