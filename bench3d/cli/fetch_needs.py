"""What `data fetch` has to get: one data set, or the data, weights and checkpoints that the runs of a grid need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench3d.contracts import BackboneRegistration, DatasetRegistration
from bench3d.data.fetch_plan import DatasetPlan, plan_dataset
from bench3d.data.licences import accepted
from bench3d.errors import Bench3DError, DataError, UnknownNameError
from bench3d.plugins import load_registry
from bench3d.plugins.names import did_you_mean


@dataclass(frozen=True)
class NeededFile:
    """Weights of a backbone, or a checkpoint of an adapter.

    Attributes:
        name: "backbone dinov2".
        source: where it comes from.
        bytes: roughly, None where nobody says.
        licence: of the weights; `licence_accepted` where their owner asks for that.
        there: in the cache; None where only trying tells.
        get: fetches it by the plugin's own loading. WeightsError where it cannot be had.
    """

    name: str
    source: str
    bytes: int | None
    licence: str
    licence_accepted: bool
    there: bool | None
    get: Callable[[], object] = field(repr=False)


@dataclass(frozen=True)
class Needs:
    """Everything that is needed.

    Attributes:
        by_hand: (data set, sentence) of what no program can fetch.
        left_out: how many cells of the grid cannot run at all, whatever is fetched.
    """

    root: Path
    datasets: tuple[DatasetPlan, ...] = ()
    files: tuple[NeededFile, ...] = ()
    by_hand: tuple[tuple[str, DataError], ...] = ()
    left_out: int = 0

    @property
    def nothing_to_do(self) -> bool:
        """Whether all is there."""
        return not any(p.todo for p in self.datasets) and all(f.there for f in self.files)


def find_needs(target: str, root: Path, given: Path | None, categories: Sequence[str], network: bool) -> Needs:
    """The needs of a data set or grid.

    Args:
        target: name of a data set, name or path of a grid.
        root: the data root.
        given: what the user gave as --data.
        categories: only these; empty for all.
        network: ask servers for sizes.

    Raises:
        UnknownNameError: neither; holds the nearest names of both.
        DataError: a data set that is missing and that no program can fetch.
    """
    known = load_registry().names("dataset")
    if target in known:
        return Needs(root, (plan_dataset(dataset(target), root, categories, network),))
    from bench3d.grid.files import read_grid, shipped

    try:
        grid = read_grid(target)
    except UnknownNameError as error:
        names = [*known, *(name for name, _ in shipped())]
        raise UnknownNameError(
            f"There is no data set and no grid named {target}.", did_you_mean(target, names)
        ) from error
    return _grid_needs(grid, root, given, categories, network)


def dataset(name: str) -> DatasetRegistration:
    """The registration of a data set. UnknownNameError with the nearest names."""
    registration = load_registry().find("dataset", name)
    assert isinstance(registration, DatasetRegistration)
    return registration


def _grid_needs(grid: Any, root: Path, given: Path | None, categories: Sequence[str], network: bool) -> Needs:
    from bench3d.grid.expand import Overrides, expand
    from bench3d.runner.resolve import resolve_spec

    wanted: dict[str, dict[str, None]] = {}
    files: dict[tuple[str, str], NeededFile] = {}
    left_out = 0
    for cell in expand(grid, Overrides(data=given, categories=tuple(categories) or None)):
        try:
            resolved = resolve_spec(cell.spec)
        except Bench3DError:  # `grid plan` shows the reason
            left_out += 1
            continue
        for source in filter(None, (resolved.test, *resolved.train.values())):
            if source.twin is None and source.folder is None:
                theirs = [c for c in resolved.categories if c in source.registration.categories]
                wanted.setdefault(source.registration.name, {}).update(dict.fromkeys(theirs))
        for key, needed in _needed_files(cell.spec, resolved, root):
            files.setdefault(key, needed)
    plans, by_hand = [], []
    for name, theirs_too in sorted(wanted.items()):
        try:
            plans.append(plan_dataset(dataset(name), root, tuple(theirs_too), network))
        except DataError as error:
            by_hand.append((name, error))
    return Needs(root, tuple(plans), tuple(files.values()), tuple(by_hand), left_out)


def _needed_files(spec: Any, resolved: Any, root: Path) -> list[tuple[tuple[str, str], NeededFile]]:
    """Pretrained weights and a checkpoint on the hub, with a key that is the same for the same file."""
    from bench3d.features.weights import is_cached

    found: list[tuple[tuple[str, str], NeededFile]] = []
    registration = resolved.backbone.registration
    known = registration.weights if isinstance(registration, BackboneRegistration) else None
    if spec.weights == "pretrained" and resolved.weights is not None and known is not None:
        name, settings = resolved.backbone.name, resolved.backbone.settings
        source = str(resolved.weights["id"])
        revision = str(getattr(settings, "revision", None) or known.revision or "")
        licence = known.licence or registration.licence
        params = 4 * registration.params if registration.params else None
        needed = NeededFile(
            f"backbone {name}",
            f"{known.source}: {source}",
            known.bytes or params,
            licence,
            not known.registration_required or accepted(root, name, licence),
            known.shipped or (is_cached(source) if known.source == "hub" and not revision else None),
            lambda: load_registry().create("backbone", name, weights="pretrained", settings=settings, device="cpu"),
        )
        found.append(((f"{known.source}: {source}", revision), needed))
    checkpoint = resolved.checkpoint
    if checkpoint is not None and "hub" in checkpoint.identity:
        owner, text = f"adapter {resolved.adapter.name}", checkpoint.text
        there = is_cached("/".join(text.split("/")[:2]))
        needed = NeededFile(owner, f"hub: {text}", None, "", True, there, lambda: checkpoint.fetch(owner))
        found.append(((text, ""), needed))
    return found
