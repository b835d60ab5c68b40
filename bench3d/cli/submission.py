"""`bench3d leaderboard submit|validate`: records on their way into the leaderboard."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.output import JsonOption, console, gigabytes, print_json
from bench3d.cli.progress import progress_for
from bench3d.contracts import NullProgress
from bench3d.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from bench3d.leaderboard.validate import Validation
    from bench3d.leaderboard.validate_case import Finding

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
RECORDS = Path("leaderboard", "records")


def register(group: typer.Typer) -> None:
    """Adds the commands."""
    group.command("validate")(validate_command)
    group.command("submit")(submit_command)


def validate_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Records, their folders, or folders of records.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every record of the leaderboard.")] = False,
    records: Annotated[
        Path, typer.Option("--records", metavar="DIR", help="The committed records, to compare with.")
    ] = RECORDS,
    changed_since: Annotated[
        str | None, typer.Option("--changed-since", metavar="REF", help="What git says was added since REF.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="What cannot be checked here is an error.")] = False,
    maintainer: Annotated[
        bool, typer.Option("--maintainer", help="Allow verifications, and changes of committed records.")
    ] = False,
    github: Annotated[bool, typer.Option("--github", help="Annotations for GitHub Actions.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check records: schema, identity, files, and every score recomputed from the samples.

    Exit code 1 where an error is found. Warnings are for a person to look at.

    Example: bench3d leaderboard validate bench3d-results/runs/pf-pascal
    """
    from bench3d.leaderboard.validate import validate
    from bench3d.leaderboard.validate_changes import changed_records

    given = list(paths or ())
    if every:
        given.append(records)
    if not (given or changed_since):
        raise UsageError("Nothing to validate.", "Give a PATH, --all or --changed-since REF.")
    changed: list[Finding] = []
    if changed_since is not None:
        touched, changed = changed_records(records, changed_since, maintainer)
        given += touched
    quiet = as_json or github
    found = validate(given, records, strict, maintainer, NullProgress() if quiet else progress_for())
    found.findings[:0] = changed
    if as_json:
        print_json(found.as_json())
    else:
        print_validation(found, records)
        if github:
            for finding in found.findings:
                typer.echo(annotation(finding))
    if not found.passed:
        raise typer.Exit(1)


def submit_command(
    paths: Annotated[list[Path], typer.Argument(metavar="RECORD...", help="record.json files or their folders.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files are written.")] = Path(
        "leaderboard"
    ),
    into: Annotated[
        Path | None, typer.Option("--into", metavar="CLONE", help="A clone of the repository, to write into.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare a pull request: validated records, packed samples, its text, and what to type. Uploads nothing.

    Example: bench3d leaderboard submit bench3d-results/runs/pf-pascal/hog-mef-0f083db4025c
    """
    from rich.text import Text

    from bench3d.leaderboard.submit import Refused, submit

    try:
        done = submit(paths, out, into)
    except Refused as refused:
        if as_json:
            print_json(refused.validation.as_json())
        else:
            print_validation(refused.validation, out / "records")
        raise
    if as_json:
        print_json(
            {
                "title": done.title,
                "text": str(done.text),
                "records": [str(folder) for folder in done.folders],
                "commands": list(done.commands),
                "validation": done.validation.as_json(),
            }
        )
        return
    print_validation(done.validation, out / "records")
    screen = console()
    screen.print(Text("\nWritten", style="bold cyan"))
    for place in (*done.folders, done.text):
        screen.print(Text(f"  {place}"), soft_wrap=True)
    screen.print(Text("\nRead the text, then type", style="bold cyan"))
    for command in done.commands:
        screen.print(Text(f"  {command}"), soft_wrap=True)


def print_validation(found: Validation, records: Path) -> None:
    """The findings by file, and a line that counts them."""
    from rich.text import Text

    screen = console()
    told = [f for f in found.findings if f.level != "note"]
    for file, findings in groupby(told, key=lambda f: f.file):
        screen.print(Text(file, style="bold"), soft_wrap=True)
        table = _columns()
        for finding in findings:
            said = Text(finding.sentence)
            if finding.field:
                said.append(f"\n{finding.field}", style="cyan")
            if finding.next_step:
                said.append(f"\n{finding.next_step}", style="dim")
            table.add_row(Text(f"  {finding.level}", style=STYLES[finding.level]), Text(finding.check), said)
        screen.print(table)
    notes = Counter((f.check, f.sentence) for f in found.findings if f.level == "note")
    table = _columns()
    for (check, sentence), count in notes.items():
        times = f" ({count} records)" if count > 1 else ""
        table.add_row(Text("note", style=STYLES["note"]), Text(check), Text(f"{sentence}{times}", style="dim"))
    screen.print(table)
    verdict = "passed" if found.passed else "failed"
    counts = ", ".join(_counted(found.count(level), level) for level in ("error", "warning", "note"))  # type: ignore[arg-type]
    size = sum(f.stat().st_size for f in records.rglob("*") if f.is_file()) if records.is_dir() else 0
    total = f"; {records} holds {gigabytes(size)}" if size else ""
    screen.print(
        Text(
            f"{_counted(len(found.folders), 'record')} {verdict}: {counts}; {gigabytes(found.bytes)}{total}.",
            style="green" if found.passed else "bold red",
        )
    )


def _columns() -> Table:
    """Level, check and what is said."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("level", "check"):
        table.add_column(column, no_wrap=True)
    table.add_column()
    return table


def annotation(finding: Finding) -> str:
    """A workflow command of GitHub Actions. Every text is escaped, so that none can begin a command of its own."""

    def data(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def value(text: str) -> str:
        return data(text).replace(":", "%3A").replace(",", "%2C")

    about = f"{finding.field}: " if finding.field else ""
    sentence = f"{about}{finding.sentence} {finding.next_step}".strip()
    return f"::{GITHUB[finding.level]} file={value(finding.file)},title={value(finding.check)}::{data(sentence)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
