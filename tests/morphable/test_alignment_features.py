"""Appearances of vertices: which are seen, what is sampled, and how two appearances differ."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from bench3d.contracts import FeatureMap, ObjectSequence, PosedFrame, WeightedMap
from bench3d.errors import DataError
from bench3d.geometry.camera import project
from bench3d.geometry.pixels import PixelGeometry
from bench3d.morphable import alignment_features
from bench3d.morphable.alignment_features import Appearance, appearance, min_avg_distance, seen_vertices, spread
from bench3d.morphable.alignment_settings import AlignmentSettings
from bench3d.plugins import renderer_for

CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], dtype=np.int32
)  # fmt: skip
SIZE = (120, 90)
INTRINSICS = np.array([[200.0, 0, 60], [0, 200.0, 45], [0, 0, 1]])


def of(*lists: list[float]) -> Appearance:
    """One-dimensional features, a list per vertex."""
    values = np.array([v for one in lists for v in one], dtype=np.float32)[:, None]
    return Appearance(values, np.concatenate([[0], np.cumsum([len(one) for one in lists])]), 1)


def frame(folder, name: str, turn: np.ndarray | None = None, empty: bool = False) -> PosedFrame:
    """A frame that looks at the cube from 10 along the camera's axis; the mask is where it can be."""
    pose = np.eye(4)
    pose[:3, :3] = np.eye(3) if turn is None else turn
    pose[2, 3] = 10
    mask = np.zeros(SIZE[::-1], np.uint8)
    if not empty:
        mask[15:75, 30:90] = 255
    Image.fromarray(mask).save(folder / f"{name}-mask.png")
    Image.fromarray(np.zeros((*SIZE[::-1], 3), np.uint8)).save(folder / f"{name}.png")
    return PosedFrame(name, folder / f"{name}.png", folder / f"{name}-mask.png", SIZE, INTRINSICS, pose)


def ramp(batch) -> list[WeightedMap]:
    """Features that are the original pixel of a cell's centre: what is sampled says where."""
    maps, geometries = [], []
    for geometry in batch.geometry:
        own = geometry.with_grid((32, 32), (512 / 32, 512 / 32))
        v, u = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5, indexing="ij")
        maps.append(own.cell_to_original(np.stack([u, v], axis=-1)).transpose(2, 0, 1))
        geometries.append(own)
    return [WeightedMap(FeatureMap(torch.from_numpy(np.stack(maps)).float(), tuple(geometries)))]


def test_min_avg_by_hand():
    # 0 and 4 against 1: |0-1| and |4-1| one way, |1-0| the other, over three features.
    assert min_avg_distance(of([0, 4]), of([1])) == pytest.approx((1 + 3 + 1) / 3)
    one, two = of([0, 4], [], [2]), of([1], [5, 5, 6], [])
    found = min_avg_distance(one, two)
    assert np.isinf(found[1]).all() and np.isinf(found[:, 2]).all()
    # 2 against 5, 5, 6: 3 one way; 3, 3, 4 the other, over four features.
    assert found[2, :2] == pytest.approx([1.0, 13 / 4])
    back = min_avg_distance(two, one)
    assert np.allclose(back.T, found)


def test_min_avg_is_the_same_in_pieces(monkeypatch):
    rng = np.random.default_rng(0)
    one, two = (of(*(list(rng.normal(size=n)) for n in rng.integers(0, 5, 30))) for _ in range(2))
    whole = min_avg_distance(one, two)
    monkeypatch.setattr(alignment_features, "CHUNK", 100)
    assert min_avg_distance(one, two) == pytest.approx(whole, abs=1e-6)


def test_only_the_near_face_of_a_cube_is_seen(tmp_path):
    crop = PixelGeometry.identity(SIZE)
    seen, pixels = seen_vertices(frame(tmp_path, "a"), crop, CUBE, FACES, renderer_for("cpu"), 64)
    assert sorted(seen) == [i for i, corner in enumerate(CUBE) if corner[2] == -1]
    assert pixels[0] == pytest.approx([60 - 200 / 9, 45 - 200 / 9])


def test_a_vertex_outside_the_image_is_not_seen(tmp_path):
    crop = PixelGeometry.identity(SIZE)
    beside = frame(tmp_path, "a")
    beside.cam_T_obj[0, 3] = 2.5  # the right half leaves the image on the right
    seen, _ = seen_vertices(beside, crop, CUBE, FACES, renderer_for("cpu"), 64)
    assert {tuple(c) for c in CUBE[seen]} >= {(-1, -1, -1), (-1, 1, -1)} and all(CUBE[i][0] == -1 for i in seen)


def test_features_are_sampled_where_a_vertex_is_projected(tmp_path):
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    frames = (frame(tmp_path, "a"), frame(tmp_path, "b", turned), frame(tmp_path, "c", empty=True))
    sequence = ObjectSequence("one", "car", frames, lambda: CUBE)
    found = appearance(sequence, (CUBE, FACES), ramp, renderer_for("cpu"), AlignmentSettings())
    assert found.frames == 2  # the one with an empty mask is passed over
    near = [np.flatnonzero(CUBE[:, 2] == -1), np.flatnonzero(CUBE[:, 0] == 1)]
    assert found.counts.tolist() == [sum(i in one for one in near) for i in range(8)]
    for vertex in range(8):
        places = [
            project(CUBE[vertex : vertex + 1], f.cam_T_obj, INTRINSICS)[0][0]
            for f, one in zip(frames, near, strict=False)
            if vertex in one
        ]
        values = found.values[found.starts[vertex] : found.starts[vertex + 1]]
        assert values == pytest.approx(np.array(places).reshape(-1, 2), abs=0.05)


def test_a_sequence_without_any_mask_has_no_appearance(tmp_path):
    sequence = ObjectSequence("one", "car", (frame(tmp_path, "a", empty=True),), lambda: CUBE)
    with pytest.raises(DataError, match="No frame of sequence one"):
        appearance(sequence, (CUBE, FACES), ramp, renderer_for("cpu"), AlignmentSettings())


def test_frames_are_spread_from_first_to_last():
    frames = [SimpleNamespace(number=i) for i in range(11)]
    assert [f.number for f in spread(frames, 3)] == [0, 5, 10]
    assert [f.number for f in spread(frames, 1)] == [5] and len(spread(frames, None)) == 11
