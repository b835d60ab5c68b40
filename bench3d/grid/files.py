"""Grid files: many runs in a few lines of YAML, validated; shipped ones by name, others by path.

    summary: "What layer knows most?"
    base: {synthetic: true}                  # holds for every part
    parts:                                   # a file of one part may say all of this at the top, without `parts`
      floors: {backbones: [hog, rgb], tasks: spair71k}
      vits:
        backbones: [dinov2, {name: dinov2, weights: random, label: untrained}]
        adapters: [none, smoothap-lora]
        tasks: "*-equivariance"
        vary: {backbone.layer: [3, 7, 11]}

A part is the product of its lists. README.md, "Grid files", names every key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, field_validator

from bench3d.errors import UnknownNameError, UsageError
from bench3d.plugins.names import did_you_mean, nearest
from bench3d.plugins.settings import SCOPES

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """A backbone, adapter, shape model or task of a list: a name or glob, or a mapping of these keys.

    Attributes:
        label: what stands for it in tables, where the name does not tell it from the others.
        weights: of a backbone.
        preset: of an adapter or shape model.
        protocols: of a task, in place of the part's.
        set: settings of this entry alone, without their scope: {rank: 4}.
    """

    name: str
    label: str | None = None
    weights: str | None = None
    preset: str | None = None
    protocols: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)] | None = None
    set: dict[str, JsonValue] = {}


class Categories(_Strict):
    """Categories: all in one run, or with `each` one run for every one; no names: all that the data know."""

    names: list[str] = []
    each: bool = False


def _categories(value: Any) -> Any:
    """`each`, `[car, chair]` and `{each: [car, chair]}` as fields of Categories."""
    if value == "each":
        return {"each": True}
    if isinstance(value, dict):
        if set(value) != {"each"}:
            raise ValueError("write each, a list of names, or {each: [names]}")
        return {"names": _listed(value["each"]), "each": True}
    return {"names": _listed(value)}


def _entries(value: Any) -> Any:
    items = _listed(value)
    return [{"name": i} if isinstance(i, str) else i for i in items] if isinstance(items, list) else items


def _scoped(path: str) -> str:
    scope, dot, key = path.partition(".")
    if not (dot and key):
        raise ValueError(f"{path} is not of the form scope.key; scopes: {', '.join(sorted(SCOPES.values()))}")
    if scope not in SCOPES.values():
        close = nearest(scope, SCOPES.values())
        known = f"perhaps {close[0]}" if close else f"known: {', '.join(sorted(SCOPES.values()))}"
        raise ValueError(f"{path}: there is no scope {scope} ({known})")
    return path


Entries = Annotated[list[Entry], BeforeValidator(_entries), Field(min_length=1)]
Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Condition = dict[str, Annotated[list[JsonValue], BeforeValidator(_listed)]]
Number = Annotated[int, Field(ge=0, strict=True)]


class Part(_Strict):
    """The product of its lists, less what `exclude` names. None: not said, so the base's, else a run's default."""

    backbones: Entries | None = None
    adapters: Entries | None = None
    shape_models: Entries | None = None
    presets: Names | None = None
    tasks: Entries | None = None
    protocols: Names | None = None
    categories: Annotated[Categories, BeforeValidator(_categories)] | None = None
    seeds: Annotated[list[Number], BeforeValidator(_listed), Field(min_length=1)] | None = None
    vary: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = {}
    set: dict[str, JsonValue] = {}
    exclude: Annotated[list[Condition], BeforeValidator(_listed)] = []
    weights: str | None = None
    layer: Literal["auto"] | Annotated[int, Field(strict=True)] | None = None
    limit: Annotated[int, Field(ge=1, strict=True)] | None = None
    batch: Annotated[int, Field(ge=1, strict=True)] | None = None
    synthetic: bool | None = None

    @field_validator("vary", "set")
    @classmethod
    def _keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {_scoped(key): v for key, v in value.items()}

    def over(self, base: Part) -> Part:
        """The part on top of what holds for all: `set` and `vary` key by key, `exclude` added, the rest replaced."""
        merged = {k: v for p in (base, self) for k in Part.model_fields if (v := getattr(p, k)) is not None}
        # A key that the part sets is not varied by the base as well, nor the other way round.
        merged["set"] = {k: v for k, v in base.set.items() if k not in self.vary} | self.set
        merged["vary"] = {k: v for k, v in base.vary.items() if k not in self.set} | self.vary
        merged["exclude"] = [*base.exclude, *self.exclude]
        return Part.model_construct(**merged)


class _Content(Part):
    summary: str = ""
    base: Part | None = None
    parts: dict[str, Part] | None = None
    include: Names | None = None


@dataclass(frozen=True, kw_only=True)
class GridFile:
    """A grid as it was written, nothing looked up yet.

    Attributes:
        name: of the file, without its ending.
        source: what errors call it: "demo.yaml" or a path.
        parts: by name, the base merged in; the one part of a file without `parts` is called "".
        includes: grids whose cells come after its own.
    """

    name: str
    source: str
    summary: str = ""
    parts: Mapping[str, Part]
    includes: tuple[GridFile, ...] = ()


def shipped() -> list[tuple[str, str]]:
    """Name and summary of every grid that comes with bench3d, by name."""
    return [(grid.name, grid.summary) for grid in (read_grid(f.name.removesuffix(".yaml")) for f in _shipped_files())]


def read_grid(name_or_path: str) -> GridFile:
    """A shipped grid by name, or a grid file by path (it ends in .yaml or .yml, or holds a separator).

    Raises:
        UnknownNameError: no shipped grid of this name; holds the nearest ones.
        UsageError: no such file, or no valid grid: names file and field.
    """
    return _read(name_or_path, Path(), ())


def _shipped_files() -> list[Traversable]:
    folder = files("bench3d.configs") / "grids"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)


def _read(asked: str, beside: Path, above: tuple[str, ...]) -> GridFile:
    """`beside` is the folder that relative paths of an `include` start from; `above` are the files that include it."""
    if asked.endswith((".yaml", ".yml")) or "/" in asked or "\\" in asked:
        path = beside / Path(asked).expanduser()
        source, text, name = str(path), _text(path), path.stem
        beside, key = path.parent, str(path.resolve())
    else:
        known = {f.name.removesuffix(".yaml"): f for f in _shipped_files()}
        if asked not in known:
            hint = did_you_mean(asked, known) or "None is shipped."
            raise UnknownNameError(f"There is no grid named {asked}.", f"{hint} Or give the path of a .yaml file.")
        name, key, source = asked, asked, f"{asked}.yaml"
        text = known[asked].read_text(encoding="utf-8")
    if key in above:
        raise UsageError(f"{source}, include: the grid includes itself.")
    content = _content(text, source)
    includes = tuple(_read(other, beside, (*above, key)) for other in content.include or ())
    return GridFile(name=name, source=source, summary=content.summary, parts=_parts(content), includes=includes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(f"There is no grid file {path}.", "See `bench3d grid list` for those that ship.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The grid file {path} cannot be read ({error}).") from error


def _parts(content: _Content) -> dict[str, Part]:
    """The parts with the base below them. `_content` has checked that the two ways are not mixed."""
    base = content.base or Part()
    if content.parts is not None:
        return {name: part.over(base) for name, part in content.parts.items()}
    return {"": content.over(base)} if content.backbones or content.base else {}


class _Loader(yaml.SafeLoader):
    """A key given twice is a mistake here: YAML would drop the first one in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode) and k.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _content(text: str, source: str) -> _Content:
    try:
        read = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{source} is no valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(read, dict):
        raise UsageError(f"{source} is no grid: it must be a mapping.", "See README.md, Grid files.")
    try:
        content = _Content.model_validate(read)
    except ValidationError as error:
        raise _sentence(error, source, read) from error
    own = sorted(set(content.model_fields_set) & set(Part.model_fields))
    if content.parts is not None and own:
        raise UsageError(f"{source}, {own[0]}: beside `parts` it says nothing.", f"Put {own[0]} under base or a part.")
    parts = _parts(content)
    if not parts and not content.include:
        raise UsageError(f"{source} holds no runs.", "Name backbones and tasks, or parts.")
    for name, part in parts.items():
        for field in ("backbones", "tasks"):
            if getattr(part, field) is None:
                where = f"{source}, parts.{name}" if name else source
                raise UsageError(f"{where}: {field} is missing.", f"Name at least one of `bench3d list {field}`.")
    return content


