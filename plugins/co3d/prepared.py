"""What reading every mask of a sequence gives: its cleaned cloud and what its masks cover; and its proxy mesh. Cached.

    <root>-prepared/<category folder>/<sequence>-<key>.npz          points, covered
    <root>-prepared/<category folder>/<sequence>-<key>.mesh.npz     vertices, faces; or why there is none

The key is a hash of all that decides the content: annotations, sizes and times of the files, settings. An entry that
cannot be read is made again. Results are the same with and without the cache.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench3d.data.hashing import Digest
from bench3d.data.images import load_mask_values
from bench3d.data.ply import read_ply_points
from bench3d.errors import DataError, OutputError
from bench3d.files import write_bytes
from bench3d_plugins.co3d import canonical
from bench3d_plugins.co3d.annotations import Frame
from bench3d_plugins.co3d.selection import Raw, few_frames
from bench3d_plugins.co3d.settings import CO3DSettings

VERSION = 1
"""To be raised when what is cached changes for the same inputs."""
EMPTY_MASKS = "empty masks"
FEW_POINTS = "too small a point cloud"
FLAT_CLOUD = "a point cloud without extent"
SMALL_OBJECT = "an object too small in the images"
NO_MESH = "no proxy mesh"
EMPTY_FRAMES = "frames with an empty mask"
UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
Mesh = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Of a sequence: points (N, 3) of its cleaned cloud, raw; covered (F,) share of each frame's pixels in its mask."""

    points: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, eq=False)
class Examined:
    """A sequence with what its masks and its cloud gave.

    Attributes:
        reason: why it is left out; None where it is kept.
        vertices: (V, 3) of the proxy mesh, raw, where the settings measure the extent by it.
    """

    raw: Raw
    prepared: Prepared
    reason: str | None = None
    vertices: np.ndarray | None = None

    def seen_frames(self) -> tuple[Frame, ...]:
        """The frames whose masks are not empty."""
        frames = zip(self.raw.frames, self.prepared.covered, strict=True)
        return tuple(frame for frame, covered in frames if covered > 0)

    @property
    def empty_frames(self) -> int:
        """How many frames' masks are empty."""
        return int((self.prepared.covered <= 0).sum())


@dataclass(frozen=True)
class Store:
    """Prepared sequences of the data set at `root`, made where they are not in the cache."""

    root: Path
    settings: CO3DSettings

    @property
    def folder(self) -> Path:
        """Where entries are kept: beside the data set, which may be a link to a folder of others."""
        return self.root.with_name(f"{self.root.name}-prepared")

    def examine(self, raw: Raw) -> Examined:
        """Whether a sequence is kept, and what of it is used; DataError as `cloud`."""
        prepared = self.cloud(raw)
        reason = verdict(prepared, self.settings)
        if reason is not None or self.settings.extent == "cloud":
            return Examined(raw, prepared, reason)
        try:
            vertices, _ = self.mesh(raw, prepared.points)
        except DataError:
            return Examined(raw, prepared, NO_MESH)
        return Examined(raw, prepared, None, vertices)

    def cloud(self, raw: Raw, keep: bool = False) -> Prepared:
        """The cleaned cloud of a sequence.

        Raises:
            DataError: a mask or the cloud is missing or broken.
            OutputError: with `keep`, the entry cannot be written (otherwise it is done without).
        """
        path = self.entry(raw)
        if self.settings.cache and (found := _read(path, ("points", "covered"))) is not None:
            return Prepared(found["points"].astype(np.float64), found["covered"])
        made = prepare(self.root, raw, self.settings)
        if self.settings.cache:
            _write(path, {"points": _exact(made.points), "covered": made.covered}, keep)
        return made

    def mesh(self, raw: Raw, points: np.ndarray, keep: bool = False) -> Mesh:
        """The proxy mesh around the cleaned cloud, in raw coordinates: vertices (V, 3), faces (F, 3).

        Raises:
            DataError: no mesh can be put around it.
            OutputError: as `cloud`.
        """
        from bench3d.morphable.proxy_mesh import proxy_mesh

        path = self.mesh_entry(raw)
        if self.settings.cache and (found := _read(path, ("vertices", "faces", "problem"))) is not None:
            if problem := str(found["problem"]):
                raise DataError(problem)
            return found["vertices"], found["faces"]
        vertices, faces, why = np.zeros((0, 3)), np.zeros((0, 3), np.int32), None
        try:
            vertices, faces = proxy_mesh(points, seed=zlib.crc32(f"{self.settings.seed}/{raw.name}".encode()))
        except DataError as error:
            why = error
        if self.settings.cache:
            said = np.array("" if why is None else why.message)
            _write(path, {"vertices": vertices, "faces": faces, "problem": said}, keep)
        if why is not None:
            raise why
        return vertices, faces

    def mesh_entry(self, raw: Raw) -> Path:
        """The file of a sequence's proxy mesh."""
        return self.entry(raw).with_suffix(".mesh.npz")

    def entry(self, raw: Raw) -> Path:
        """The file of a sequence's cleaned cloud."""
        digest = Digest()
        settings = self.settings
        facts = (VERSION, settings.cloud_points, settings.mask_share, settings.seed, raw.name)
        digest.add("facts", repr(facts).encode())
        for path in (raw.cloud, *(frame.mask for frame in raw.frames)):
            digest.add(path, _stamp(self.root / path))
        for frame in raw.frames:
            camera = frame.cam_T_raw.tobytes() + frame.intrinsics.tobytes()
            digest.add(frame.mask, repr(frame.size).encode() + camera)
        plain = UNSAFE.sub("_", raw.name)
        return self.folder / raw.folder / f"{plain}-{digest.hexdigest()[:16]}.npz"


