"""The lists of PF-PASCAL pairs: where they stand, their rows, and what is wrong with the `different` one.

Facts: protocol page tasks.md d. The list of `different` views holds the sources and the targets of the standard list
with the targets permuted inside each class. Its keypoints carry no numbers, so they are paired by their place only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench3d.data.pair_lists import Row, read_rows
from bench3d.data.voc import VOC_CLASSES
from bench3d.errors import DataError, UsageError

FOLDER = "PF-dataset-PASCAL"
SAME, DIFFERENT = "test_pairs_pf_same_views.csv", "test_pairs_pf_different_views.csv"
STANDARD = ("test_pairs_pf_pascal.csv", "test_pairs.csv")
VAL = ("val_pairs_pf_pascal.csv", "val_pairs.csv")
TRN = ("train_pairs_pf_pascal.csv", "trn_pairs_pf_pascal.csv", "trn_pairs.csv", "train_pairs.csv")
TEST_LISTS = {"standard": STANDARD, "same": (SAME,), "different": (DIFFERENT,), "repaired": (DIFFERENT,)}
SPLITS = {"test": "test", "val": "val", "trn": "trn", "train": "trn"}

UNEQUAL = "unequal numbers of source and target keypoints"
ITSELF = "an image paired with itself"
BY_PLACE = "keypoints paired by their place in the list only"
IN_STANDARD = "also in the standard list"


@dataclass(frozen=True, eq=False)
class Listed:
    """One row: `number` from 1 on, image paths below the root, VOC class, keypoints (N, 2) of each image.

    The keypoints are None in a list without them (the training list); their numbers may differ (see `different`).
    """

    number: int
    row: Row
    source: str
    target: str
    official: str
    source_xy: np.ndarray | None
    target_xy: np.ndarray | None

    @property
    def names(self) -> tuple[str, str]:
        """The two image paths."""
        return self.source, self.target

    @property
    def is_unequal(self) -> bool:
        """Whether source and target have different numbers of keypoints."""
        return self.source_xy is not None and self.target_xy is not None and len(self.source_xy) != len(self.target_xy)


def split_name(split: str) -> str:
    """The published word for a split; UsageError for an unknown one."""
    if split not in SPLITS:
        raise UsageError(f"PF-PASCAL has no split {split!r}.", f"It has {', '.join(dict.fromkeys(SPLITS.values()))}.")
    return SPLITS[split]


def find_list(root: Path, split: str, which: str, file: Path | None) -> Path:
    """The CSV file of a split: `file` for the test pairs where it is given, else inside `root` or beside it.

    Only names that belong to this data set alone are looked for beside the folder. The first name inside `root` is
    returned where there is none.
    """
    if split == "test" and file is not None:
        return Path(file).expanduser()
    names = TEST_LISTS[which] if split == "test" else VAL if split == "val" else TRN
    places = [root / name for name in names] + [root.parent / name for name in names if "_pf_" in name]
    return next((path for path in places if path.is_file()), places[0])


def read_list(path: Path) -> list[Listed]:
    """All rows; DataError with file, line and column. Mirrored rows of a training list (`flip`) are left out."""
    rows = read_rows(path, ("source_image", "target_image", "class"))
    listed = [_listed(number, row) for number, row in enumerate(rows, start=1) if not _is_mirrored(row)]
    if not listed:
        raise DataError(f"The list {path} holds mirrored pairs only.", "Get the list again.")
    return listed


def _is_mirrored(row: Row) -> bool:
    return "flip" in row.cells and row.number("flip") != 0


def _listed(number: int, row: Row) -> Listed:
    where = row.number("class")
    if where != int(where) or not 1 <= where <= len(VOC_CLASSES):
        row.refuse("class", f"is {row.cells['class']}, not a number from 1 to {len(VOC_CLASSES)}")
    return Listed(
        number=number,
        row=row,
        source=row.image("source_image", FOLDER).as_posix(),
        target=row.image("target_image", FOLDER).as_posix(),
        official=VOC_CLASSES[int(where) - 1],
        source_xy=_points(row, "XA", "YA"),
        target_xy=_points(row, "XB", "YB"),
    )


def _points(row: Row, across: str, down: str) -> np.ndarray | None:
    if across not in row.cells and "flip" in row.cells:
        return None
    for column in (across, down):
        if column not in row.cells:
            raise DataError(f"The list {row.path} has no column {column}.", "Get the list again.")
    x = row.numbers(across)
    return np.stack([x, row.numbers(down, len(x))], axis=1)


def row_flags(listed: Listed, standard: Sequence[Listed] | None) -> list[str]:
    """What is wrong with a row of the `different` list; `standard` is the standard list where it is at hand."""
    flags = [UNEQUAL] if listed.is_unequal else []
    if listed.source == listed.target:
        flags.append(ITSELF)
    if standard is not None:
        known = any(one.names == listed.names for one in standard)
        flags.append(IN_STANDARD if known else BY_PLACE)
    return flags


def count_defects(rows: Sequence[Listed], standard: Sequence[Listed] | None) -> dict[str, int]:
    """Counts over the `different` list; those that compare with the standard list only where it is at hand.

    `unequal_counts`: rows with different numbers of keypoints. `points_dropped`: source keypoints that have no partner
    therefore. `self_pairs`: rows that pair an image with itself. `also_in_standard`: rows whose two images are a
    standard pair. `unchanged`: rows that stand at the same place in both lists.
    """
    points = [(len(one.source_xy), len(one.target_xy)) for one in rows if _has_points(one)]  # type: ignore[arg-type]
    found = {
        "rows": len(rows),
        "unequal_counts": sum(a != b for a, b in points),
        "points_dropped": sum(a - min(a, b) for a, b in points),
        "self_pairs": sum(one.source == one.target for one in rows),
    }
    if standard is not None:
        known = {one.names for one in standard}
        found["also_in_standard"] = sum(one.names in known for one in rows)
        found["unchanged"] = sum(a.names == b.names for a, b in zip(rows, standard, strict=False))
    return found


def _has_points(one: Listed) -> bool:
    return one.source_xy is not None and one.target_xy is not None
