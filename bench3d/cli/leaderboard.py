"""`bench3d leaderboard build|serve`, and the group that the other leaderboard commands join."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli import submission, verify
from bench3d.cli.output import DebugOption, JsonOption, console, duration, gigabytes, print_error, print_json
from bench3d.cli.results_lookup import LateProgress
from bench3d.errors import Bench3DError, DataError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from bench3d.leaderboard.publish import Published

SITE = Path("site")
POLL_SECONDS = 2.0
MOST_REFUSED = 8
MOST_CHANGES = 5

ResultsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="A results folder; repeat for more. Default: bench3d-results here, and the committed records.",
    ),
]
RecordsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--records", metavar="DIR", help="Committed records, as in leaderboard/records; there may be none yet."
    ),
]
ReportedOption = Annotated[bool, typer.Option("--reported/--no-reported", help="Show what papers report, marked.")]
PicturesOption = Annotated[bool, typer.Option("--pictures/--no-pictures", help="Show the pictures of runs, small.")]
MostPicturesOption = Annotated[
    float, typer.Option("--max-picture-mb", metavar="MB", min=0.0, help="All pictures together at most.")
]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    group.command("build", epilog="Example: bench3d leaderboard build --results bench3d-results --out site")(build)
    group.command("serve", epilog="Example: bench3d leaderboard serve --results bench3d-results --watch --open")(serve)
    submission.register(group)
    verify.register(group)
    app.add_typer(group, name="leaderboard", help="Tables, page and submissions made of records.")


def build(
    results: ResultsOption = None,
    records: RecordsOption = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The site; one of ours that stands there is replaced.")
    ] = SITE,
    reported: ReportedOption = True,
    pictures: PicturesOption = True,
    max_picture_mb: MostPicturesOption = 6.0,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Build the leaderboard: one static folder of pages and tables (CSV, Markdown, LaTeX) that opens from disk.

    A site that stands in --out is compared with, and replaced as a whole when the new one is ready.
    """
    folders = _folders(results, records)
    options = {"reported": reported, "pictures": pictures, "picture_bytes": int(max_picture_mb * 1e6)}
    options["may_be_empty"] = bool(records)
    began = time.monotonic()
    published = _publish(folders, out, options)
    seconds = time.monotonic() - began
    if as_json:
        print_json(_values(published, seconds))
    else:
        _print(published, seconds, console())


def serve(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A site. With --results or --watch it is built there, else given out as it is."
        ),
    ] = None,
    results: ResultsOption = None,
    records: RecordsOption = None,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 0,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Build again whenever a record changes.")] = False,
    reported: ReportedOption = True,
    pictures: PicturesOption = True,
    max_picture_mb: MostPicturesOption = 6.0,
    debug: DebugOption = False,
) -> None:
    """Show the leaderboard on this machine (127.0.0.1 only) until Ctrl-C.

    Without --out it is built into a temporary folder.
    """
    from bench3d.leaderboard.server import serving, stamps

    made = out is None or watch or bool(results or records)
    if not made and out is not None and not (out / "index.html").is_file():
        raise DataError(f"{out} is no site.", "Build it first: bench3d leaderboard build.")
    folders = _folders(results, records) if made else []
    options = {"reported": reported, "pictures": pictures, "picture_bytes": int(max_picture_mb * 1e6)}
    options["may_be_empty"] = bool(records)
    with _until_interrupted(), tempfile.TemporaryDirectory(prefix="bench3d-site-") as temporary:
        site = out or Path(temporary) / "site"
        seen = stamps(folders)
        if made:
            published = _publish(folders, site, options)
            measured = sum(bool(table.rows) for table in published.board.tables)
            _say(f"{_count(published.runs, 'run')} in {_count(measured, 'table')}.")
        with serving(site, port) as server:
            _say(f"{server.url}  (Ctrl-C ends it)")
            if open_it:
                import webbrowser

                webbrowser.open(server.url)
            while True:
                time.sleep(POLL_SECONDS)
                if watch and (now := stamps(folders)) != seen:
                    seen = now
                    _rebuild(folders, site, options)


