"""Twins of posed images: no instance is shared between data sets, and the PASCAL3D+ twin is what it always was."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import loadmat

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.off import read_off
from bench3d.plugins import load_registry
from bench3d.plugins.names import resolve

SPEC = TwinSpec(categories=("car", "tv"), seed=3, test_images=2, hard_images=1, image_size=64)


def written(name, root):
    registration = load_registry().get("dataset", name)
    resolve(registration.synth, name)(root, SPEC, NullProgress(), 1)
    return root


def test_pascal3d_and_objectnet3d_share_no_instance(tmp_path):
    folders = {"pascal3d": "CAD", "objectnet3d": "CAD/off"}
    meshes = {
        name: {path.read_bytes() for path in (written(name, tmp_path / name) / cads).rglob("*.off")}
        for name, cads in folders.items()
    }
    assert len(meshes["pascal3d"]) == 6 and len(meshes["objectnet3d"]) == 6
    assert not meshes["pascal3d"] & meshes["objectnet3d"]


def test_the_pascal3d_twin_is_what_it_was(tmp_path):
    # Numbers of the generator's first version: figures were made with it. (The bytes are a matter of the libraries.)
    root = written("pascal3d", tmp_path / "twin")
    path = root / "Annotations/car_imagenet/n02958343_000001.mat"
    one = loadmat(path, squeeze_me=True, struct_as_record=False)["record"].objects
    view = one.viewpoint
    found = [view.azimuth, view.elevation, view.theta, view.distance, view.px, view.py]
    assert found == pytest.approx([201.759651, 13.578439, 0.763885, 35.353046, 34.887387, 34.732304], abs=1e-5)
    assert one.bbox.tolist() == [10, 23, 59, 51]
    vertices, faces = read_off(root / "CAD/car/01.off")
    assert (len(vertices), len(faces)) == (3344, 6408) and np.abs(vertices).mean() == pytest.approx(0.15872677)
