"""The reader of posed photographs with a `transforms.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from bench3d.contracts import Observations, PosedView, Problem, ViewSet
from bench3d.data.depth import load_depth
from bench3d.data.hashing import Digest
from bench3d.data.images import image_size, load_mask
from bench3d.data.ply import read_ply_points
from bench3d.data.resized import resize_factors
from bench3d.data.tracks import tracked_points
from bench3d.data.twin import is_synthetic
from bench3d.errors import DataError, UsageError
from bench3d_plugins.posed_images.cloud import NOTE, observe, thinned
from bench3d_plugins.posed_images.layout import TRANSFORMS, model_folder, scene_folders
from bench3d_plugins.posed_images.transforms import Frame, Transforms

RELATIVE_TOLERANCE = 0.02
"""Of the depth: the world has any unit, and depth maps of telephones and of multi-view stereo differ by 1 to 2 %."""
FEWEST_VIEWS = 2
MISSING = "missing_images"
SUFFIXES = ("", ".png", ".jpg", ".jpeg")  # early files leave the suffix away


class PosedImages:
    """Photographs with nerfstudio's cameras. There are no settings and one category, "all"; the world has any unit.

    A set is one transforms.json: of `root` or of a subfolder. Correspondences come from depth maps where every frame
    has one, else from the point cloud that the file names (approximate, see `cloud`), else from the tracks of a COLMAP
    model in the folder. `mask_path` counts where every frame has one. Frames whose image is missing are counted.
    """

    def __init__(self, root: Path, settings: object | None = None) -> None:
        self.root = Path(root)
        self.synthetic = is_synthetic(self.root)
        self._sets: list[ViewSet] | None = None

    def view_sets(self, category: str = "all") -> Sequence[ViewSet]:
        """One set a file, sorted by folder, frames by file path. Reads JSON and image headers; decodes no image.

        Raises:
            DataError: no file, a wrong field, fewer than two images, or nothing to know correspondences from.
            UsageError: a category other than "all".
        """
        _one_category(category)
        if self._sets is None:
            self._sets = [self.scene(folder) for folder in self.folders()]
        return list(self._sets)

    def folders(self) -> list[Path]:
        """Folders with a transforms.json; DataError where there is none."""
        try:
            found = scene_folders(self.root)
        except OSError as error:
            raise DataError(f"The folder {self.root} cannot be read ({error.strerror or error}).") from error
        if not found:
            raise DataError(f"There is no {TRANSFORMS} in {self.root} or its subfolders.", "Name the folder with it.")
        return found

    def scene(self, folder: Path) -> ViewSet:
        """The set of one folder; see `view_sets`."""
        transforms = Transforms(folder / TRANSFORMS)
        kept = [(frame, path) for frame in transforms.frames if (path := image_path(folder, frame)) is not None]
        missing = len(transforms.frames) - len(kept)
        if len(kept) < FEWEST_VIEWS:
            raise DataError(
                f"{transforms.path}: {len(kept)} of its {len(transforms.frames)} images are there; two are needed.",
                f"Put the images where file_path says, below {folder}.",
            )
        masked = all(frame.mask is not None and (folder / frame.mask).is_file() for frame, _ in kept)
        views = tuple(_view(folder, frame, path, masked) for frame, path in kept)
        attributes: dict[str, object] = {MISSING: missing} if missing else {}
        name = folder.name if folder != self.root else self.root.resolve().name
        frames = [frame for frame, _ in kept]
        return _with_truth(folder, transforms, frames, ViewSet(name, views, "depth", attributes=attributes))

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over cameras, names and sizes of the views, and the contents of what correspondences come from."""
        digest = Digest()
        for folder, one in zip(self.folders(), self.view_sets(category), strict=True):
            digest.add_file(f"{one.id}/{TRANSFORMS}", folder / TRANSFORMS)
            digest.add(one.id, repr((one.truth, [(view.id, view.size) for view in one.views])).encode())
            for path in truth_files(folder, one):
                digest.add_file(path.relative_to(folder).as_posix(), path)
        return digest.hexdigest()

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file and field, without stopping at the first; decodes everything."""
        from bench3d_plugins.posed_images.check import check

        for category in categories or ():
            _one_category(category)
        return check(self)


def image_path(folder: Path, frame: Frame) -> Path | None:
    """The image of a frame, None where it is not there."""
    return next((path for s in SUFFIXES if (path := folder / (frame.image + s)).is_file()), None)


def depth_map(path: Path, unit: float, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 depth in world units, 0 where unknown, of a 16-bit png or an npy file of numbers.

    A map smaller or larger than its image, scaled evenly, is read at the nearest pixel.

    Raises:
        DataError: missing, broken, or of another shape than the image.
    """
    depth = _npy(path) * np.float32(unit) if path.suffix == ".npy" else load_depth(path, unit, image_size(path))
    own = (depth.shape[1], depth.shape[0])
    if own == size:
        return depth
    if resize_factors(own, size) is None:
        raise DataError(f"{path} has {own[0]}x{own[1]} pixels, its image {size[0]}x{size[1]}: it is not just scaled.")
    return cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT)


