"""`bench3d.run`, `bench3d.plan` and `bench3d.train`: the command line's verbs, with objects in the place of names."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from bench3d.api.objects import Wrapped, lend, wrap
from bench3d.api.showing import Shown, progress_of
from bench3d.api.spec import NONE, Settings, categories, folder, scoped, shape_model_for_short, with_layer
from bench3d.contracts import Artifact, ShapeModel, Task
from bench3d.errors import UsageError
from bench3d.records import Record
from bench3d.runner.plan import RunPlan, plan_fits, plan_run
from bench3d.runner.spec import RunSpec

if TYPE_CHECKING:
    from bench3d.api.objects import Net

PathLike: TypeAlias = Union[str, "os.PathLike[str]"]
Backbone: TypeAlias = "str | Wrapped | Net"
Adapter: TypeAlias = "str | Wrapped | ShapeModel"
TaskLike: TypeAlias = "str | Wrapped | Task"


def run(
    *,
    backbone: Backbone,
    task: TaskLike,
    adapter: Adapter = NONE,
    shape_model: Adapter = NONE,
    protocol: str | None = None,
    weights: PathLike = "pretrained",
    data: PathLike | None = None,
    synthetic: bool = False,
    category: str | Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    results: PathLike = "bench3d-results",
    settings: Settings | None = None,
    visualize: bool = False,
    force: bool = False,
    layer: int | str | None = None,
    batch: int = 8,
    workers: int = 2,
    cache: bool = True,
    offline: bool = False,
    name: str | None = None,
    progress: Shown = False,
) -> Record:
    """Evaluates one backbone on one task, makes what is missing for it, and leaves a record: `bench3d run`.

        >>> record = bench3d.run(backbone="dinov2", adapter="common3d", task="pascal3d-pose", synthetic=True, limit=20)
        >>> record.score(record.headline).value

    A network of one's own takes the place of a name; its record calls it `object:NAME` (see `wrap` for more words):

        >>> bench3d.run(backbone=my_network, name="mine", task="spair71k", synthetic=True)

    Args:
        backbone: a registered name, or an object: a torch module or function (B, 3, H, W) -> (B, C, h, w), a
            `bench3d.contracts.Model`, or what `wrap` gives.
        task: a registered name, or what `wrap` gives of a `bench3d.contracts.Task`.
        adapter: a registered name, NAME:CHECKPOINT, the name of a shape model for short, or an object with fit, load
            and apply; "none".
        shape_model: a registered name, or what `wrap` gives of an object; "none".
        protocol: evaluation settings; None for the task's first.
        weights: "pretrained", "random" or a file, of a backbone that is named.
        data: data root, or a folder that the task's data set recognises.
        synthetic: on the synthetic twin; it is made where it is missing.
        category: only these; None for all.
        limit: at most so many images of a category.
        seed: every random draw derives from it.
        device: "auto", "cpu" or "cuda".
        results: where fits and records go.
        settings: {"task.split": "hard"} or {"task": {"split": "hard"}}; scopes backbone, adapter, shape, task, data.
        visualize: leave pictures beside the record.
        force: run again although the run is finished.
        layer: layer of the backbone; "auto" chooses on the task's validation data.
        batch, workers: images at once, threads that load them; they change no number.
        cache: keep features on disk.
        offline: load nothing from the network.
        name: of a backbone that is an object; its class's or function's unless given.
        progress: True shows bars; a function is called with (stage, steps done, steps in all or None, values).

    Returns:
        the record of the finished run, also where it was finished before.

    Raises:
        UnknownNameError, UsageError, CapabilityError: a name, setting or combination that cannot be.
        DataError, WeightsError: what is missing or broken.
        OutputError: results cannot be written.
        Bench3DError: out of memory with one image at a time. A record of the failure is left.
    """
    given = dict(locals())
    from bench3d.runner.run import execute

    shown = progress_of(given.pop("progress"))
    with _planned(given) as spec, shown, _main_stays_closed():
        return execute(plan_run(spec), shown)


def plan(
    *,
    backbone: Backbone,
    task: TaskLike,
    adapter: Adapter = NONE,
    shape_model: Adapter = NONE,
    protocol: str | None = None,
    weights: PathLike = "pretrained",
    data: PathLike | None = None,
    synthetic: bool = False,
    category: str | Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    results: PathLike = "bench3d-results",
    settings: Settings | None = None,
    layer: int | str | None = None,
    offline: bool = False,
    name: str | None = None,
) -> RunPlan:
    """What `run` would do, with nothing loaded, fetched or written.

        >>> plan = bench3d.plan(backbone="dinov2", task="pascal3d-pose", adapter="common3d", synthetic=True)
        >>> [(step.what, step.state) for step in plan.steps], plan.identity

    Args:
        backbone, task, adapter and the others: as `run` has them.

    Raises:
        UnknownNameError, UsageError, CapabilityError, WeightsError: as `run`. What of the data is missing is said in
            `plan.problem`.
    """
    with _planned(dict(locals())) as spec:
        return plan_run(spec)


def train(
    *,
    backbone: Backbone,
    adapter: Adapter = NONE,
    shape_model: Adapter = NONE,
    weights: PathLike = "pretrained",
    data: PathLike | None = None,
    synthetic: bool = False,
    category: str | Sequence[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    results: PathLike = "bench3d-results",
    settings: Settings | None = None,
    force: bool = False,
    offline: bool = False,
    name: str | None = None,
    progress: Shown = False,
) -> list[Artifact]:
    """Fits the adapter or shape model only; `run` then takes what is there.

        >>> artifacts = bench3d.train(backbone="hog", adapter="common3d", synthetic=True, category="car")
        >>> artifacts[0].path, artifacts[0].facts

    Args:
        backbone, adapter and the others: as `run` has them.

    Raises:
        UsageError: there is nothing to train. Others as `run`.
    """
    given = dict(locals())
    from bench3d.runner.fits import fit_all

    shown = progress_of(given.pop("progress"))
    with _planned(given) as spec, shown, _main_stays_closed():
        return fit_all(plan_fits(spec), shown)


@contextlib.contextmanager
def _planned(values: dict[str, Any]) -> Iterator[RunSpec]:
    """The spec of a call from its arguments; its objects are registered while the block lasts."""
    with contextlib.ExitStack() as stack:
        settings, name = scoped(values.pop("settings")), values.pop("name")
        for role, scope, kind in (
            ("backbone", "backbone", "backbone"),
            ("adapter", "adapter", "adapter"),
            ("shape_model", "shape", "shape-model"),
            ("task", "task", "task"),
        ):
            given = values.get(role)
            if given is None or isinstance(given, str):
                continue
            wrapped = _wrapped(given, role, kind, name)
            values[role], own = stack.enter_context(lend(wrapped))
            settings[scope] = {**own, **settings.get(scope, {})}
        yield _spec(values, settings, name)


def _wrapped(given: Any, role: str, kind: str, name: str | None) -> Wrapped:
    if isinstance(given, Wrapped):
        if role == "backbone" and name is not None and name != given.name:
            raise UsageError(f"The backbone is wrapped as {given.name}, and name={name!r}.", "Leave name out.")
        found, wrapped = given.kind, given
    else:
        own = getattr(given, "__name__", type(given).__name__)
        plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in own).strip("-") or "object"
        wrapped = wrap(given, name if role == "backbone" and name else plain)
        found = wrapped.kind
    if found != kind:
        raise UsageError(f"{role}= was given a {found}.", f"Give it as {found.replace('-', '_')}=.")
    return wrapped


def _spec(values: dict[str, Any], settings: dict[str, dict[str, Any]], name: str | None) -> RunSpec:
    layer = values.pop("layer", None)
    if name is not None and not str(values["backbone"]).startswith("object:"):
        raise UsageError(f"name={name!r} is for a backbone that is an object.", "Leave it out.")
    if str(values["backbone"]).startswith("object:") and values["weights"] != "pretrained":
        raise UsageError("A backbone that is an object has its weights in it.", "Leave weights out.")
    values["adapter"], values["shape_model"] = shape_model_for_short(values["adapter"], values["shape_model"])
    values["weights"] = os.fspath(values["weights"])
    values["data"] = None if values["data"] is None else folder(values["data"])
    values["results"] = folder(values["results"])
    return RunSpec(
        **{k: v for k, v in values.items() if k != "category"},
        categories=categories(values["category"]),
        settings=with_layer(settings, layer),
        layer="auto" if layer == "auto" else None,
    )


@contextlib.contextmanager
def _main_stays_closed() -> Iterator[None]:
    """Worker processes do not import the user's script again, which would run it a second time.

    They are spawned and do only what bench3d's own modules hold; what `multiprocessing` finds of the script is where
    `__main__` came from.
    """
    main = sys.modules.get("__main__")
    hidden = {key: vars(main).get(key) for key in ("__spec__", "__file__") if main is not None and key in vars(main)}
    if main is None or (hidden.get("__spec__") is None and "__file__" not in hidden):
        yield
        return
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        for key, value in hidden.items():
            setattr(main, key, value)
