"""`bench3d plugin check`: the conformance kit on what a plugin offers, and a report of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.cli.progress import progress_for
from bench3d.contracts import Progress
from bench3d.errors import PluginError, UsageError

if TYPE_CHECKING:
    from bench3d.testing.isolated import Bench
    from bench3d.testing.report import Report

EPILOG = """\b
Checks run in a process of their own: one that crashes or hangs is a result, and the others go on.
Exit code 0: every check passed or was skipped; 5: one failed.
\b
Examples:
    bench3d plugin check hog                           a registered name (of any kind)
    bench3d plugin check timm:resnet18 --only batch    one check of a member of a family
    bench3d plugin check ./my-plugin --markdown report.md
    bench3d plugin check my_module:create --kind backbone
    bench3d plugin check --all --kind dataset
"""


def register(group: typer.Typer) -> None:
    """Adds the command to `bench3d plugin`."""
    group.command("check", short_help="Does a plugin keep its contract? A report.", epilog=EPILOG)(check)


def check(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|PATH]",
            help="A registered name, a plugin's or package's name, the folder of a package that is not installed, "
            "or module:object. Default: the folder where you are.",
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only this check; repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is registered.")] = False,
    as_json: JsonOption = False,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a report fit for a pull request.")
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu or cuda.")] = "cpu",
    budget: Annotated[
        float, typer.Option("--time-budget", metavar="S", min=1.0, help="Seconds that one check may take.")
    ] = 120.0,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="A folder of the data set, for one without a twin.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Check that a plugin keeps its contract: shapes, determinism, batches, metadata, light import, and more."""
    from bench3d.testing.isolated import Bench, order_for
    from bench3d.testing.report import as_json as to_json
    from bench3d.testing.report import as_markdown, show

    if what is not None and everything:
        raise UsageError("A name and --all were given.", "Give one of them.")
    if what is None and not everything:
        if not Path("pyproject.toml").is_file():
            raise UsageError(
                "Nothing to check was named.", "Give a name, the folder of a plugin package, module:object, or --all."
            )
        what = "."
    order = order_for(what, kind, device=_device(device), seconds=budget, data=data)
    with progress_for() as progress, Bench(order) as bench:
        bench.require_known(only or ())
        reports = run(bench, only or (), progress)
    if markdown is not None:
        from bench3d.files import write_text

        write_text(markdown, as_markdown(reports))
    if as_json:
        print_json(to_json(reports))
    else:
        show(console(), reports, debug)
        if markdown is not None:
            console().print(f"Written: {markdown}", soft_wrap=True)
    if any(report.bad for report in reports):
        raise typer.Exit(PluginError.exit_code)


def run(bench: Bench, only: Collection[str], progress: Progress) -> list[Report]:
    """Every check of everything that was found, with progress."""
    reports = []
    for found in bench.found:
        names = bench.checks(found, only)
        if not names:
            continue
        report = bench.report(found)
        progress.start(f"checking {report.title}", len(names))
        for name in names:
            report.outcomes.append(bench.run(found, name))
            progress.advance()
        progress.finish()
        reports.append(report)
    return reports


def _device(wanted: str) -> str:
    """cpu, or cuda where there is one; looked at by the child, but refused here where it is misspelt."""
    if wanted.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {wanted}: there is no such device.", "Use cpu or cuda.")
    return wanted
