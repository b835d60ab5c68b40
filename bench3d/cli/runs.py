"""`bench3d run` and `bench3d train`: one cell of the table, or only the fits that it needs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from bench3d.cli.data import CategoryOption, DataDirOption, split_categories
from bench3d.cli.output import DebugOption, JsonOption, console, print_json
from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins import load_registry, parse_set
from bench3d.plugins.logs import ask_for
from bench3d.plugins.names import did_you_mean

NONE = "none"


class Device(str, Enum):
    """Where a run happens."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


BackboneOption = Annotated[str, typer.Option(metavar="NAME", help="See `bench3d list backbones`.")]
AdapterOption = Annotated[
    str, typer.Option(metavar="NAME", help="An adapter, or a shape model for short (then the adapter is none).")
]
ShapeOption = Annotated[str, typer.Option("--shape-model", metavar="NAME", help="See `bench3d list shape-models`.")]
WeightsOption = Annotated[str, typer.Option(metavar="pretrained|random|FILE", help="Weights of the backbone.")]
SyntheticOption = Annotated[bool, typer.Option("--synthetic", help="On the synthetic twin; it is made where missing.")]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Every random draw derives from it.")]
DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where it works.")]
ResultsOption = Annotated[Path, typer.Option(metavar="DIR", help="Where fits and records go.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SCOPE.KEY=VALUE", help="A setting, e.g. task.split=hard; see `bench3d describe`."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use no network: only weights that are cached.")]
LogOption = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="NAME[:TARGET]", help="Also to a logger, e.g. csv:DIR; see `bench3d list loggers`."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Do again what is already done.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    example = "Example: bench3d {} --backbone hog --adapter common3d{} --synthetic"
    app.command(
        "run",
        short_help="One backbone on one task: a table and a record.",
        epilog=example.format("run", " --task pascal3d-pose"),
    )(run)
    app.command("train", short_help="Only the fits that a run needs.", epilog=example.format("train", ""))(train)


def run(
    backbone: BackboneOption,
    task: Annotated[str, typer.Option(metavar="NAME", help="See `bench3d list tasks`.")],
    adapter: AdapterOption = NONE,
    shape_model: ShapeOption = NONE,
    protocol: Annotated[
        str | None, typer.Option(metavar="NAME", help="Evaluation settings (default: the task's first).")
    ] = None,
    weights: WeightsOption = "pretrained",
    data: DataDirOption = None,
    synthetic: SyntheticOption = False,
    category: CategoryOption = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many images of a category.")] = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    results: ResultsOption = Path("bench3d-results"),
    settings: SetOption = None,
    visualize: Annotated[bool, typer.Option("--visualize", help="Leave pictures beside the record.")] = False,
    force: ForceOption = False,
    layer: Annotated[
        str | None,
        typer.Option(metavar="N|last|auto", help="Layer of the backbone; auto chooses on the task's validation data."),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Images that the backbone sees at once.")] = 8,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Threads that load images ahead.")] = 2,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Keep features on disk; see `bench3d cache`.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The record alone on standard output.")] = False,
    offline: OfflineOption = False,
    log: LogOption = None,
    debug: DebugOption = False,
) -> None:
    """Run one backbone on one task: make what is missing, evaluate, print the table, leave a record."""
    from bench3d.cli.progress import progress_for
    from bench3d.cli.views import print_plan, print_record
    from bench3d.runner import RunSpec, execute, plan_run

    ask_for(log or [])
    adapter, shape_model = shape_model_for_short(adapter, shape_model)
    spec = RunSpec(
        backbone=backbone,
        task=task,
        adapter=adapter,
        shape_model=shape_model,
        weights=weights,
        protocol=protocol,
        categories=split_categories(category),
        limit=limit,
        seed=seed,
        device=device.value,
        data=data,
        synthetic=synthetic,
        results=results,
        settings=with_layer(parse_set(settings or []), layer),
        visualize=visualize,
        force=force,
        offline=offline,
        layer="auto" if layer == "auto" else None,
        batch=batch,
        workers=workers,
        cache=cache,
    )
    plan = plan_run(spec)
    err = console(stderr=True)
    print_plan(plan, err if as_json else console(), costs_of(plan))
    with progress_for() as progress:
        record = execute(plan, progress)
    if as_json:
        print_json(record.as_json())
    else:
        print_record(record, plan.record_path, console())
    if record.status != "finished":
        raise typer.Exit(1)


def costs_of(plan: Any) -> dict[str, float]:
    """What a run and the fits that it lacks will roughly cost, for display; empty where it is done already."""
    from bench3d.grid.estimate import Estimates
    from bench3d.records import RunIndex
    from bench3d.runner import RunPlan

    if not isinstance(plan, RunPlan) or plan.already_done or plan.problem is not None:
        return {}
    estimates = Estimates(RunIndex(plan.spec.results), plan.spec.results)
    parts = [estimates.run(plan), *(estimates.fit(plan, job) for job in plan.jobs if not job.done)]
    seconds, memory = [p.seconds for p in parts], [p.memory_bytes or 0.0 for p in parts]
    known = {"seconds": sum(s for s in seconds if s is not None)} if None not in seconds else {}
    return {**known, "memory_bytes": max(memory), "disk_bytes": sum(p.disk_bytes or 0.0 for p in parts)}


def with_layer(settings: dict[str, dict[str, Any]], layer: str | None) -> dict[str, dict[str, Any]]:
    """`--layer N` is short for `--set backbone.layer=N`, `last` for the default.

    Raises:
        UsageError: no number, last or auto; or the setting is given as well.
    """
    if layer is None:
        return settings
    own = settings.get("backbone", {})
    if "layer" in own:
        raise UsageError("--layer and --set backbone.layer say the same thing.", "Give one of them.")
    if layer in ("auto", "last"):
        return settings
    if not layer.lstrip("-").isdigit():
        raise UsageError(f"--layer {layer} is no layer.", "Give a number (negative from the end), last or auto.")
    return {**settings, "backbone": {**own, "layer": layer}}


def train(
    backbone: BackboneOption,
    adapter: AdapterOption = NONE,
    shape_model: ShapeOption = NONE,
    weights: WeightsOption = "pretrained",
    data: DataDirOption = None,
    synthetic: SyntheticOption = False,
    category: CategoryOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    results: ResultsOption = Path("bench3d-results"),
    settings: SetOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    offline: OfflineOption = False,
    log: LogOption = None,
    debug: DebugOption = False,
) -> None:
    """Fit the adapter or shape model only; `run` then takes what is there."""
    from bench3d.cli.progress import progress_for
    from bench3d.cli.views import print_artifacts, print_plan
    from bench3d.runner import RunSpec, fit_all, plan_fits

    ask_for(log or [])
    adapter, shape_model = shape_model_for_short(adapter, shape_model)
    if (adapter, shape_model) == (NONE, NONE):
        known = [n for n in fittable() if n != NONE]
        raise UsageError("There is nothing to train.", f"Add --adapter NAME; known: {', '.join(known) or 'none'}.")
    spec = RunSpec(
        backbone=backbone,
        adapter=adapter,
        shape_model=shape_model,
        weights=weights,
        categories=split_categories(category),
        seed=seed,
        device=device.value,
        data=data,
        synthetic=synthetic,
        results=results,
        settings=parse_set(settings or []),
        force=force,
        offline=offline,
    )
    plan = plan_fits(spec)
    print_plan(plan, console(stderr=True) if as_json else console(), {})
    with progress_for() as progress:
        artifacts = fit_all(plan, progress)
    if as_json:
        print_json([artifact_values(a) for a in artifacts])
    else:
        print_artifacts(artifacts, console())


def artifact_values(artifact: Any) -> dict[str, Any]:
    """An artifact as JSON."""
    return {
        "path": str(artifact.path),
        "category": artifact.category,
        "recipe": artifact.recipe,
        "digest": artifact.digest,
        "facts": dict(artifact.facts),
    }


def fittable() -> list[str]:
    """Names that --adapter takes: adapters and shape models."""
    registry = load_registry()
    return sorted({*registry.names("adapter"), *registry.names("shape-model")})


def shape_model_for_short(adapter: str, shape_model: str) -> tuple[str, str]:
    """`--adapter NAME` with the name of a shape model means `--adapter none --shape-model NAME`.

    Raises:
        UnknownNameError: the adapter is neither; holds the nearest names of both kinds.
        UsageError: two different shape models.
    """
    registry = load_registry()
    if (
        adapter == NONE
        or adapter in registry.names("adapter")
        or adapter.partition(":")[0] in registry.names("adapter")
    ):
        return adapter, shape_model
    if adapter not in registry.names("shape-model"):
        raise UnknownNameError(f"There is no adapter named {adapter}.", did_you_mean(adapter, fittable()))
    if shape_model not in (NONE, adapter):
        raise UsageError(
            f"--adapter {adapter} already names a shape model, and --shape-model {shape_model} another one.",
            "Give one of them.",
        )
    return NONE, adapter