def _folders(results: Sequence[Path] | None, records: Sequence[Path] | None) -> list[Path]:
    """The folders that are named, else those that are there without being named."""
    from bench3d.leaderboard.publish import RESULTS, default_folders

    folders = [*(results or ()), *(records or ())] or default_folders()
    if not folders:
        raise UsageError(
            f"There are no records: no folder {RESULTS} here, and none were named.",
            "Make some (bench3d run ...), or name their folder: --results DIR.",
        )
    return folders


def _publish(folders: Sequence[Path], out: Path, options: dict[str, Any]) -> Published:
    from bench3d.leaderboard.publish import publish

    with LateProgress() as progress:
        return publish(folders, out, progress=progress, **options)


def _rebuild(folders: Sequence[Path], site: Path, options: dict[str, Any]) -> None:
    """A record that is broken now does not end the server: the last good site stays."""
    try:
        published = _publish(folders, site, options)
    except Bench3DError as error:
        print_error(error)
        return
    _say(f"{time.strftime('%H:%M:%S')}  {published.changes.summary()}")


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C, or being told to end, is how a server ends: no error."""

    def end(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if here else None
    try:
        yield
    except KeyboardInterrupt:
        _say("")
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    from rich.text import Text

    console().print(Text(text), soft_wrap=True)


def _count(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"


def _values(published: Published, seconds: float) -> dict[str, Any]:
    board = published.board
    return {
        "out": str(published.out),
        "index": str((published.out / "index.html").resolve()),
        "made": board.made,
        "tables": [
            {"id": t.id, "title": t.title, "runs": len(t.rows), "ranked": sum(r.ranked for r in t.rows)}
            for t in board.tables
        ],
        "runs": published.runs,
        "reported": sum(len(t.reported) for t in board.tables),
        "refused": [{"path": r.path, "reason": r.reason} for r in board.refused],
        "changes": published.changes.as_json(),
        "last_build_unread": published.unread or None,
        "files": published.site.files,
        "bytes": published.site.bytes,
        "seconds": {**published.seconds, "all": seconds},
    }


def _print(published: Published, seconds: float, out: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    board = published.board
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("table", "runs", "ranked", "reported"):
        shown.add_column(name, justify="left" if name == "table" else "right", overflow="fold")
    measured = [table for table in board.tables if table.rows]
    for table in measured:
        numbers = (len(table.rows), sum(r.ranked for r in table.rows), len(table.reported))
        shown.add_row(Text(table.title), *(str(n) if n else "" for n in numbers))
    if measured:
        out.print(shown)
    if len(board.tables) > len(measured):
        out.print(f"and {_count(len(board.tables) - len(measured), 'table')} of what papers report alone")
    for refused in board.refused[:MOST_REFUSED]:
        out.print(Text(f"refused: {refused.path}", style="yellow"), soft_wrap=True)
        out.print(Text(f"  {refused.reason}"), soft_wrap=True)
    if len(board.refused) > MOST_REFUSED:
        out.print(f"and {len(board.refused) - MOST_REFUSED} more refused; the page and --json name them")
    _print_changes(published, out)
    size = f"{_count(published.site.files, 'file')}, {gigabytes(published.site.bytes)}"
    told = [_count(published.runs, "run"), _count(len(measured), "table"), size, duration(seconds)]
    out.print(Text(" · ".join(told), style="bold"), soft_wrap=True)
    out.print(Text(f"Open {(published.out / 'index.html').resolve()}"), soft_wrap=True)


def _print_changes(published: Published, out: Console) -> None:
    from rich.text import Text

    if published.unread:
        out.print(Text(f"Not compared with the last build: {published.unread}", style="yellow"), soft_wrap=True)
    if published.changes.since is None:
        return
    out.print(Text(published.changes.summary()), soft_wrap=True)
    for section in published.changes.sections(MOST_CHANGES):
        style = "bold red" if section.kind == "rescored" else "dim"
        out.print(Text(f"{section.heading}:", style=style), soft_wrap=True)
        for line in section.lines():
            out.print(Text(f"  {line}"), soft_wrap=True)
