"""The reader of PF-WILLOW (and of its twin, which stands in the same layout)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench3d.contracts import Problem
from bench3d.contracts.pairs import KeypointImage, KeypointPair
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size
from bench3d.data.mat import read_mat_arrays
from bench3d.data.pair_lists import Row, read_rows
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError
from bench3d_plugins.pf_willow.names import COLUMNS, FOLDER, SUBSETS, category_name, find_list, require_split
from bench3d_plugins.pf_willow.settings import PFWillowSettings


class PFWillow:
    """Image pairs with ten keypoints. `root` is the folder PF-dataset.

    An image's id is <folder>/<stem>, a pair's id <source>-<target> inside its folder, its cluster the source image, and
    `attributes["subset"]` the folder, such as "car(S)". Keypoint ids are "0" to "9". The data set has no boxes.
    """

    def __init__(self, root: Path, settings: PFWillowSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or PFWillowSettings()
        self.synthetic = is_synthetic(self.root)
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._rows: list[Row] | None = None

    def pairs(self, category: str, split: str) -> Sequence[KeypointPair]:
        """Pairs of a category in the order of the list (or of the folders). The only split is test.

        Raises:
            DataError: a file is missing or broken; names file and field.
            UsageError: unknown category or split.
        """
        require_split(split)
        name = category_name(category)
        require_whole(self.root)
        found = self._listed(name) if self.uses_list else self._all_of_folders(name)
        pairs = list(found)
        if not pairs:
            where = self.list_path if self.uses_list else self.root
            raise DataError(f"{where} has no pair of the category {name}.", "Complete the data set.")
        return pairs

    def keypoint_names(self, category: str) -> Mapping[str, str]:
        """An empty mapping: the data set names no keypoints."""
        category_name(category)
        return {}

    def fingerprint(self, category: str) -> str:
        """SHA-256 over a category's pairs with their keypoints and a twin's generator; image bytes are not read."""
        digest = Digest()
        mark = twin_mark(self.root)
        if mark is not None:
            facts = (mark["generator"], mark["spec"].get("seed"), mark["spec"].get("image_size"))
            digest.add("twin", repr(facts).encode())
        for pair in self.pairs(category, "test"):
            points = np.concatenate([pair.source_xy, pair.target_xy])
            digest.add(f"{pair.source.id} {pair.target.id}", points.astype("<f8").tobytes())
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field; reads and decodes everything that is named."""
        from bench3d_plugins.pf_willow.check import check

        return check(self, categories)

    @property
    def list_path(self) -> Path:
        """The CSV list (whether or not it is there)."""
        return find_list(self.root, self.settings.list_file)

    @property
    def uses_list(self) -> bool:
        """Whether pairs come from the list rather than from the folders."""
        wanted = self.settings.pairs == "list" or self.settings.list_file is not None
        return wanted or (self.settings.pairs == "auto" and self.list_path.is_file())

    def rows(self) -> list[Row]:
        """All rows of the list; DataError with file, line and column."""
        if self._rows is None:
            columns = tuple(column for several in COLUMNS.values() for column in several)
            self._rows = read_rows(self.list_path, ("imageA", "imageB", *columns))
        return self._rows

    def row_pair(self, row: Row) -> KeypointPair:
        """The pair of a row; DataError with file and field."""
        subset = row_subset(row)
        source, target = (self.root / row.image(column, FOLDER) for column in ("imageA", "imageB"))
        if target.parent.name != subset:
            row.refuse("imageB", f"is in another folder than imageA ({subset})")
        return self._pair(subset, source, target, listed_points(row, "A"), listed_points(row, "B"))

    def annotated(self, subset: str) -> list[Path]:
        """The annotations of a folder in the order of their names; empty where the folder is missing."""
        return sorted(path for path in (self.root / subset).glob("*.mat") if not path.name.startswith("."))

    def points(self, path: Path) -> np.ndarray:
        """(K, 2) keypoints of an annotation; DataError with file and field."""
        points = read_mat_arrays(path, ("pts_coord",))["pts_coord"]
        if points.shape[0] != 2 or not points.shape[1] or not np.isfinite(points).all():
            raise DataError(f"{path}: field pts_coord does not hold two rows of finite numbers.", "Get the file again.")
        return points.T.copy()

    def _listed(self, category: str) -> Iterator[KeypointPair]:
        return (self.row_pair(row) for row in self.rows() if SUBSETS[row_subset(row)] == category)

    def _all_of_folders(self, category: str) -> Iterator[KeypointPair]:
        for subset in (name for name, ours in SUBSETS.items() if ours == category):
            images = {path.with_suffix(".png"): self.points(path) for path in self.annotated(subset)}
            counts = {len(points) for points in images.values()}
            if len(counts) > 1:
                message = f"{self.root / subset}: annotations hold {min(counts)} to {max(counts)} keypoints."
                raise DataError(message, "Get the folder again.")
            for source, source_xy in images.items():
                for target, target_xy in images.items():
                    if source != target:
                        yield self._pair(subset, source, target, source_xy, target_xy)

    def _pair(
        self, subset: str, source: Path, target: Path, source_xy: np.ndarray, target_xy: np.ndarray
    ) -> KeypointPair:
        ids = tuple(str(i) for i in range(len(source_xy)))
        return KeypointPair(
            id=f"{subset}/{source.stem}-{target.stem}",
            category=SUBSETS[subset],
            source=self._image(subset, source, ids, source_xy),
            target=self._image(subset, target, ids, target_xy),
            source_xy=source_xy,
            target_xy=target_xy,
            keypoint_ids=ids,
            cluster=f"{subset}/{source.stem}",
            attributes={"subset": subset},
        )

    def _image(self, subset: str, path: Path, ids: tuple[str, ...], points: np.ndarray) -> KeypointImage:
        if path not in self._sizes:
            self._sizes[path] = image_size(path)
        keypoints = dict(zip(ids, points, strict=True))
        return KeypointImage(f"{subset}/{path.stem}", path, self._sizes[path], keypoints=keypoints)


def row_subset(row: Row) -> str:
    """The folder of a row's first image; DataError where it is none of the published ones."""
    subset = row.image("imageA", FOLDER).parent.name
    if subset not in SUBSETS:
        row.refuse("imageA", f"is in the folder {subset!r}, none of the data set's")
    return subset


def listed_points(row: Row, side: str) -> np.ndarray:
    """(10, 2) keypoints of the image `side` ("A" or "B"); DataError with file and field."""
    across, down = ([row.number(column) for column in COLUMNS[axis + side]] for axis in "XY")
    return np.array([across, down], dtype=np.float64).T
