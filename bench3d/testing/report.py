"""What became of checks, for people, for programs, and for a pull request. Imports nothing heavy."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bench3d import __version__

if TYPE_CHECKING:
    from rich.console import Console

BAD = ("failed", "error")
ORDER = ("failed", "error", "passed", "skipped")
STYLES = {"failed": "bold red", "error": "bold red", "passed": "green", "skipped": "yellow"}
SCHEMA = "bench3d.check/1"


@dataclass(frozen=True)
class Outcome:
    """One check: its name and promise, its state (passed, failed, skipped, error), and what is to be said of it.

    `failed` is a broken promise; `error` something that the check did not expect. `trace` is for --debug.
    """

    name: str
    state: str
    detail: str = ""
    seconds: float = 0.0
    hint: str = ""
    trace: str = field(default="", repr=False)
    says: str = ""

    @property
    def bad(self) -> bool:
        """Whether the check was not passed."""
        return self.state in BAD


@dataclass
class Report:
    """All checks of one thing that a plugin offers.

    Attributes:
        kind, name: what it is, and what a user types.
        distribution, release: the package that it came from.
        device: where it was checked.
    """

    kind: str
    name: str
    distribution: str = ""
    release: str = ""
    device: str = "cpu"
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether any check was not passed."""
        return any(o.bad for o in self.outcomes)

    @property
    def seconds(self) -> float:
        """Of all checks together."""
        return sum(o.seconds for o in self.outcomes)

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"

    def ordered(self) -> list[Outcome]:
        """What failed first, the rest in the order of the checks."""
        return sorted(self.outcomes, key=lambda o: ORDER.index(o.state))

    def count(self) -> str:
        """The states of its checks in words: 2 failed, 20 passed."""
        return counted([self])


def counted(reports: Sequence[Report]) -> str:
    """The states of all checks in words."""
    found = Counter(o.state for r in reports for o in r.outcomes)
    words = {"error": "in error"}
    return ", ".join(f"{found[s]} {words.get(s, s)}" for s in ORDER if found[s]) or "nothing to check"


def versions() -> dict[str, str]:
    """What the checks ran with: bench3d, Python, torch, numpy and the system."""
    found = {"bench3d": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["system"] = f"{platform.system()} {platform.machine()}"
    return found


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "schema": SCHEMA,
        "passed": not any(r.bad for r in reports),
        "versions": versions(),
        "reports": [{**asdict(r), "passed": not r.bad, "seconds": r.seconds} for r in reports],
    }


def as_markdown(reports: Sequence[Report], made_with: Mapping[str, str] | None = None) -> str:
    """For a pull request: the verdict, then what failed with the next step, then every check folded away."""
    bad = any(r.bad for r in reports)
    facts = ", ".join(f"{name} {value}" for name, value in (made_with or versions()).items())
    lines = [
        f"### {'❌' if bad else '✅'} bench3d plugin check: {counted(reports)}",
        "",
        f"{facts}; {sum(r.seconds for r in reports):.0f} s",
        "",
        "| what | package | device | result | seconds |",
        "|---|---|---|---|---:|",
    ]
    for report in reports:
        package = f"{report.distribution} {report.release}".strip()
        cells = (
            f"{report.kind} `{_code(report.name)}`",
            package,
            report.device,
            report.count(),
            f"{report.seconds:.1f}",
        )
        lines.append(f"| {' | '.join(_cell(c) for c in cells)} |")
    failed = [(r, o) for r in reports for o in r.outcomes if o.bad]
    if failed:
        lines += ["", "#### What failed", ""]
    for report, outcome in failed:
        lines.append(f"- {report.kind} `{_code(report.name)}`, **{outcome.name}**: {_text(outcome.detail)}")
        lines += [f"  Next: {_text(outcome.hint)}"] if outcome.hint else []
    for report in reports:
        lines += ["", *_folded(report)]
    return "\n".join(lines) + "\n"


def _folded(report: Report) -> list[str]:
    rows = [
        f"| {o.state} | {o.name} | {_cell(_text(o.says))} | {_cell(_text(o.detail))} | {o.seconds:.1f} |"
        for o in report.ordered()
    ]
    return [
        f"<details><summary>{report.kind} {_text(report.name)}: all {len(rows)} checks</summary>",
        "",
        "| result | check | promise | detail | seconds |",
        "|---|---|---|---|---:|",
        *rows,
        "",
        "</details>",
    ]


def _text(text: str) -> str:
    """One line that is shown as it is: no HTML and no links out of a plugin's messages."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in ("\\", "[", "]", "*", "_", "`"):
        plain = plain.replace(mark, "\\" + mark)
    return plain


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def show(out: Console, reports: Sequence[Report], debug: bool = False) -> None:
    """For a terminal: every check of one thing; of several only what failed, and a line for each."""
    from rich.text import Text

    for report in reports:
        head = Text(report.title, style="bold cyan")
        package = f"{report.distribution} {report.release}".strip()
        head.append(f"  {package}{', ' if package else ''}{report.device}", style="default")
        head.append(f"  {report.count()}", style="red" if report.bad else "green")
        head.append(f"  {report.seconds:.1f} s", style="dim")
        out.print(head)
        shown = report.ordered() if len(reports) == 1 else [o for o in report.ordered() if o.bad]
        if shown:
            out.print(_table(shown))
        for outcome in shown:
            if debug and outcome.trace:
                out.print(Text(f"{outcome.name}:\n{outcome.trace.rstrip()}", style="dim"))
    verdict = counted(reports) + ("." if len(reports) == 1 else f", of {len(reports)} things.")
    out.print(Text(verdict, style="bold red" if any(r.bad for r in reports) else "bold green"))


def _table(outcomes: Sequence[Outcome]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(width=7, no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True, style="dim")
    for outcome in outcomes:
        words = Text(outcome.detail or ("" if outcome.bad else outcome.says))
        if outcome.hint and outcome.bad:
            words.append(f"\n{outcome.hint}", style="italic")
        seconds = f"{outcome.seconds:.1f} s"
        table.add_row(Text(outcome.state, style=STYLES[outcome.state]), outcome.name, words, seconds)
    return table