def prepare(root: Path, raw: Raw, settings: CO3DSettings) -> Prepared:
    """Reads a sequence's cloud and every mask, without any cache; DataError as `Store.cloud`."""
    rng = canonical.sequence_rng(settings.seed, raw.name)
    points = canonical.subsample(read_ply_points(root / raw.cloud), settings.cloud_points, rng)
    covered: list[float] = []

    def masks() -> Iterator[np.ndarray]:
        for frame in raw.frames:
            mask = load_mask_values(root / frame.mask, frame.size)
            covered.append(float((mask > 0.5).mean()))
            yield mask

    poses, cameras = [f.cam_T_raw for f in raw.frames], [f.intrinsics for f in raw.frames]
    share = canonical.mask_share(points, masks(), poses, cameras)
    kept = canonical.keep_points(share, settings.mask_share, rng)
    return Prepared(points[kept], np.array(covered))


def verdict(prepared: Prepared, settings: CO3DSettings) -> str | None:
    """Why a sequence is left out for what its masks and its cloud hold; None where it is kept."""
    seen = int((prepared.covered > 0).sum())
    if seen == 0:
        return EMPTY_MASKS
    if seen < settings.min_frames:
        return few_frames(settings)
    if len(prepared.points) < settings.min_points:
        return FEW_POINTS
    if np.ptp(prepared.points, axis=0).max() <= 1e-9 * max(1.0, float(np.abs(prepared.points).max())):
        return FLAT_CLOUD
    if settings.filters == "published" and prepared.covered.mean() < settings.min_mask_coverage:
        return SMALL_OBJECT
    return None


def _stamp(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return b"missing"
    return f"{found.st_size} {found.st_mtime_ns}".encode()


def _exact(points: np.ndarray) -> np.ndarray:
    """As float32 where that loses nothing: clouds are stored so."""
    small = points.astype(np.float32)
    return small if np.array_equal(small.astype(np.float64), points) else points


def _read(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """The arrays of an entry; None where it is missing or broken (zip's checksums say so), then it is made again."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except Exception:
        # numpy raises ValueError, KeyError, BadZipFile, OSError, zlib.error ... for broken content.
        return None


def _write(path: Path, arrays: dict[str, np.ndarray], keep: bool) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    try:
        write_bytes(path, buffer.getvalue())
    except OutputError:
        if keep:
            raise
