"""The contact sheet of `bench3d data synth --sheet`: what a twin looks like, read back through its readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench3d.contracts import DatasetRegistration
from bench3d.files import atomic_path
from bench3d.plugins import load_registry, load_settings

if TYPE_CHECKING:
    from bench3d.contracts.data import TwinSpec

COLUMNS = 10
TILE = 128


def write_sheet(root: Path, spec: TwinSpec, owners: list[DatasetRegistration], out: Path) -> None:
    """Writes a PNG with a row of ten images, with its name above, per data set, category (or object) and split."""
    from PIL import Image, ImageDraw

    rows = []
    for registration in owners:
        reader = load_registry().create(
            "dataset", registration.name, root=root / registration.folder, settings=load_settings(registration)
        )
        for category in spec.categories if registration.categories else ("all",):
            if registration.categories and category not in registration.categories:
                continue
            rows += [(f"{registration.name} {name}", paths) for name, paths in _images(reader, category, spec)]
    label = 16
    canvas = Image.new("RGB", (COLUMNS * TILE, len(rows) * (TILE + label)), "white")
    draw = ImageDraw.Draw(canvas)
    for index, (name, paths) in enumerate(rows):
        top = index * (TILE + label)
        draw.text((4, top + 2), name, fill="black")
        for column, path in enumerate(paths):
            with Image.open(path) as image:
                tile = image.convert("RGB")
            tile.thumbnail((TILE, TILE))
            canvas.paste(tile, (column * TILE, top + label))
    with atomic_path(out) as temporary:
        canvas.save(temporary, format="PNG")


def _images(reader: Any, category: str, spec: TwinSpec) -> list[tuple[str, list[Path]]]:
    if hasattr(reader, "sequences"):
        sequences = _spread(reader.sequences(category))
        return [(f"{category} videos", [s.frames[len(s.frames) // 2].image for s in sequences])]
    if hasattr(reader, "view_sets"):
        return [(s.id, [v.image for v in _spread(s.views)]) for s in reader.view_sets(category)]
    if hasattr(reader, "pairs"):
        images = dict.fromkeys(p.source.image for p in reader.pairs(category, "test"))
        return [(f"{category} test", _spread(list(images)))]
    return [
        (f"{category} {split}", [s.image for s in _spread(reader.samples(category, split))]) for split in spec.splits
    ]


def _spread(items: Any) -> list[Any]:
    count = min(COLUMNS, len(items))
    return [items[i * len(items) // count] for i in range(count)]
