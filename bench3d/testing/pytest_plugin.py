"""pytest plugin: the conformance kit in the tests of a plugin package.

    pytest -p bench3d.testing.pytest_plugin --bench3d my-backbone    your own tests, and an item for each check of it
    pytest -p ... --bench3d . -m bench3d                 only the checks, of the package in this folder
    pytest -p ... --bench3d mine --bench3d-kind task     where two kinds have the name

Each item bears the mark `bench3d`; `-k batch` chooses checks by name. They run in a child process: one that crashes or
hangs is a failed test. In tests of your own there are two fixtures:

    def test_mine(bench3d_subject):
        from bench3d.testing import run_checks
        subject = bench3d_subject("backbone", "mine", settings={"grid": 4})
        assert all(r.state != "failed" for r in run_checks(subject, only=["batch"]))

    def test_reader(bench3d_twin):
        reader = bench3d_twin("my-dataset")       # of its tiny synthetic twin; a reader of any registered data set

Nothing of bench3d is imported unless an option or a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench3d.testing.isolated import Bench
    from bench3d.testing.report import Outcome, Report
    from bench3d.testing.subjects import Subject
    from bench3d.testing.targets import Found

MARK = "bench3d"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("bench3d", "conformance kit of bench3d")
    group.addoption(
        "--bench3d", action="append", default=[], metavar="NAME|PATH",
        help="check that this plugin keeps its contracts (as `bench3d plugin check` does); repeatable",
    )  # fmt: skip
    group.addoption("--bench3d-kind", metavar="KIND", default=None, help="only this kind of what --bench3d names")
    group.addoption("--bench3d-device", metavar="DEVICE", default="cpu", help="cpu (default) or cuda")
    group.addoption("--bench3d-seconds", metavar="S", type=float, default=120.0, help="that one check may take")
    group.addoption("--bench3d-markdown", metavar="FILE", default=None, help="write a report fit for a pull request")


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark."""
    config.addinivalue_line("markers", f"{MARK}: a check of bench3d's conformance kit (pytest --bench3d NAME)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds an item for each check."""
    wanted: list[str] = config.getoption("--bench3d")
    if not wanted:
        return
    from bench3d.errors import Bench3DError

    benches = config.stash.setdefault(_BENCHES, [])
    for what in wanted:
        try:
            collector = _collector(session, config, what)
        except Bench3DError as error:
            raise pytest.UsageError(f"--bench3d {what}: {error}") from error
        benches.append(collector.bench)
        items += collector.collect()


def _collector(session: pytest.Session, config: pytest.Config, what: str) -> Checks:
    from bench3d.testing.isolated import Bench, order_for

    order = order_for(
        what,
        config.getoption("--bench3d-kind"),
        device=config.getoption("--bench3d-device"),
        seconds=config.getoption("--bench3d-seconds"),
    )
    bench = Bench(order)
    bench.__enter__()
    collector: Checks = Checks.from_parent(session, name="bench3d", nodeid=f"bench3d {what}", bench=bench)
    return collector


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends the child processes and writes the report."""
    benches = session.config.stash.get(_BENCHES, [])
    for bench in benches:
        bench.close()
    path, reports = session.config.getoption("--bench3d-markdown"), session.config.stash.get(_REPORTS, {})
    if path is not None and reports:
        from bench3d.files import write_text
        from bench3d.testing.report import as_markdown

        write_text(Path(path), as_markdown(list(reports.values())))


class Checks(pytest.Collector):
    """The checks of what one `--bench3d` names."""

    def __init__(self, *, bench: Bench, **more: Any) -> None:
        super().__init__(**more)
        self.bench = bench

    def collect(self) -> list[CheckItem]:
        """An item for each check."""
        made = []
        for found in self.bench.found:
            for name in self.bench.checks(found):
                item = CheckItem.from_parent(
                    self, name=f"{found.kind}/{found.name}::{name}", bench=self.bench, found=found, check=name
                )
                item.add_marker(MARK)
                made.append(item)
        return made


class CheckItem(pytest.Item):
    """One check."""

    def __init__(self, *, bench: Bench, found: Found, check: str, **more: Any) -> None:
        super().__init__(**more)
        self.bench, self.found, self.check = bench, found, check

    def runtest(self) -> None:
        """Runs it in the child."""
        outcome = self.bench.run(self.found, self.check)
        self._report().outcomes.append(outcome)
        if outcome.state == "skipped":
            pytest.skip(outcome.detail)
        if outcome.bad:
            raise NotKept(outcome)

    def _report(self) -> Report:
        reports = self.config.stash.setdefault(_REPORTS, {})
        key = f"{self.found.kind} {self.found.name}"
        if key not in reports:
            reports[key] = self.bench.report(self.found)
        return reports[key]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The sentence, the next step and the promise; a traceback where it crashed or raised what nobody expects."""
        error = excinfo.value
        if not isinstance(error, NotKept):
            return str(super().repr_failure(excinfo, style))
        outcome = error.outcome
        promise = f"The promise: {outcome.says}" if outcome.says else ""
        lines = [outcome.detail, outcome.hint if not outcome.trace else "", promise, outcome.trace]
        return "\n".join(line for line in lines if line)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, in words."""
        return self.path, None, f"{self.found.kind} {self.found.name}: {self.check}"


class NotKept(Exception):
    """A check was not passed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


_BENCHES: pytest.StashKey[list[Bench]] = pytest.StashKey()
_REPORTS: pytest.StashKey[dict[str, Report]] = pytest.StashKey()


@pytest.fixture
def bench3d_subject(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Subject]:
    """Called with (kind, name, **options): what `bench3d.testing.run_checks` takes; options as `Options` has them."""

    def make(kind: str, name: str, **options: Any) -> Subject:
        from bench3d.testing.subjects import Options, subject_for

        folder = tmp_path / f"bench3d-{kind}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        device = request.config.getoption("--bench3d-device")
        return subject_for(kind, name, tmp=folder, device=device, options=Options(**options))

    return make


@pytest.fixture
def bench3d_twin(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Called with a name: a reader of the tiny synthetic twin of a registered data set, written for this test."""

    def open_one(name: str) -> Any:
        from bench3d.contracts import DatasetRegistration
        from bench3d.plugins import load_registry
        from bench3d.testing.twins import registered_reader, write_twin

        registration = load_registry().get("dataset", name)
        assert isinstance(registration, DatasetRegistration)
        return write_twin(registration, tmp_path / f"twin-{name}", registered_reader(registration)).open()

    yield open_one
