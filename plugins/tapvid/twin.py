"""The synthetic twin of TAP-Vid DAVIS: the same videos in the official layout and in DINO-Tracker's.

As published: tapvid_davis.pkl (video, points in shares of the image, occluded), tapvid_davis_data_strided.pkl with
queries every five frames in pixels of its own `w` and `h`, and its frames as JPEG images. What differs, and why:

- Tracks are exact: points of surfaces, projected; a point is visible where it lies in the image and nothing nearer is
  drawn. A published track was drawn by hand.
- Videos are as many as the spec says, 24 frames long (fewer for small images), and named "car-0000".
- Points of things in motion, of things that cross before them, and of what stands still.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench3d.contracts import Progress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import close_twin, open_twin
from bench3d.data.workers import run_jobs
from bench3d.files import write_bytes
from bench3d.synth import CATEGORIES, GENERATOR_VERSION
from bench3d.synth.film import Film, Shot, TrackPoint
from bench3d.synth.seeds import instance_seed, rng_of
from bench3d_plugins.tapvid.filming import FIRST_INDEX, make_film
from bench3d_plugins.tapvid.layout import FRAMES, OFFICIAL, STRIDED

GENERATOR = f"{GENERATOR_VERSION}.1"  # the second number is raised when this file writes other bytes
JPEG_QUALITY = 95
EVERY = 5  # frames between two of the strided queries
EXTENT = (854, 480)  # w and h of the strided pickle
LONGEST, SHORTEST, SIDE_PER_FRAME = 24, 8, 8
POINTS = {"main": 16, "crossing": 4, "background": 8}
PICK_FRAMES = 4
POINT_STREAM = 42
PARTS = "parts"  # folder of videos that are drawn and not yet in the pickles


@dataclass(frozen=True)
class Job:
    """One video."""

    root: Path
    category: str
    index: int
    seed: int
    side: int

    @property
    def name(self) -> str:
        """The video's name in the official pickle."""
        return f"{self.category}-{self.index:04d}"

    @property
    def size(self) -> tuple[int, int]:
        """(W, H) in pixels, about 16 to 9."""
        return 2 * round(self.side * 8 / 9), self.side

    @property
    def frames(self) -> int:
        """Length: a small twin has short videos."""
        return min(LONGEST, max(SHORTEST, self.side // SIDE_PER_FRAME))

    @property
    def part(self) -> Path:
        """Where the finished video waits."""
        return self.root / PARTS / f"{self.index}.npz"


def write(root: Path, spec: TwinSpec, progress: Progress, workers: int) -> None:
    """Writes the twin in `root` (see bench3d.contracts.data.TwinWriter). A video that is there is left alone.

    Raises:
        OutputError: no permission, no space. DataError: another twin stands there.
    """
    if open_twin(root, spec, GENERATOR):
        return
    names = [category for category in spec.categories if category in CATEGORIES]
    jobs = [Job(root, names[n % len(names)], n, spec.seed, spec.image_size) for n in range(spec.videos if names else 0)]
    missing = [job for job in jobs if not job.part.exists()]
    progress.start("TAP-Vid twin", len(jobs))
    try:
        progress.advance(len(jobs) - len(missing))
        run_jobs(write_video, missing, workers, progress.advance)
        official, strided = {}, []
        for job in jobs:
            with np.load(job.part, allow_pickle=False) as part:
                official[job.name] = {field: part[field] for field in ("video", "points", "occluded")}
            strided.append(strided_entry(job.index, official[job.name]))
        write_bytes(root / STRIDED, pickle.dumps({"videos": strided}, protocol=4))
        write_bytes(root / OFFICIAL, pickle.dumps(official, protocol=4))
        close_twin(root, spec, GENERATOR)
        for job in jobs:
            job.part.unlink(missing_ok=True)
        (root / PARTS).rmdir()
    finally:
        progress.finish()


def write_video(job: Job) -> None:
    """Draws one video: frames as JPEG images, and frames and tracks in a part for the pickles."""
    film = make_film(job.category, job.index, job.seed, job.frames, job.size)
    shots = [film.shoot(frame) for frame in range(job.frames)]
    rng = rng_of(instance_seed(job.category, "plain", FIRST_INDEX + job.index, job.seed), POINT_STREAM)
    points, occluded = tracks(film, shots, choose(film, shots, rng))
    for frame, shot in enumerate(shots):
        buffer = io.BytesIO()
        Image.fromarray(shot.rgb).save(buffer, format="JPEG", quality=JPEG_QUALITY)
        write_bytes(job.root / FRAMES / str(job.index) / "video" / f"{frame:05d}.jpg", buffer.getvalue())
    content = io.BytesIO()
    np.savez(content, video=np.stack([shot.rgb for shot in shots]), points=points, occluded=occluded)
    write_bytes(job.part, content.getvalue())


def choose(film: Film, shots: list[Shot], rng: np.random.Generator) -> list[TrackPoint]:
    """Points of every layer, each layer's from frames that are spread over the video."""
    found: list[TrackPoint] = []
    frames = np.linspace(0, len(shots) - 1, PICK_FRAMES).round().astype(int)
    layers = [(-1, POINTS["background"]), (0, POINTS["main"])]
    layers += [(number, POINTS["crossing"]) for number in range(1, len(film.actors))]
    for layer, count in layers:
        seen = [int(f) for f in frames if (shots[f].layer == layer).any()] if layer < 1 else _midst(shots, layer)
        for frame, several in zip(seen, np.array_split(np.arange(count), max(1, len(seen))), strict=False):
            found += film.pick(shots[frame], frame, layer, len(several), rng)
    return found


def _midst(shots: list[Shot], layer: int) -> list[int]:
    """The frame that shows most of a crossing object."""
    areas = [int((shot.layer == layer).sum()) for shot in shots]
    return [int(np.argmax(areas))] if max(areas) else []


def tracks(film: Film, shots: list[Shot], points: list[TrackPoint]) -> tuple[np.ndarray, np.ndarray]:
    """(N, T, 2) float32 shares of the image and (N, T) bool occlusion; points that are never seen are left out."""
    found = [film.track(points, frame, shot) for frame, shot in enumerate(shots)]
    places = np.stack([pixels for pixels, _ in found], axis=1) / np.array(film.size)
    seen = np.stack([visible for _, visible in found], axis=1)
    kept = seen.any(axis=1)
    return places[kept].astype(np.float32), ~seen[kept]


def strided_entry(index: int, video: dict[str, np.ndarray]) -> dict[str, Any]:
    """A video in DINO-Tracker's pickle."""
    points = video["points"] * np.array(EXTENT, dtype=np.float32)
    entry: dict[str, Any] = {"video_idx": index, "w": EXTENT[0], "h": EXTENT[1]}
    entry |= {"query_points": {}, "target_points": {}, "occluded": {}}
    for frame in range(0, points.shape[1], EVERY):
        seen = ~video["occluded"][:, frame]
        if seen.any():
            entry["query_points"][frame] = points[seen, frame].tolist()
            entry["target_points"][frame] = points[seen]
            entry["occluded"][frame] = video["occluded"][seen]
    return entry
