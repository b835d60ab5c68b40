"""Videos of a person's own: read frame by frame, written as a video, an animated picture or a folder of frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from bench3d.data.images import load_rgb
from bench3d.errors import DataError, OutputError, UsageError
from bench3d.files import atomic_path, make_folder, write_bytes
from bench3d_plugins.point_tracking.drawing import png

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
"""What every OpenCV wheel can write, by suffix."""
FOLDER_FPS = 12.0
HINT = "Name a video that OpenCV can read (mp4, avi, webm, ...), a .gif, or a folder of frames."


@dataclass(frozen=True)
class Film:
    """A video on disk. `size` is (W, H); `count` may be a guess of the file's header until it was read."""

    path: Path
    size: tuple[int, int]
    fps: float
    count: int

    def frames(self, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB of frames first..last-1, one at a time.

        Raises:
            DataError: a frame is missing, broken or of another size.
        """
        for number, pixels in enumerate(_frames(self.path)):
            if last is not None and number >= last:
                return
            if (pixels.shape[1], pixels.shape[0]) != self.size:
                found = f"{pixels.shape[1]}x{pixels.shape[0]}"
                raise DataError(f"Frame {number} of {self.path} has {found} pixels, the first one {self.size}.", HINT)
            if number >= first:
                yield pixels


def open_film(path: Path) -> Film:
    """A video file, a .gif, or a folder of pictures (sorted by the numbers in their names).

    Raises:
        DataError: it is not there, or cannot be read.
    """
    if not path.exists():
        raise DataError(f"There is no {path}.", HINT)
    first = next(_frames(path), None)
    if first is None:
        raise DataError(f"{path} has no frame that can be read.", HINT)
    fps, count = FOLDER_FPS, 0
    if path.is_dir():
        count = len(_pictures(path))
    elif path.suffix.lower() == ".gif":
        with Image.open(path) as image:
            fps, count = 1000.0 / max(20.0, float(image.info.get("duration", 80))), getattr(image, "n_frames", 1)
    else:
        capture = cv2.VideoCapture(str(path))
        fps, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
    fps = fps if np.isfinite(fps) and 0.1 <= fps <= 1000 else FOLDER_FPS
    return Film(path, (first.shape[1], first.shape[0]), fps, max(0, count))


def _frames(path: Path) -> Iterator[np.ndarray]:
    if path.is_dir():
        for name in _pictures(path):
            yield load_rgb(name)
    elif path.suffix.lower() == ".gif":
        yield from _gif(path)
    else:
        yield from _video(path)


def _pictures(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.is_file()]
    return sorted(found, key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", p.name)])


def _gif(path: Path) -> Iterator[np.ndarray]:
    try:
        with Image.open(path) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                yield np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path} is no readable animation ({error}).", HINT) from error


def _video(path: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise DataError(f"OpenCV cannot open {path}: no video, or a codec that is not there.", HINT)
        while True:
            there, pixels = capture.read()
            if not there:
                return
            yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


class Sink(Protocol):
    """Takes frames one after another."""

    def add(self, pixels: np.ndarray) -> None:
        """One frame, (H, W, 3) uint8 RGB."""


@contextmanager
def open_sink(path: Path, size: tuple[int, int], fps: float) -> Iterator[Sink]:
    """Where an overlay goes: by its suffix a video or a .gif, without one a folder of frames. Whole or not at all.

    Raises:
        UsageError: another suffix. OutputError: no codec, no permission, no space.
    """
    suffix = path.suffix.lower()
    if suffix and suffix != ".gif" and suffix not in CODECS:
        raise UsageError(
            f"--out {path}: {suffix} is no kind of video that is written.",
            f"Choose one of {', '.join([*CODECS, '.gif'])}, or a name without a dot for a folder of frames.",
        )
    if not suffix:
        make_folder(path)
        yield _FolderSink(path)
        return
    with atomic_path(path) as partial:
        sink: _GifSink | _VideoSink = _GifSink(partial, fps) if suffix == ".gif" else _VideoSink(partial, size, fps)
        try:
            yield sink
        finally:
            sink.close()


class _FolderSink:
    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def add(self, pixels: np.ndarray) -> None:
        write_bytes(self.folder / f"{self.count:05d}.png", png(pixels))
        self.count += 1


class _GifSink:
    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.duration = path, max(20, round(1000 / fps))
        self.frames: list[Image.Image] = []

    def add(self, pixels: np.ndarray) -> None:
        self.frames.append(Image.fromarray(pixels).quantize(128))

    def close(self) -> None:
        if self.frames:
            first, *rest = self.frames
            first.save(self.path, save_all=True, append_images=rest, duration=self.duration, loop=0)


class _VideoSink:
    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        # Most codecs want even sides.
        self.size = (size[0] // 2 * 2, size[1] // 2 * 2)
        codec = CODECS[path.suffix.lower()]
        self.writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, self.size)
        if not self.writer.isOpened():
            raise OutputError(
                f"OpenCV has no codec here to write {path.suffix} ({codec}).",
                "Choose --out with .avi, .gif, or without a suffix for a folder of frames.",
            )

    def add(self, pixels: np.ndarray) -> None:
        part = pixels[: self.size[1], : self.size[0]]
        self.writer.write(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self.writer.release()
