"""Import of a published alignment from the user's own copy of its files into a table that the readers take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench3d.errors import DataError
from bench3d.plugins import load_settings
from bench3d.runner.aligning import aligned_dataset, aligner_of, merge_table


def import_published(
    dataset: str, folder: Path, variant: str | None, out: Path | None, data: Path | None
) -> dict[str, Any]:
    """Writes the table {reference: {category: {sequence: 4x4}}} and the labels {category: {sequence: 3x3}} beside it.

    Returns:
        table, labels (paths, None where there is nothing), how many of each, the variant, and what was skipped.

    Raises:
        DataError: nothing published is in `folder`. OutputError.
    """
    from bench3d.data.root import data_root

    registration = aligned_dataset(dataset)
    root = data_root(data)
    found = aligner_of(registration, root / registration.folder, load_settings(registration)).published(folder, variant)
    if not found.tables and not found.labels:
        raise DataError(f"No file in {folder} could be used.", next(iter(found.skipped.values()), None))
    out = out or root / "alignments" / f"{dataset}-{found.variant or 'labels'}.json"
    labels = out.with_suffix(".labels.json")
    for reference, table in found.tables.items():
        merge_table(out, {reference: {c: {n: m.tolist() for n, m in row.items()} for c, row in table.items()}})
    if found.labels:
        merge_table(labels, {c: {n: m.tolist() for n, m in row.items()} for c, row in found.labels.items()})
    return {
        "table": str(out) if found.tables else None,
        "labels": str(labels) if found.labels else None,
        "variant": found.variant,
        "variants": list(found.variants),
        "alignments": sum(len(row) for table in found.tables.values() for row in table.values()),
        "labelled": sum(len(row) for row in found.labels.values()),
        "skipped": dict(found.skipped),
    }
