"""Pairs of images with semantic keypoints: what tasks of semantic correspondence are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench3d.contracts.data import Dataset

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class KeypointImage:
    """One image of a pair.

    Attributes:
        id: unique inside the data set (the image file's stem, with the category where stems repeat).
        image: path of the RGB image; `size` its (W, H) in pixels.
        box: (x0, y0, x1, y1) in pixels of the object, None where the data set has none.
        mask: path of a segmentation image, None where there is none.
        keypoints: all annotated keypoints of the image by id, (2,) pixels each; at least those of the pair.
    """

    id: str
    image: Path
    size: tuple[int, int]
    box: np.ndarray | None = None
    mask: Path | None = None
    keypoints: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeypointPair:
    """Two images of one category and the keypoints that both show.

    Attributes:
        id: unique inside the category and split.
        category: canonical bench3d name where there is one, else the data set's own.
        source_xy, target_xy: (K, 2) float64 pixels of the original images, pixel (i, j) covers [i, i+1), taken from
            the annotation as they stand (no half pixel is added).
        keypoint_ids: K names or numbers; the same id is the same part in every image of the category. Empty where the
            data set's lists carry none.
        cluster: what is drawn together in a bootstrap (the source image).
        attributes: viewpoint_variation, scale_variation, truncation, occlusion, ... for groups; `flags` may hold
            sentences about a defect of this row for the record.
    """

    id: str
    category: str
    source: KeypointImage
    target: KeypointImage
    source_xy: np.ndarray
    target_xy: np.ndarray
    keypoint_ids: tuple[str, ...]
    cluster: str
    attributes: Mapping[str, object] = field(default_factory=dict)


class KeypointPairDataset(Dataset, Protocol):
    """A data set of keypoint pairs."""

    synthetic: bool

    def pairs(self, category: str, split: str) -> Sequence[KeypointPair]:
        """Pairs in the order of the official list; DataError with file and field, UsageError for another split."""

    def keypoint_names(self, category: str) -> Mapping[str, str]:
        """Names of the keypoint ids where they are known ("12" -> "left front wheel"), else an empty mapping."""
