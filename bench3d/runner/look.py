"""`bench3d features`: what a backbone's features of a few photographs are like: numbers, a picture, the features."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench3d.contracts import Progress
from bench3d.errors import DataError, PluginError, UsageError
from bench3d.files import atomic_path
from bench3d.runner.resolve import resolve_spec
from bench3d.runner.spec import RunSpec, Settings

if TYPE_CHECKING:
    from bench3d.features.extract import Extractor
    from bench3d.geometry.pixels import PixelGeometry

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What counts as an image in a folder; a file that is named itself may end in anything."""

PICTURES = (".jpeg", ".jpg", ".png", ".webp")
SHOWN = 640
"""Longest side of an image in the picture, in pixels."""


@dataclass(frozen=True, kw_only=True)
class LookSpec:
    """Features of images.

    Attributes:
        images: image files and folders of images; EXIF orientation is applied.
        weights, settings, device, offline: as in a RunSpec; settings of the scope `backbone` only.
        picture: the PNG of the principal components to write, None for none.
        foreground: in the picture, only cells on the foreground's side of the first component.
        npz: the file of the features to write, None for none.
    """

    images: tuple[Path, ...]
    backbone: str
    weights: str = "pretrained"
    settings: Settings = field(default_factory=dict)
    device: str = "auto"
    offline: bool = False
    picture: Path | None = None
    foreground: bool = False
    npz: Path | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """The features of one image.

    Attributes:
        label: what to call it, unique among the images.
        shown: (H, W, 3) uint8, the photograph, small.
        values: (C, h, w) float32; None where neither picture nor file wants them.
    """

    path: Path
    label: str
    shown: np.ndarray
    values: np.ndarray | None
    geometry: PixelGeometry
    facts: dict[str, Any]


def look(spec: LookSpec, progress: Progress) -> dict[str, Any]:
    """Extracts the features, and writes the picture and the file where they are wanted.

    Returns:
        The backbone (name, settings, facts, whether its weights are random), `images`: of each its path, size (W, H),
        input size, grid (w, h), channels, seconds and statistics; and the files written. `picture` also says which
        share of the variance its three components hold.

    Raises:
        DataError: an image is missing or broken, a folder has none.
        UsageError: a wrong name or setting, a file that cannot be written.
        WeightsError: the weights cannot be had.
        PluginError: the features are not finite.
        OutputError: no permission, no space.
    """
    paths = find_images(spec.images)
    _check_outputs(spec)
    from bench3d.features.extract import Extractor
    from bench3d.machine import choose_device
    from bench3d.runner.models import build_backbone, settle_numerics

    resolved = resolve_spec(RunSpec(backbone=spec.backbone, weights=spec.weights, settings=spec.settings))
    device = choose_device(spec.device)
    settle_numerics(spec.offline)
    progress.start("model", None)
    model = build_backbone(resolved, spec.weights, device)
    looks = []
    extractor = Extractor(model)
    progress.start("features", len(paths))
    for path, label in zip(paths, labels(paths), strict=True):
        looks.append(_look_at(path, label, extractor, spec, device))
        progress.advance()
    progress.finish()
    found = {
        "backbone": spec.backbone,
        "settings": resolved.backbone.settings.model_dump(mode="json"),
        "model": model.describe(),
        "random_weights": model.random_weights,
        "device": device,
        "images": [one.facts for one in looks],
    }
    if spec.picture is not None:
        from bench3d.runner.look_picture import write_picture

        progress.start("picture", None)
        found["picture"] = write_picture(spec.picture, looks, title(spec, found), spec.foreground)
        progress.finish()
    if spec.npz is not None:
        write_npz(spec.npz, looks)
        found["npz"] = str(spec.npz)
    return found


def find_images(named: Sequence[Path]) -> list[Path]:
    """The files that are named and the images of the folders that are named, these by name; each once.

    Raises:
        DataError: a path that is not there, or a folder without images.
    """
    found: dict[Path, None] = {}
    for path in named:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith("."))
            if not inside:
                raise DataError(f"There is no image in the folder {path}.", f"It takes {', '.join(IMAGES)}.")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise DataError(f"There is no image {path}.", "Check the path.")
    return list(found)


