"""`bench3d shape` and the meshes of `predict`: files that other programs read, and errors with a next step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from bench3d.cli.main import main
from bench3d.contracts import Artifact, FeatureMesh, Model, ShapeModelRegistration
from bench3d.data.mesh_out import write_mesh
from bench3d.errors import CapabilityError, UsageError

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=np.int32)


class Grown(Model):
    """A tetrahedron with a feature per corner; its one direction stretches it upwards."""

    capabilities = frozenset({"shape"})

    def template(self, category: str) -> FeatureMesh:
        return FeatureMesh(torch.from_numpy(CORNERS).float(), torch.from_numpy(FACES), torch.eye(4))

    def walk(self, category, direction, sigmas):
        if direction > 0:
            raise UsageError("There is one direction.")
        up = torch.tensor([0.0, 0.0, 1.0])
        mesh = self.template(category)
        return [FeatureMesh(mesh.vertices + 0.1 * s * mesh.vertices * up, mesh.faces, mesh.features) for s in sigmas]


class Stub:
    """The shape model `grown`; its artifacts are an index alone."""

    def load(self, path: Path) -> Artifact:
        index = json.loads((path / "artifact.json").read_text())
        return Artifact(path, "r", "d", index["category"])

    def apply(self, model, artifacts, device):
        with pytest.raises(CapabilityError):
            model.features(None)
        return Grown()


def create(settings: object) -> Stub:
    return Stub()


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """A results folder with fits of `car` on two backbones and of `bus` on one."""
    from bench3d.plugins import load_registry

    registration = ShapeModelRegistration(
        name="grown", summary="s", factory=f"{__name__}:create", licence="l", citation="c", adds=("shape",)
    )
    registry = load_registry()
    found = registry.get
    monkeypatch.setattr(registry, "get", lambda kind, name: registration if name == "grown" else found(kind, name))
    monkeypatch.setattr(registry, "create", lambda kind, name, **values: Stub())
    for backbone, category in (("one", "car"), ("two", "car"), ("one", "bus")):
        folder = tmp_path / "results" / "fits" / "grown" / backbone / f"{category}-abc"
        folder.mkdir(parents=True)
        (folder / "artifact.json").write_text(json.dumps({"category": category}))
        note = {"inputs": {"backbone": {"name": backbone}, "component": {"name": "grown", "settings": {}}}}
        (folder / "fit.json").write_text(json.dumps(note))
    return tmp_path / "results"


def call(*words: object) -> int:
    return main([str(word) for word in words])


def test_export_writes_template_and_walk_that_trimesh_reads_back(fitted, tmp_path, capsys):
    out = tmp_path / "new" / "bus.ply"
    words = ("shape", "export", "grown", "--category", "bus", "--out", out, "--results", fitted)
    assert call(*words, "--walk", "1", "--sigmas", "-2,2", "--json") == 0
    written = json.loads(capsys.readouterr().out)
    assert [(Path(w["path"]).name, w["sigma"]) for w in written] == [
        ("bus.ply", None), ("bus-walk1-m2.0.ply", -2.0), ("bus-walk1-p2.0.ply", 2.0)
    ]  # fmt: skip
    template, _, stretched = (trimesh.load(w["path"], process=False) for w in written)
    np.testing.assert_allclose(template.vertices, CORNERS, atol=1e-6)
    np.testing.assert_allclose(stretched.vertices[3], [0, 0, 1.2], atol=1e-6)
    assert len(np.unique(template.visual.vertex_colors, axis=0)) == 4, "every corner has its own feature"
    np.testing.assert_array_equal(template.visual.vertex_colors, stretched.visual.vertex_colors)


def test_show_draws_template_and_walk(fitted, tmp_path, capsys):
    out = tmp_path / "bus.png"
    assert call("shape", "show", "grown", "--category", "bus", "--out", out, "--results", fitted, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["vertices"], found["watertight"], found["extent"]) == (4, True, [1.0, 1.0, 1.0])
    assert (found["directions"], found["backbone"]) == (1, "one")
    pixels = np.asarray(Image.open(out)).astype(int)
    assert (pixels.max(axis=2) - pixels.min(axis=2) > 60).mean() > 0.01, "coloured shapes on white"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--category", "car"), 2, "--backbone NAME"),
        (("--category", "car", "--backbone", "three"), 4, "No grown of car on three was fitted"),
        (("--category", "tv"), 4, "bench3d train"),
        (("--category", "bus", "--out", "bus.txt"), 2, ".glb, .ply, .obj"),
        (("--category", "bus", "--walk", "2"), 2, "There is one direction."),
        (("--category", "bus", "--sigmas", "a,b"), 2, "--sigmas -2,0,2"),
    ],
)
def test_what_cannot_be_exported_is_said_with_a_next_step(fitted, tmp_path, capsys, words, code, text):
    out = () if "--out" in words else ("--out", tmp_path / "x.glb")
    assert call("shape", "export", "grown", *words, *out, "--results", fitted) == code
    error = " ".join(capsys.readouterr().err.split())
    assert text in error and "Traceback" not in error
    assert not list(tmp_path.glob("*.glb"))


def test_a_backbone_chooses_among_several_fits(fitted, tmp_path):
    out = tmp_path / "car.glb"
    words = ("shape", "export", "grown", "--category", "car", "--backbone", "two", "--out", out, "--results", fitted)
    assert call(*words) == 0 and out.exists()


def test_a_glb_stands_upright_with_the_front_towards_the_viewer(tmp_path):
    write_mesh(tmp_path / "m.glb", np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, 1]]), np.array([[0, 1, 2]]))
    (mesh,) = trimesh.load(tmp_path / "m.glb", process=False).geometry.values()
    left, front, up = np.asarray(mesh.vertices)
    np.testing.assert_allclose([left, front, up], [[1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-6)
