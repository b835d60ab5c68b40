"""Folders, categories and columns of PF-WILLOW."""

from __future__ import annotations

from pathlib import Path

from bench3d.errors import UsageError

FOLDER = "PF-dataset"
SUBSETS = {
    "car(G)": "car",
    "car(M)": "car",
    "car(S)": "car",
    "duck(S)": "duck",
    "motorbike(G)": "motorcycle",
    "motorbike(M)": "motorcycle",
    "motorbike(S)": "motorcycle",
    "winebottle(M)": "winebottle",
    "winebottle(wC)": "winebottle",
    "winebottle(woC)": "winebottle",
}
"""The published folders and bench3d's category of each: side (S), general (G) and mixed (M) views, with and without
clutter."""

CATEGORIES = tuple(dict.fromkeys(SUBSETS.values()))
LISTS = ("test_pairs_pf.csv", "test_pairs.csv")
POINTS = 10
"""Keypoints of an image, all of them annotated in every image."""

COLUMNS = {name: tuple(f"{name}{i}" for i in range(1, POINTS + 1)) for name in ("XA", "YA", "XB", "YB")}


def category_name(category: str) -> str:
    """bench3d's name of a category, by either name; UsageError for an unknown one."""
    name = "motorcycle" if category == "motorbike" else category
    if name not in CATEGORIES:
        raise UsageError(f"PF-WILLOW has no category {category!r}.", f"It has {', '.join(CATEGORIES)}.")
    return name


def require_split(split: str) -> None:
    """UsageError for another split than the only one, `test`."""
    if split != "test":
        raise UsageError(f"PF-WILLOW has no split {split!r}.", "It has test pairs only.")


def find_list(root: Path, file: Path | None) -> Path:
    """The CSV list: `file` where it is given, else inside `root` or beside it (whether or not it is there)."""
    if file is not None:
        return Path(file).expanduser()
    places = [root / LISTS[0], root.parent / LISTS[0], root / LISTS[1]]
    return next((path for path in places if path.is_file()), places[0])