def truth_files(folder: Path, one: ViewSet) -> list[Path]:
    """The files that decide correspondences: depth maps, the cloud, or the model's images."""
    transforms = Transforms(folder / TRANSFORMS)
    if one.truth == "depth":
        named = {view.image for view in one.views}
        return [folder / f.depth for f in transforms.frames if f.depth and image_path(folder, f) in named]
    if cloud := _cloud_path(folder, transforms):
        return [cloud]
    model = model_folder(folder)
    return [] if model is None else [model / "cameras.bin", model / "images.bin"]


def _view(folder: Path, frame: Frame, path: Path, masked: bool) -> PosedView:
    size = image_size(path)
    camera = frame.camera(size)
    return PosedView(
        id=frame.image,
        image=path,
        size=size,
        intrinsics=camera.intrinsics,
        cam_T_world=frame.pose(),
        distortion=camera.distortion,
        mask=partial(load_mask, folder / frame.mask, size) if masked and frame.mask else None,
    )


def _with_truth(folder: Path, transforms: Transforms, frames: list[Frame], bare: ViewSet) -> ViewSet:
    paths = [folder / frame.depth for frame in frames if frame.depth and (folder / frame.depth).is_file()]
    if len(paths) == len(frames):
        views = tuple(
            replace(view, depth=partial(depth_map, path, transforms.depth_unit, view.size))
            for view, path in zip(bare.views, paths, strict=True)
        )
        return replace(bare, views=views, relative_tolerance=RELATIVE_TOLERANCE)
    find: Callable[[], tuple[Observations, ...]]
    attributes = dict(bare.attributes)
    if cloud := _cloud_path(folder, transforms):
        find, attributes["truth_note"] = partial(_cloud_points, cloud, bare.views), NOTE
    elif model := model_folder(folder):
        find = partial(_tracked, model, bare.views)
    else:
        raise DataError(
            f"{transforms.path} does not say which points correspond: {len(paths)} of {len(frames)} frames have a "
            "depth map, and there is no point cloud.",
            "Give every frame a depth_file_path, or name a cloud in ply_file_path, or put the COLMAP model into "
            "colmap/sparse/0.",
        )
    return replace(bare, truth="tracks", observations=find, attributes=attributes)


def _cloud_path(folder: Path, transforms: Transforms) -> Path | None:
    path = None if transforms.cloud is None else folder / transforms.cloud
    return path if path is not None and path.is_file() else None


def _cloud_points(path: Path, views: tuple[PosedView, ...]) -> tuple[Observations, ...]:
    points = thinned(read_ply_points(path))
    found = tuple(observe(points, view) for view in views)
    if not any(len(one.points) for one in found):
        raise DataError(f"No view sees a point of the cloud {path}.", "It must stand in the world of the poses.")
    return found


def _tracked(model: Path, views: tuple[PosedView, ...]) -> tuple[Observations, ...]:
    """Tracks of a model whose image names are those of the views, with or without their first folders."""
    names = {view.id: ["/".join(view.id.split("/")[k:]) for k in range(view.id.count("/") + 1)] for view in views}
    sizes = {name: view.size for view in views for name in names[view.id]}
    tracked = tracked_points(model, sizes)
    nothing = Observations(np.zeros(0, dtype=np.int64), np.zeros((0, 2)))
    found = tuple(next((tracked[n] for n in names[view.id] if n in tracked), nothing) for view in views)
    if not any(len(one.points) for one in found):
        raise DataError(f"The COLMAP model {model} has no keypoints in the images.", "It must be that of these images.")
    return found


def _npy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.ndim != 2 or values.dtype.kind not in "fui" or values.size > 1 << 28:
            raise ValueError(f"shape {values.shape}, type {values.dtype}")
        depth = np.array(values, dtype=np.float32)
    except FileNotFoundError:
        raise DataError(f"The depth map {path} is missing.", "Complete the data set.") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(f"{path} is no depth map ({error}).", "Get the file again.") from error
    depth[~np.isfinite(depth) | (depth < 0)] = 0.0
    return depth


def _one_category(category: str) -> None:
    if category != "all":
        raise UsageError(f"Posed images have no category {category!r}.", 'They know one, "all".')
