"""The alignments and labels that the authors of uns-obj-pose3d publish, read from the user's own clone.

Layout (protocol page common3d.md section 2), below data/co3d: <variant>/r0 to r4/meta_mask/meta/<category>/<sequence>/
tform_obj.pt, 4x4 similarities; label3d/meta_mask/meta/<category>/<sequence>/ with tform_obj.pt, a 4x4 rotation, and
axis.pt, 3x2x3 clicked points.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench3d.contracts.videos import PublishedAlignment
from bench3d.errors import DataError
from bench3d_plugins.co3d.names import category_of
from bench3d_plugins.co3d.references import NAMES
from bench3d_plugins.co3d.tables import read_tensor, similarity

VARIANT = "aligned_N_alpha500_dinov2s"
"""What Common3D's configuration points to."""
INSIDE = Path("meta_mask") / "meta"
LABELS = "label3d"
HINT = "Give the folder of a clone of the authors' repository uns-obj-pose3d, or its data/co3d."


def read_published(folder: Path, variant: str | None = None) -> PublishedAlignment:
    """Tables and labels; a broken file is left out and named.

    Args:
        folder: the clone, its data/co3d, or one variant's own folder.
        variant: a folder aligned_...; None for the one of Common3D's configuration, or the only one.

    Raises:
        DataError: neither alignments nor labels are there, or not that variant.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.", HINT)
    if (folder / "r0").is_dir():
        folder, variant = folder.parent, folder.name
    base = next((p for p in (folder / "data" / "co3d", folder / "co3d", folder) if _variants(p) or _labelled(p)), None)
    if base is None:
        raise DataError(f"{folder} holds no published alignment and no labels.", HINT)
    variants = _variants(base)
    if variant is not None and variant not in variants:
        raise DataError(f"There is no alignment {variant} in {base}.", f"There is {', '.join(variants) or 'none'}.")
    if variant is None and variants:
        variant = VARIANT if VARIANT in variants else variants[0]
    skipped: dict[str, str] = {}
    tables = {} if variant is None else {r: _table(base / variant / r, skipped) for r in NAMES}
    return PublishedAlignment(
        tables={r: table for r, table in tables.items() if table},
        labels=_labels(base, skipped),
        variant=variant,
        variants=variants,
        skipped=skipped,
    )


def _variants(base: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(p.name for p in base.iterdir() if (p / "r0").is_dir()))
    except OSError:
        return ()


def _labelled(base: Path) -> bool:
    return (base / LABELS / INSIDE).is_dir()


def _table(reference: Path, skipped: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
    """Category -> sequence -> (4, 4) of one reference's folder."""
    place = reference / INSIDE if (reference / INSIDE).is_dir() else reference
    table: dict[str, dict[str, np.ndarray]] = {}
    for file in sorted(place.glob("*/*/tform_obj.pt")):
        try:
            matrix = similarity(read_tensor(file), str(file))
        except DataError as error:
            skipped[str(file)] = error.message
            continue
        table.setdefault(category_of(file.parent.parent.name), {})[file.parent.name] = matrix
    return table


def _labels(base: Path, skipped: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
    """Category -> sequence -> (3, 3); from the clicked points where there is no rotation."""
    from bench3d.morphable.alignment_labels import label_rotation, rotation_of_points

    labels: dict[str, dict[str, np.ndarray]] = {}
    for folder in sorted((base / LABELS / INSIDE).glob("*/*")):
        turned, clicked = folder / "tform_obj.pt", folder / "axis.pt"
        try:
            if turned.exists():
                rotation = label_rotation(read_tensor(turned), str(turned))
            elif clicked.exists():
                points = np.asarray(read_tensor(clicked), dtype=np.float64)
                if points.shape != (3, 2, 3):
                    raise DataError(f"{clicked} holds no 3x2x3 points.", "Get the file again.")
                rotation = rotation_of_points(points, str(clicked))
            else:
                continue
        except DataError as error:
            skipped[str(folder)] = error.message
            continue
        labels.setdefault(category_of(folder.parent.name), {})[folder.name] = rotation
    return labels
