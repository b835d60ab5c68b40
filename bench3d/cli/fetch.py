"""`bench3d data fetch`: gets data sets and weights, or links what is there; says first what, from where, how large."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench3d.cli.fetch_view import as_json_values, print_needs, print_outcome
from bench3d.cli.output import DebugOption, JsonOption, console, print_error, print_json
from bench3d.errors import Bench3DError, DataError, OutputError, UsageError

if TYPE_CHECKING:
    from bench3d.cli.fetch_needs import NeededFile, Needs


def register(group: typer.Typer) -> None:
    """Adds the command to the group `data`."""
    group.command("fetch", epilog="Example: bench3d data fetch spair71k")(fetch)


def fetch(
    target: Annotated[str, typer.Argument(metavar="DATASET|GRID", help="A data set; or a grid, for all it needs.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Data root instead of BENCH3D_DATA.")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option("--category", metavar="NAME", help="Only these categories: repeat, or separate by commas."),
    ] = None,
    link: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Fetch nothing: link a folder that holds the data set.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You accept the licences that their owners want accepted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before fetching.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network: only say what is missing.")] = False,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Get a data set, or all data and weights that a grid needs. Broken off, it goes on where it stopped."""
    from bench3d.cli.data import split_categories
    from bench3d.cli.fetch_needs import find_needs
    from bench3d.data.root import data_root

    root = data_root(data)
    categories = split_categories(category)
    if link is not None:
        _link(target, link, root, categories, accept_licence, as_json)
        return
    needs = find_needs(target, root, data, categories, network=not offline)
    print_needs(needs, as_json)
    fetched: list[dict[str, Any]] = []
    problems: list[Bench3DError] = [error for _, error in needs.by_hand]
    if offline:
        problems += _missing_offline(needs)
    elif not needs.nothing_to_do:
        _ask(needs, accept_licence, yes)
        fetched, failed = _get(needs)
        problems += failed
    if as_json:
        print_json({**as_json_values(needs), "fetched": fetched, "problems": [str(p) for p in problems]})
    elif not problems:
        print_outcome(needs, fetched)
    if problems:
        for problem in problems[:-1]:
            print_error(problem)
        raise problems[-1]


def _link(
    target: str, folder: Path, root: Path, categories: tuple[str, ...], accept_licence: bool, as_json: bool
) -> None:
    from bench3d.cli.fetch_needs import dataset
    from bench3d.data.fetch import link_dataset
    from bench3d.data.licences import accept

    registration = dataset(target)
    place, new = link_dataset(registration, folder, root, categories)
    if accept_licence:
        accept(root, registration.name, registration.licence)
    link = root / registration.folder
    if as_json:
        print_json({"dataset": registration.name, "link": str(link), "folder": str(place), "new": new})
        return
    words = "is linked" if new else "was linked already"
    console().print(f"{registration.name} {words}: {link} -> {place}", soft_wrap=True)


def _ask(needs: Needs, accept_licence: bool, yes: bool) -> None:
    """Space, licences, and whether to begin at all.

    Raises:
        OutputError: not enough space.
        UsageError: there is nobody to ask, or the answer is no.
    """
    from bench3d.data.fetch_plan import check_space
    from bench3d.data.licences import accept

    check_space(needs.datasets, needs.root)
    terminal = sys.stdin.isatty()
    owners = [
        (p.registration.name, p.registration.licence) for p in needs.datasets if p.todo and not p.licence_accepted
    ]
    owners += [
        (f.name.removeprefix("backbone "), f.licence) for f in needs.files if not (f.there or f.licence_accepted)
    ]
    for name, licence in owners:
        if not accept_licence:
            if not terminal:
                raise UsageError(
                    f"The owner of {name} wants the licence accepted first ({licence or 'see its page'}).",
                    "Read it, and add --accept-licence.",
                )
            answer = typer.prompt(f'Type "yes" to accept the licence of {name} ({licence})', default="no", err=True)
            if answer.strip().lower() != "yes":
                raise UsageError(f"The licence of {name} was not accepted: nothing was fetched.")
        accept(needs.root, name, licence)
    if yes:
        return
    if not terminal:
        raise UsageError("Nothing was fetched: there is no terminal to ask on.", "Add --yes.")
    if not typer.confirm("Fetch?", default=True, err=True):
        raise UsageError("Nothing was fetched.")


def _missing_offline(needs: Needs) -> list[Bench3DError]:
    """What is missing, found without any network."""
    from bench3d.runner.models import settle_numerics

    missing = [p.registration.name for p in needs.datasets if p.todo]
    unsure = [f for f in needs.files if f.there is None]
    if unsure:
        settle_numerics(offline=True)
    missing += [f.name for f in needs.files if f.there is False or (f.there is None and _try(f) is not None)]
    if not missing:
        return []
    return [
        DataError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not here, and --offline fetches nothing.",
            "Run the same command without --offline on a machine with a network that sees the same folders.",
        )
    ]


def _get(needs: Needs) -> tuple[list[dict[str, Any]], list[Bench3DError]]:
    """Fetches piece by piece; one that fails does not keep the others from being fetched, unless the disk is full."""
    import dataclasses

    from bench3d.cli.progress import progress_for
    from bench3d.data.fetch import fetch_dataset

    fetched: list[dict[str, Any]] = []
    problems: list[Bench3DError] = []
    with progress_for() as progress:
        for plan in needs.datasets:
            try:
                accepted = dataclasses.replace(plan, licence_accepted=True)  # `_ask` has seen to it
                fetched += [dataclasses.asdict(r) for r in fetch_dataset(accepted, needs.root, progress)]
            except OutputError:
                raise
            except Bench3DError as error:
                problems.append(error)
        for file in needs.files:
            if file.there:
                continue
            progress.say(f"Fetching the weights of {file.name} ({file.source}) and loading them once.")
            problem = _try(file)
            if problem is not None:
                problems.append(problem)
            else:
                fetched.append({"name": file.name, "source": file.source})
    return fetched, problems


def _try(file: NeededFile) -> Bench3DError | None:
    """Gets weights; gives their error back. OutputError (a full disk) is raised."""
    try:
        file.get()
    except OutputError:
        raise
    except Bench3DError as error:
        return error
    finally:
        gc.collect()
    return None
