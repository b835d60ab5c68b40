"""What a user brings beside CO3D: lists of sequences, and one alignment per sequence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench3d.errors import DataError
from bench3d_plugins.co3d.names import category_of, folder_of

Lookup = Callable[[str], "np.ndarray | None"]
WHY = (
    "CO3D's sequences stand each in a frame of its own; training needs a 4x4 similarity per sequence into one frame "
    "(which costs one labelled rotation per category)."
)
NEXT = (
    "Give --set data.alignment=FILE: JSON {category: {sequence: 4x4}}, an npz of the same, or a folder of "
    "<category>/<sequence>/tform_obj.pt such as the one of the authors' repository uns-obj-pose3d."
)
LAYOUTS = ("{ref}/{cat}", "{ref}/meta_mask/meta/{cat}", "{cat}", "meta_mask/meta/{cat}")


def read_sequence_list(path: Path, category: str) -> list[str]:
    """Names of a category's sequences in file order.

    Forms: {category: [names]}, {category: {name: ...}}, the same under the key `dict_nested_frames` (the form of
    Common3D's configuration files), or a plain list for every category.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise DataError(f"The sequence list {path} is missing.", "Check the setting sequence_list.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"The sequence list {path} cannot be read ({error}).", "Mend the file.") from error
    if isinstance(table, dict):
        nested = table.get("dict_nested_frames")
        table = nested if isinstance(nested, dict) else table
        key = next((name for name in (category, folder_of(category)) if name in table), None)
        if key is None:
            raise DataError(f"The sequence list {path} has no category {category}.", "Add it, or choose another list.")
        table = table[key]
    names = list(table) if isinstance(table, (list, dict)) else []
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(
            f"The sequence list {path} holds {wrong!r}, which is no text.", "Quote the names: YAML reads 1_2 as 12."
        )
    if not names:
        raise DataError(f"The sequence list {path} names no sequence of {category}.", "Add some.")
    if len(set(names)) != len(names):
        raise DataError(f"The sequence list {path} names a sequence of {category} twice.", "Remove one.")
    return names


def alignment_of(path: Path, category: str, reference: str | None) -> Lookup:
    """A function from sequence name to its similarity (4, 4), raw to labelled axes, or to None where it has none.

    Raises:
        DataError: no such table, category or reference; the function itself raises for a matrix that is none.
    """
    if path.is_dir():
        return _folder(path, category, reference)
    if not path.exists():
        raise DataError(f"There is no alignment table {path}. {WHY}", NEXT)
    table = _npz(path) if path.suffix == ".npz" else _json(path)
    if reference is not None:
        table = _member(path, table, (reference,), "reference")
    sequences = _member(path, table, (category, folder_of(category)), "category")

    def look_up(name: str) -> np.ndarray | None:
        return None if name not in sequences else similarity(sequences[name], f"{path}, {category}, {name}")

    return look_up


def similarity(value: Any, where: str) -> np.ndarray:
    """`value` as a 4x4 similarity (positive scale times rotation, and translation); DataError naming `where`."""
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise DataError(f"The alignment in {where} is no 4x4 similarity.", "Its last row must be 0 0 0 1.")
    scale = np.cbrt(np.linalg.det(matrix[:3, :3]))
    if scale <= 0:
        raise DataError(f"The alignment in {where} mirrors the object or flattens it.", "Mend the table.")
    turn = matrix[:3, :3] / scale
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-2:
        raise DataError(f"The alignment in {where} shears or stretches: it is no similarity.", "Mend the table.")
    return matrix


def _folder(path: Path, category: str, reference: str | None) -> Lookup:
    layouts = [form for form in LAYOUTS if ("{ref}" in form) == (reference is not None)]
    tried = [path / form.format(ref=reference, cat=cat) for form in layouts for cat in (category, folder_of(category))]
    folder = next((place for place in tried if place.is_dir()), None)
    if folder is None:
        below = f" under reference {reference}" if reference else " (set data.reference=r0 where it has references)"
        raise DataError(f"The alignment folder {path} has no category {category}{below}.", NEXT)

    def look_up(name: str) -> np.ndarray | None:
        file = folder / name / "tform_obj.pt"
        return similarity(read_tensor(file), str(file)) if file.exists() else None

    return look_up


def read_tensor(path: Path) -> Any:
    """The tensor in a file as an array; DataError where it is none that can be loaded safely."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True).numpy()
    except Exception as error:
        # A broken or hostile file makes torch.load raise nearly anything; nothing in it is executed.
        raise DataError(
            f"{path} holds no tensor that can be loaded safely ({error}).", "Get the file again."
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"The alignment table {path} cannot be read ({error}).", "Mend the file.") from error


def _npz(path: Path) -> dict[str, Any]:
    """Arrays named category/sequence or reference/category/sequence as nested dictionaries."""
    table: dict[str, Any] = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                *parents, leaf = name.split("/")
                place = table
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[leaf] = arrays[name]
    except Exception as error:
        # numpy raises ValueError, BadZipFile, OSError, zlib.error ... for broken or pickled content.
        raise DataError(f"The alignment table {path} cannot be read ({error}).", "Mend the file.") from error
    return table


def _member(path: Path, table: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    found = next((table[name] for name in names if name in table), None) if isinstance(table, dict) else None
    if isinstance(found, dict):
        return found
    has = ", ".join(sorted(map(category_of, map(str, table)))[:8]) if isinstance(table, dict) else "no table"
    raise DataError(f"The alignment table {path} has no {what} {names[0]}; it has {has}.", NEXT)
