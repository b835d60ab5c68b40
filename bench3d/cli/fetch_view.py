"""How `data fetch` shows what it will get, what it got, and both as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench3d.cli.output import console, gigabytes

if TYPE_CHECKING:
    from bench3d.cli.fetch_needs import Needs
    from bench3d.data.fetch_plan import DatasetPlan

SHOWN_FILES = 4
"""Of a data set of more files only the first and the last are named."""


def print_needs(needs: Needs, as_json: bool) -> None:
    """What will be fetched: size, from where, licence; and how much space there is."""
    from rich.text import Text

    from bench3d.data.fetch_plan import free_bytes, space_needed

    out = console(stderr=as_json)
    for plan in needs.datasets:
        name = plan.registration.name
        if not plan.todo:
            out.print(Text(f"{name}: there ({plan.folder})", style="green"), soft_wrap=True)
            continue
        out.print(Text(f"{name}: {_amount(plan)}", style="bold"), soft_wrap=True)
        for line in _lines(plan):
            out.print(Text(f"  {line}"), soft_wrap=True)
    for file in needs.files:
        size = "" if file.there or file.bytes is None else f", about {gigabytes(file.bytes)}"
        text = f"{file.name}: {'there' if file.there else 'weights to fetch'} ({file.source}){size}"
        out.print(Text(text, style="green" if file.there else "bold"), soft_wrap=True)
        if file.licence and not file.there:
            out.print(Text(f"  licence: {file.licence}{_to_accept(file.licence_accepted)}"), soft_wrap=True)
    for name, _ in needs.by_hand:
        out.print(Text(f"{name}: missing, and not to be fetched by a program", style="yellow"))
    if needs.left_out:
        out.print(Text(f"{needs.left_out} cells cannot run whatever is fetched: see `bench3d grid plan`.", style="dim"))
    if any(p.todo for p in needs.datasets):
        needed, free = gigabytes(space_needed(needs.datasets)), gigabytes(free_bytes(needs.root))
        known = all(p.bytes is not None for p in needs.datasets)
        much = f"about {needed} while it is unpacked, " if known else ""
        out.print(Text(f"Into {needs.root}: {much}{free} are free.", style="dim"), soft_wrap=True)


def print_outcome(needs: Needs, fetched: list[dict[str, Any]]) -> None:
    """The last lines of a fetch that went well."""
    out = console()
    if not fetched:
        out.print("Nothing to fetch: all is there.")
        return
    for plan in needs.datasets:
        if plan.todo:
            out.print(f"{plan.registration.name} is in {plan.folder}.", soft_wrap=True)
    names = [p.registration.name for p in needs.datasets if p.todo]
    if names:
        out.print(f"To look for missing and broken files: bench3d data check {names[0]}.")


def _amount(plan: DatasetPlan) -> str:
    count = len(plan.todo)
    have = sum(i.have for i in plan.todo)
    whole = plan.registration.bytes
    unknown = f"of unknown size (the whole data set has {gigabytes(whole)})" if whole else "of unknown size"
    size = unknown if plan.bytes is None else gigabytes(plan.bytes)
    left = f", {gigabytes(have)} of it are here from before" if have and plan.bytes is None else ""
    more = f" more ({gigabytes(have)} are here from before)" if have and plan.bytes is not None else ""
    return f"{count} file{'s' if count > 1 else ''} to fetch, {size}{more}{left}"


def _lines(plan: DatasetPlan) -> list[str]:
    urls = [i.download.url for i in plan.todo]
    shown = urls if len(urls) <= SHOWN_FILES else [urls[0], f"... {len(urls) - 2} more ...", urls[-1]]
    licence = plan.registration.licence or "unknown"
    return [f"from {u}" if u.startswith("http") else u for u in shown] + [
        f"licence: {licence}{_to_accept(plan.licence_accepted)}",
        *([f"see {plan.registration.url}"] if plan.registration.url else []),
    ]


def _to_accept(is_accepted: bool) -> str:
    return "" if is_accepted else " (to be accepted first)"


def as_json_values(needs: Needs) -> dict[str, Any]:
    """What is needed and what is there, as JSON."""
    return {
        "root": str(needs.root),
        "datasets": [
            {
                "name": p.registration.name,
                "folder": str(p.folder),
                "licence": p.registration.licence,
                "licence_accepted": p.licence_accepted,
                "files": [
                    {"url": i.download.url, "there": i.there, "bytes": i.size, "sha256": i.download.sha256}
                    for i in p.items
                ],
            }
            for p in needs.datasets
        ],
        "weights": [{"name": f.name, "source": f.source, "there": f.there, "bytes": f.bytes} for f in needs.files],
        "by_hand": [{"name": name, "how": error.hint} for name, error in needs.by_hand],
        "left_out": needs.left_out,
    }
