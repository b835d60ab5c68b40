"""`bench3d leaderboard verify`: a sample of a record, computed again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.data import DataDirOption
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.runs import Device, DeviceOption, OfflineOption, SetOption

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.leaderboard.entries import Entry
    from bench3d.leaderboard.verify import Verified

COMMITTED = Path("leaderboard/records")
MOST_SHOWN = 10
DIFFERS = 1
EPILOG = """\b
Exit codes: 0 confirmed, 1 differs; cannot be verified: 3 other data, plugin or version, 4 weights missing
\b
Example: bench3d leaderboard verify 3f2a9c --sample 20 --data ~/data
"""


def register(group: typer.Typer) -> None:
    """Adds the command."""
    group.command("verify", short_help="Compute a sample of a record again and compare.", epilog=EPILOG)(verify)


def verify(
    record: Annotated[str, typer.Argument(metavar="RECORD", help="record.json, its folder, or digits of an identity.")],
    sample: Annotated[
        str, typer.Option(metavar="5%|N|all", help="Samples to compute again; of every category at least one.")
    ] = "5%",
    data: DataDirOption = None,
    results: Annotated[
        Path, typer.Option(metavar="DIR", help="Where fits are taken from, and identities looked for.")
    ] = Path("bench3d-results"),
    device: DeviceOption = Device.auto,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Draws the samples that an earlier verification drew.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The weights, where the record was made with a file.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="PATH", help="The adapter's checkpoint, where the record was made with one.")
    ] = None,
    settings: SetOption = None,
    offline: OfflineOption = False,
    write: Annotated[
        bool, typer.Option("--write", help="Maintainers: leave verification.json beside a confirmed record.")
    ] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Compute a sample of a record's values again and compare them within the task's tolerance.

    The run is rebuilt from the record's identity. Which samples are drawn cannot be foreseen; all of them earn the
    badge re-run, fewer sample-verified. Fits that are not in the results folder are made again; nothing in it is
    changed.
    """
    from bench3d.cli.progress import progress_for
    from bench3d.cli.results_lookup import find_record
    from bench3d.leaderboard.badges import write_verification
    from bench3d.leaderboard.verify import verify as verify_record
    from bench3d.plugins import parse_set
    from bench3d.runner.again import parse_share

    share = parse_share(sample)
    entry = find_record(record, [COMMITTED, results])
    with progress_for() as progress:
        found = verify_record(
            entry.record,
            entry.path.parent,
            share=share,
            results=results,
            progress=progress,
            seed=seed,
            data=data,
            device=device.value,
            offline=offline,
            weights=weights,
            checkpoint=checkpoint,
            settings=parse_set(settings or []),
        )
    written = None
    if write and found.verification is not None:
        written = write_verification(entry.path.parent, found.verification)
    if as_json:
        print_json(_values(found))
    else:
        _print(found, entry, written, console())
    if found.verdict != "confirmed":
        raise typer.Exit(found.error.exit_code if found.error is not None else DIFFERS)


def _values(found: Verified) -> dict[str, Any]:
    """For `--json`."""
    agreement = found.agreement
    return {
        "identity": found.record.identity.hash,
        "label": found.record.label,
        "verdict": found.verdict,
        "reason": found.reason,
        "hint": found.error.hint if found.error is not None else None,
        "samples": found.samples,
        "of": found.of,
        "seed": found.seed,
        "values": agreement.values,
        "beyond": agreement.beyond,
        "largest_deviation": agreement.largest,
        "refitted": list(found.refitted),
        "scores": [{**asdict(pair), "difference": pair.difference} for pair in found.scores],
        "worst": [asdict(d) for d in agreement.deviations[:MOST_SHOWN]],
        "verification": found.verification.model_dump(mode="json", by_alias=True) if found.verification else None,
    }


def _print(found: Verified, entry: Entry, written: Path | None, out: Console) -> None:
    from rich.text import Text

    title = Text(found.record.label, style="bold cyan")
    title.append(f"  {found.record.identity.hash[:12]}", style="dim")
    out.print(title)
    if found.scores:
        out.print(_scores(found))
    if found.agreement.values:
        out.print(_agreement(found))
    if found.verdict == "differs" and found.agreement.deviations:
        out.print(_worst(found))
    style = {"confirmed": "bold green", "differs": "bold red"}.get(found.verdict, "bold yellow")
    line = Text(found.verdict, style=style)
    line.append(f": {found.reason}", style="default")
    out.print(line)
    if found.error is not None and found.error.hint:
        out.print(Text(found.error.hint))
    if found.samples:
        out.print(Text(f"The same samples are drawn with --seed {found.seed}.", style="dim"))
    if written is not None:
        out.print(Text(f"Written: {written}"))


def _scores(found: Verified) -> Any:
    """Every metric: in the record, on the samples then and now."""
    table = _table(f"{found.samples} of {found.of} samples", "metric", "n", "all", "then", "now", "difference")
    for pair in found.scores:
        recorded = "" if pair.recorded is None else f"{pair.recorded:.2f}"
        unit = f" {pair.unit}" if pair.unit else ""
        numbers = (recorded, f"{pair.then:.2f}", f"{pair.now:.2f}")
        table.add_row(pair.metric, str(pair.n), *numbers, f"{pair.difference:+.2f}{unit}")
    return table


def _agreement(found: Verified) -> Any:
    """Every kind of value: how many agree, and how far off the farthest lies."""
    table = _table("", "value", "compared", "agree", "largest deviation")
    for key, (count, beyond, apart) in found.agreement.by_key.items():
        if count:
            table.add_row(key, f"{count:,}", f"{1 - beyond / count:.2%}", f"{apart:.3g}")
    return table


def _worst(found: Verified) -> Any:
    """The samples that lie farthest off."""
    from bench3d.leaderboard.safety import plain_text

    shown = found.agreement.deviations[:MOST_SHOWN]
    table = _table(
        f"farthest off, {len(shown)} of {len(found.agreement.deviations)}",
        "sample",
        "value",
        "then",
        "now",
        "tolerances",
    )
    for one in shown:
        numbers = ["nothing" if v is None else f"{v:.4g}" for v in (one.then, one.now)]
        table.add_row(plain_text(f"{one.category}/{one.id}", 60), one.key, *numbers, f"{one.ratio:.3g}")
    return table


def _table(title: str, *columns: str) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, title=Text(title) if title else None, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        words = column in ("metric", "value", "sample")
        table.add_column(column, justify="left" if words else "right", no_wrap=number > 0)
    return table