def _sentence(error: ValidationError, source: str, read: Any) -> UsageError:
    """The first mistake, with the path of its field as it stands in the file; a wrong key before a missing one."""
    wrong = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    path = [str(step) for step in _written(wrong["loc"], read)]
    where = f"{source}, {'.'.join(path)}"
    if wrong["type"] == "extra_forbidden":
        part = path[0] == "base" or (path[0] == "parts" and len(path) == 3)
        model = _Content if len(path) == 1 else Part if part else Entry
        return UsageError(f"{where}: there is no such key.", did_you_mean(path[-1], model.model_fields))
    message = wrong["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if wrong["type"] in ("value_error", "missing"):
        return UsageError(f"{where}: {'it is missing' if wrong['type'] == 'missing' else message}.")
    return UsageError(f"{where} = {wrong['input']!r}: {message}.")


def _written(location: tuple[Any, ...], read: Any) -> Iterator[Any]:
    """The steps of a location that are in the file: not the names of types tried, nor places in a list of one."""
    for step in location[:-1]:
        if isinstance(read, (dict, list)) and (step in read if isinstance(read, dict) else step in range(len(read))):
            read = read[step]
            yield step
    last = location[-1]
    if isinstance(read, dict) or (isinstance(read, list) and isinstance(last, int)):
        yield last
