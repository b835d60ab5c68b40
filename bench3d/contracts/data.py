"""Samples that datasets yield and batches that models see. Arrays are numpy until a batch is made.

Conventions (design section 6): pixel (i, j) covers [i, i+1) so integer pixel centres lie at +0.5; sizes are (W, H)
unless a name says `hw`; cameras are OpenCV (x right, y down, z forward), `cam_T_obj` 4x4; objects are x left, y back,
z up, centred, with max |coordinate| about 1 ("canonical units").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from bench3d.contracts.progress import Progress
    from bench3d.geometry.pixels import PixelGeometry


@dataclass(frozen=True)
class Problem:
    """One finding of a dataset's `check`: which file, which field, what is wrong, and how to mend it."""

    file: str
    message: str
    field: str | None = None
    hint: str | None = None
    severity: str = "error"  # or "warning"


@dataclass(frozen=True, eq=False)
class PoseSample:
    """One image of one object with its pose, for pose and segmentation tasks.

    Attributes:
        id: unique inside the dataset and split.
        category: canonical bench3d name (bicycle, bus, car, chair, couch, motorcycle, tv, ...).
        image: path of the RGB image; `size` its (W, H).
        intrinsics: (3, 3) in pixels of the image.
        cam_T_obj: (4, 4), canonical object units.
        box: (x0, y0, x1, y1) in pixels.
        cluster: id of what is drawn together in a bootstrap (object instance, scene or image).
        mesh: gives (vertices (V, 3) canonical units, faces (F, 3) int32) of the annotated CAD model, loaded lazily.
        attributes: truncated, occluded, ... for groups.
        mask: path of a mask of what is seen of the object, where the data set has one.
    """

    id: str
    category: str
    image: Path
    size: tuple[int, int]
    intrinsics: np.ndarray
    cam_T_obj: np.ndarray
    box: np.ndarray
    cluster: str
    mesh: Callable[[], tuple[np.ndarray, np.ndarray]]
    attributes: Mapping[str, object] = field(default_factory=dict)
    mask: Path | None = None


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """One frame of an object-centred video. `cam_T_obj` has an orthonormal rotation and canonical object units."""

    id: str
    image: Path
    mask: Path
    size: tuple[int, int]
    intrinsics: np.ndarray
    cam_T_obj: np.ndarray
    depth: Path | None = None


@dataclass(frozen=True, eq=False)
class ObjectSequence:
    """One video of one instance; `points` gives its cloud (N, 3) in canonical units, loaded lazily."""

    name: str
    category: str
    frames: tuple[PosedFrame, ...]
    points: Callable[[], np.ndarray]


class MultiviewSource(Protocol):
    """Object-centred videos of a category, aligned to one canonical frame: what shape models are fitted on.

    One that leaves sequences out also has `skipped(category) -> Mapping[str, int]`, how many by reason: what was
    trained on it notes that, and so does every record of a run that uses it.
    """

    def sequences(self, category: str) -> Sequence[ObjectSequence]:
        """Sequences of a category in the order of its list; the last tenth is the held-out part."""

    def fingerprint(self, category: str) -> str:
        """Hash of everything in it that can change a fit; needs no images to be decoded."""


class Dataset(Protocol):
    """A reader of one official layout.

    One that reads for long before its first answer has an attribute `progress`, which the host sets.
    """

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field, without stopping at the first."""

    def fingerprint(self, category: str) -> str:
        """Hash of the annotations that decide a number."""


class PoseDataset(Dataset, Protocol):
    """A dataset of posed single images."""

    synthetic: bool

    def samples(self, category: str, split: str) -> Sequence[PoseSample]:
        """Samples in a fixed order; raises DataError with file and field."""


@dataclass(frozen=True)
class TwinSpec:
    """What a synthetic twin holds. It and the writers' generator version decide every byte.

    Attributes:
        hard_images: images of the split `hard`, None for as many as `test_images`.
        alignment_noise: sigma in degrees of the rotation error of each sequence's alignment; 0 is exact.
        objects: objects of a category in data sets of multi-view renderings; train_objects: further ones, for training.
        pairs: image pairs of a category in data sets of keypoint pairs; they are drawn among `test_images` images.
        videos: in data sets of tracked videos, of all categories together.
    """

    categories: tuple[str, ...]
    seed: int = 0
    train_instances: int = 30
    views: int = 10
    test_images: int = 100
    image_size: int = 256
    splits: tuple[str, ...] = ("plain", "hard")
    hard_images: int | None = None
    alignment_noise: float = 0.0
    objects: int = 2
    train_objects: int = 4
    pairs: int = 300
    videos: int = 6

    def images(self, split: str) -> int:
        """Test images of a category in `split`."""
        return self.hard_images if split == "hard" and self.hard_images is not None else self.test_images


class TwinWriter(Protocol):
    """Writes a synthetic twin in an official layout; what is already there and whole is left alone."""

    def __call__(self, root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
        """Writes below `root` with `workers` processes; OutputError where it cannot."""


@dataclass(frozen=True)
class RenderReport:
    """What became of each mesh, by name.

    Attributes:
        rendered: now; there: before, and left alone; failed: why a mesh could not be rendered, in one sentence.
        notes: a few words on what is not as it should be, such as a texture that is missing.
    """

    rendered: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class MeshWriter(Protocol):
    """Renders meshes in a data set's layout; an object that is there and whole is left alone unless `force` is set."""

    def __call__(
        self,
        root: Path,
        meshes: Mapping[str, Path],
        progress: Progress,
        workers: int,
        size: int | None = None,
        force: bool = False,
    ) -> RenderReport:
        """Renders meshes (name -> file) below `root` at `size` pixels a side (None: the published size).

        What is written depends on no other mesh and not on `workers`. A mesh that cannot be read is reported, not
        raised; OutputError where nothing can be written.
        """


@dataclass
class ImageBatch:
    """What a model sees.

    Attributes:
        images: (B, 3, H, W) float32 RGB in [0, 1], all of one size.
        valid: (B, 1, H, W) float32, 1 inside the original image and 0 in padding.
        geometry: B maps from the original image to these pixels (no feature grid yet).
        ids: B sample ids.
        category: canonical category of the whole batch, where the task has one (chooses a per-category artifact).
    """

    images: torch.Tensor
    valid: torch.Tensor
    geometry: tuple[PixelGeometry, ...]
    ids: tuple[str, ...]
    category: str | None = None

    def to(self, device: torch.device | str) -> ImageBatch:
        """The same batch with its tensors on `device`."""
        return replace(self, images=self.images.to(device), valid=self.valid.to(device))

    def __len__(self) -> int:
        return len(self.ids)
