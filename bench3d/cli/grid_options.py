"""Options that several grid commands share, as dataclasses, and what they mean to the planner and to an executor."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from bench3d.cli.data import CategoryOption, DataDirOption, split_categories
from bench3d.cli.runs import Device, LogOption, OfflineOption, ResultsOption
from bench3d.contracts import ExecutorRegistration
from bench3d.errors import UsageError
from bench3d.plugins import load_registry, load_settings, parse_set, settings_model
from bench3d.plugins.names import did_you_mean

if TYPE_CHECKING:
    from bench3d.grid.expand import Overrides

RESULTS = Path("bench3d-results")
SCOPE = "executor."

GridArgument = Annotated[str, typer.Argument(metavar="GRID", help="A shipped grid (`bench3d grid list`) or a file.")]
NamesOption = list[str] | None


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What changes a grid's cells. None, False and nothing leave what the grid's file says."""

    results: ResultsOption = RESULTS
    data: DataDirOption = None
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Every run on its synthetic twin.")] = False
    device: Annotated[Device | None, typer.Option(help="Instead of what the grid says.")] = None
    offline: OfflineOption = False
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many images of a category.")] = None
    weights: Annotated[str | None, typer.Option(metavar="pretrained|random", help="Weights of every backbone.")] = None
    category: CategoryOption = None
    backbone: Annotated[
        NamesOption, typer.Option(metavar="NAME", help="Only cells with it, or a glob; repeat for more.")
    ] = None
    adapter: Annotated[NamesOption, typer.Option(metavar="NAME", help="The same; also shape models.")] = None
    task: Annotated[NamesOption, typer.Option(metavar="NAME", help="The same for tasks.")] = None
    protocol: Annotated[NamesOption, typer.Option(metavar="NAME", help="Protocols in place of the grid's.")] = None
    seed: Annotated[list[int] | None, typer.Option(metavar="N", min=0, help="Seeds in place of the grid's.")] = None
    part: Annotated[NamesOption, typer.Option(metavar="NAME", help="Only these parts of the grid's file.")] = None
    on: Annotated[NamesOption, typer.Option(metavar="NAME", help="Backbones in place of the grid's.")] = None
    settings: Annotated[
        NamesOption, typer.Option("--set", metavar="SCOPE.KEY=VALUE", help="For every cell; executor.KEY as well.")
    ] = None
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Jobs at once.")] = None

    def overrides(self) -> Overrides:
        """The options as the expansion of a grid takes them.

        Raises:
            UsageError: a --set that is not scope.key=value, or an unknown scope.
        """
        from bench3d.grid.expand import Overrides

        return Overrides(
            results=self.results,
            data=self.data,
            synthetic=self.synthetic or None,
            device=None if self.device is None else self.device.value,
            offline=self.offline or None,
            limit=self.limit,
            weights=self.weights,
            categories=split_categories(self.category) or None,
            backbones=split_categories(self.backbone),
            adapters=split_categories(self.adapter),
            tasks=split_categories(self.task),
            protocols=split_categories(self.protocol),
            seeds=tuple(self.seed) if self.seed else None,
            parts=split_categories(self.part),
            on=split_categories(self.on),
            settings=parse_set(s for s in self.settings or () if not s.strip().startswith(SCOPE)),
        )

    def for_executor(self) -> dict[str, str]:
        """The settings that `--set executor.KEY=VALUE` names."""
        found = {}
        for item in self.settings or ():
            if item.strip().startswith(SCOPE):
                key, equals, value = item.strip().removeprefix(SCOPE).partition("=")
                if not (key.strip() and equals):
                    raise UsageError(f"--set {item} is not of the form executor.key=value.")
                found[key.strip()] = value.strip()
        return found


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where the jobs are done, and which loggers hear of it.

    The flags below `detach` are settings that executors may have, by these names.
    """

    executor: Annotated[
        str | None, typer.Option(metavar="NAME", help="See `bench3d list executors` (default: slots on this machine).")
    ] = None
    log: LogOption = None
    detach: Annotated[bool, typer.Option("--detach", help="Hand the jobs over and leave, where that is possible.")] = (
        False
    )
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Of a cluster.")] = None
    account: Annotated[str | None, typer.Option(metavar="NAME", help="That pays on a cluster.")] = None
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Limit of a job on a cluster, e.g. 8h.")] = None
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Of a worker, e.g. 32GB.")] = None
    gpus_per_worker: Annotated[int | None, typer.Option(metavar="N", min=0, help="GPUs of a worker.")] = None
    cpus_per_worker: Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores of a worker.")] = None


FLAGS: Mapping[str, tuple[str, ...]] = {
    "partition": ("partition",),
    "account": ("account",),
    "time": ("time",),
    "memory": ("memory",),
    "gpus_per_worker": ("gpus_per_worker",),
    "cpus_per_worker": ("cpus_per_worker", "cores_per_worker"),
}
"""Flag -> the names that an executor's settings may give it."""


def executor_name(engine: EngineOptions) -> str:
    """The executor that was asked for, else the one that registers itself as the default.

    Raises:
        UsageError: none does.
    """
    if engine.executor is not None:
        return engine.executor
    for registration in load_registry().registrations("executor"):
        if isinstance(registration, ExecutorRegistration) and registration.default:
            return registration.name
    raise UsageError("No executor is the default here.", "Add --executor NAME; see `bench3d list executors`.")


def executor_settings(engine: EngineOptions, more: Mapping[str, str]) -> dict[str, Any]:
    """Flags and `--set executor.KEY=VALUE` as settings of the executor, checked against its model.

    Raises:
        UnknownNameError, UsageError: no such executor, a setting that it does not have, a wrong value.
    """
    registration = load_registry().get("executor", executor_name(engine))
    known = list(settings_model(registration).model_fields)
    chosen: dict[str, Any] = dict(more)
    for flag, names in FLAGS.items():
        value = getattr(engine, flag)
        if value is None:
            continue
        key = next((n for n in names if n in known), None)
        if key is None:
            raise UsageError(f"The executor {registration.name} has no setting {flag}.", did_you_mean(flag, known))
        chosen[key] = value
    load_settings(registration, overrides=chosen)
    return chosen


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose dataclass parameters are spread into one option per field, as typer wants them."""
    hints = get_type_hints(command, include_extras=True)
    bundles: dict[str, type] = {}
    flat: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if not dataclasses.is_dataclass(hints[name]):
            flat.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        bundles[name] = hints[name]
        types = get_type_hints(hints[name], include_extras=True)
        for field in dataclasses.fields(hints[name]):
            flat.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name]
                )
            )

    @functools.wraps(command)
    def spread(**values: Any) -> None:
        for name, bundle in bundles.items():
            values[name] = bundle(**{f.name: values.pop(f.name) for f in dataclasses.fields(bundle)})
        command(**values)

    spread.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    spread.__annotations__ = {p.name: p.annotation for p in flat}
    return spread


def again(verb: str, grid: str, results: Path, *words: str) -> str:
    """A command line for the reader to type: "bench3d grid logs demo run-0123456789ab"."""
    place = () if results == RESULTS else ("--results", str(results))
    return shlex.join(("bench3d", "grid", verb, grid, *words, *place))