def labels(paths: Sequence[Path]) -> list[str]:
    """The files' names, with as many of their folders as tell them apart."""
    names = [p.name for p in paths]
    deepest = max(len(p.absolute().parts) for p in paths)
    for depth in range(2, deepest + 1):
        if len(set(names)) == len(names):
            break
        names = [str(Path(*p.absolute().parts[-depth:])) for p in paths]
    return names


def title(spec: LookSpec, found: Mapping[str, Any]) -> str:
    """What the picture shows, in one line: the backbone and what was set of it."""
    parts = [spec.backbone, *(f"{k} {v}" for k, v in spec.settings.get("backbone", {}).items())]
    parts += ["RANDOM WEIGHTS"] if found["random_weights"] else []
    shared = f", one basis for {len(found['images'])} images" if len(found["images"]) > 1 else ""
    return f"{', '.join(parts)}: principal components of {found['images'][0]['channels']} channels{shared}"


def _check_outputs(spec: LookSpec) -> None:
    """What cannot end well is said before the work."""
    for scope in spec.settings:
        if scope != "backbone":
            raise UsageError(f"features has no {scope} to set.", "It takes --set backbone.KEY=VALUE only.")
    if spec.foreground and spec.picture is None:
        raise UsageError("--foreground is about the picture, and none is asked for.", "Add --pca FILE.")
    for option, path, endings in (("--pca", spec.picture, PICTURES), ("--npz", spec.npz, (".npz",))):
        if path is not None and path.suffix.lower() not in endings:
            raise UsageError(f"{option} {path} is no file that can be written.", f"It takes {', '.join(endings)}.")
        if path is not None and path.is_dir():
            raise UsageError(f"{option} {path} is a folder.", "Name a file.")


def _look_at(path: Path, label: str, extractor: Extractor, spec: LookSpec, device: str) -> Look:
    """Not through an encoder: that reads data sets, whose annotations refer to the pixels as stored, without EXIF."""
    import torch

    from bench3d.contracts import ImageBatch
    from bench3d.features.matching import blend
    from bench3d.features.statistics import map_statistics
    from bench3d.geometry.pixels import PixelGeometry
    from bench3d.runner.photo import load_photo

    photo = load_photo(path)
    size = (photo.shape[1], photo.shape[0])
    started = time.perf_counter()
    images = torch.from_numpy(photo).permute(2, 0, 1)[None].contiguous().float() / 255
    batch = ImageBatch(images, torch.ones(1, 1, *photo.shape[:2]), (PixelGeometry.identity(size),), (label,))
    feature_map = blend(extractor(batch.to(device)))
    values = feature_map.values[0].cpu().numpy()  # waits for the device
    seconds = time.perf_counter() - started
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).any(axis=0).sum())
        raise PluginError(
            f"{spec.backbone} gives features of {path} that are not finite, in {count} cells.",
            "Its weights may be broken: get them again.",
        )
    geometry = feature_map.geometry[0]
    facts = {
        "path": str(path),
        "size": list(size),
        "input_size": list(geometry.input_size),
        "grid": [values.shape[2], values.shape[1]],
        "channels": values.shape[0],
        "seconds": seconds,
        **asdict(map_statistics(values)),
    }
    keep = spec.picture is not None or spec.npz is not None
    return Look(path, label, _small(photo), values if keep else None, geometry, facts)


def _small(photo: np.ndarray) -> np.ndarray:
    """The photograph with at most `SHOWN` pixels on a side."""
    from PIL import Image

    image = Image.fromarray(photo)
    image.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return np.asarray(image)


def write_npz(path: Path, looks: Sequence[Look]) -> None:
    """Writes features and where they lie; `np.load(path)` reads them back, without pickle.

    Keys: `values_0`, `values_1`, ...: (C, h, w) float32 of each image; and with one row an image `paths`,
    `original_size`, `input_size` (W, H), `grid_size` (w, h), and `scale`, `offset`, `stride`, `origin` (x, y): an
    original pixel p lies at the cell coordinate (scale * p + offset - origin) / stride, cell i covers [i, i + 1).
    """
    arrays: dict[str, np.ndarray] = {"paths": np.array([str(one.path) for one in looks])}
    for name in ("original_size", "input_size", "grid_size", "scale", "offset", "stride", "origin"):
        arrays[name] = np.array([getattr(one.geometry, name) for one in looks])
    for index, one in enumerate(looks):
        assert one.values is not None
        arrays[f"values_{index}"] = one.values
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]
