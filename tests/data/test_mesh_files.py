"""Meshes from files: looks, axes, what is refused, and names."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from textured_cube import EXTENT, SIDES, arrays, write_glb, write_obj

from bench3d.data.mesh_files import load_mesh
from bench3d.data.mesh_names import find_meshes
from bench3d.errors import DataError, UsageError

SAMPLES = os.environ.get("BENCH3D_REAL_SAMPLES")


def side_colours(mesh):
    """Outward direction of each face (in the mesh's frame) -> the texture's colour at the face's middle."""
    found = {}
    for face, owner in zip(mesh.faces, mesh.owner, strict=True):
        corners = mesh.vertices[face]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        axis = int(np.abs(normal).argmax())
        name = ("+" if corners.mean(axis=0)[axis] > 0 else "-") + "xyz"[axis]
        image = mesh.surfaces[owner].texture
        u, v = mesh.uv[face].mean(axis=0)
        found[name] = tuple(image[int((1 - v) * image.shape[0]), int(u * image.shape[1]), :3].tolist())
    return found


@pytest.mark.parametrize("kind", ["obj", "glb"])
def test_obj_and_gltf_are_turned_from_y_up_to_z_up_with_their_texture(tmp_path, kind):
    path = write_obj(tmp_path) if kind == "obj" else write_glb(tmp_path / "cube.glb")
    file = load_mesh(path)
    assert file.problems == () and len(file.mesh.faces) == 12
    assert np.allclose(np.ptp(file.mesh.vertices, axis=0), EXTENT)
    # What was up (+y) is up (+z) now, what was at the front (+z) is at -y: (x, y, z) -> (x, -z, y).
    turned = {"+x": "+x", "-x": "-x", "+y": "+z", "-y": "-z", "+z": "-y", "-z": "+y"}
    assert side_colours(file.mesh) == {turned[name]: colour for name, colour in SIDES.items()}
    assert file.mesh.surfaces[0].colour == (1.0, 1.0, 1.0)  # Kd 0.1 is replaced by the texture, as in Blender


def test_ply_stl_and_off_stay_as_stored_and_vertex_colours_are_srgb(tmp_path):
    vertices, faces, _ = arrays()
    colours = np.tile(np.array([188, 0, 255, 255], np.uint8), (len(vertices), 1))
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(tmp_path / "cube.ply")
    for kind in ("stl", "off"):
        trimesh.Trimesh(vertices * (1, 1, 3), faces, process=False).export(tmp_path / f"cube.{kind}")
        mesh = load_mesh(tmp_path / f"cube.{kind}").mesh
        assert np.allclose(np.ptp(mesh.vertices, axis=0), (2, 1, 3))
        assert mesh.surfaces[0].texture is None and mesh.surfaces[0].colour == (0.8, 0.8, 0.8)
        assert np.allclose(np.abs(mesh.normals).max(axis=2), 1)  # a box keeps its edges
    painted = load_mesh(tmp_path / "cube.ply").mesh
    assert painted.colours[0] == pytest.approx((0.503, 0.0, 1.0), abs=1e-3)  # 188 is half of the light


def test_the_parts_of_a_scene_stand_in_their_places(tmp_path):
    scene = trimesh.Scene()
    ball = trimesh.creation.icosphere(1, 0.5)
    for place in (0.0, 4.0):
        scene.add_geometry(ball, transform=trimesh.transformations.translation_matrix((place, 2.0, 0.0)), geom_name="b")
    scene.export(tmp_path / "two.glb")
    mesh = load_mesh(tmp_path / "two.glb").mesh
    assert len(mesh.faces) == 160
    assert np.allclose(mesh.vertices.min(0), (-0.5, -0.5, 1.5)) and np.allclose(mesh.vertices.max(0), (4.5, 0.5, 2.5))


def test_alpha_modes_and_emission_of_gltf(tmp_path):
    holes = np.full((8, 8, 4), 255, np.uint8)
    holes[:4, :, 3] = 0
    from PIL import Image

    image = Image.fromarray(holes)
    look = {"baseColorTexture": image, "baseColorFactor": [255, 128, 0, 255], "emissiveFactor": [0, 0.5, 0]}
    (one,) = load_mesh(write_glb(tmp_path / "a.glb", **look, alphaMode="MASK", alphaCutoff=0.25)).mesh.surfaces
    assert one.cutout == pytest.approx(0.25) and one.colour == pytest.approx((1, 128 / 255, 0), abs=5e-3)
    assert one.glow == (0.0, 0.5, 0.0)
    (two,) = load_mesh(write_glb(tmp_path / "b.glb", **look, alphaMode="OPAQUE")).mesh.surfaces
    assert two.cutout is None
    (three,) = load_mesh(
        write_glb(tmp_path / "c.glb", alphaMode="BLEND", baseColorFactor=[255, 255, 255, 80])
    ).mesh.surfaces
    assert three.cutout is None  # a pane of glass is no hole
    with pytest.raises(DataError, match="holds no faces"):
        load_mesh(write_glb(tmp_path / "d.glb", alphaMode="BLEND", baseColorFactor=[255, 255, 255, 0]))


def test_textures_come_from_the_folder_of_the_mesh_only(tmp_path):
    write_obj(tmp_path / "box", image="../secret.png")
    file = load_mesh(tmp_path / "box" / "cube.obj")
    assert file.problems == ("'../secret.png' lies outside the mesh's folder",)
    assert file.mesh.surfaces[0].texture is None
    (tmp_path / "box" / "link.png").symlink_to(tmp_path / "secret.png")
    linked = load_mesh(write_obj(tmp_path / "box", image="link.png", save=False))
    assert "outside" in linked.problems[0]
    (missing,) = load_mesh(write_obj(tmp_path / "bare", image="no such.png", save=False)).problems
    assert missing == "'no such.png' is missing"
    # The full path of the machine that exported it: the file beside the mesh is meant.
    obj = write_obj(tmp_path / "moved")
    (tmp_path / "moved" / "cube.mtl").write_text("newmtl paint\nmap_Kd C:\\Users\\me\\paint.png\n")
    assert load_mesh(obj).problems == () and load_mesh(obj).mesh.surfaces[0].texture is not None


def test_a_broken_texture_is_left_out_and_named(tmp_path):
    obj = write_obj(tmp_path)
    whole = (tmp_path / "paint.png").read_bytes()
    for content in (b"no picture", whole[:60], b""):
        (tmp_path / "paint.png").write_bytes(content)
        file = load_mesh(obj)
        assert "'paint.png' cannot be read" in file.problems[0] and file.mesh.surfaces[0].texture is None


def glb(header, binary=b""):
    """The bytes of a glb file with a JSON chunk and a binary chunk."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


BROKEN = {
    "empty.glb": (b"", "no readable glTF"),
    "text.glb": (b"hello, this is no mesh at all", "no readable glTF"),
    "cut.gltf": (b'{"asset": {"version": "2.0"', "no readable glTF"),
    "list.gltf": (b"[1, 2]", "no readable glTF"),
    "huge.gltf": (b'{"accessors": [{"count": 99999999999, "type": "VEC3"}]}', "announces"),
    "draco.glb": (glb({"extensionsRequired": ["EXT_meshopt_compression"]}), "compressed with EXT_meshopt"),
    "buffer.gltf": (b'{"asset": {"version": "2.0"}, "buffers": [{"uri": "../x.bin", "byteLength": 4}]}', "no readable"),
    "empty.obj": (b"", ""),
    "points.obj": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "holds no faces"),
    "index.obj": (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", ""),
    "nan.obj": (b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "no face with an area"),
    "flat.obj": (b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no face with an area"),
    "head.ply": (b"ply\nformat binary_little_endian 1.0\nelement vertex 9999999\nproperty float x\nend_header\n", ""),
    "index.off": (b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", ""),
    "cut.stl": (b"\0" * 80 + struct.pack("<I", 1000) + b"\0" * 50, ""),
    "noise.stl": (bytes(range(256)) * 4, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mesh_is_one_sentence(tmp_path, name):
    content, words = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_mesh(tmp_path / name)
    assert words in caught.value.message and name in caught.value.message
    assert "\n" not in caught.value.message and len(caught.value.message) < 500


def test_faces_with_broken_vertices_are_dropped(tmp_path):
    obj = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv inf 0 0\nv 1e400 nan 0\nf 1 2 3\nf 1 2 4\nf 2 3 5\nf 1 1 2\n"
    (tmp_path / "part.obj").write_bytes(obj)
    mesh = load_mesh(tmp_path / "part.obj").mesh
    assert len(mesh.faces) == 1 and np.isfinite(mesh.vertices).all()
    assert np.allclose(np.abs(mesh.normals), (0, 1, 0))
    torn = np.array(
        [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[9, 9, 9], [9, 9, np.nan], [8, 8, 8]]], "<f4"
    )  # stl: no vertex shared
    record = np.zeros(2, dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    record["v"] = torn
    (tmp_path / "part.stl").write_bytes(b"\0" * 80 + struct.pack("<I", 2) + record.tobytes())
    assert np.allclose(load_mesh(tmp_path / "part.stl").mesh.normals, (0, 0, 1))


def test_names_are_unique_and_speak(tmp_path):
    for name in (
        "chair/scene.obj",
        "table/scene.obj",
        "table/lamp.glb",
        "table/lamp.ply",
        "table/.hidden.obj",
        "a.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_meshes([tmp_path, tmp_path / "chair" / "scene.obj"])
    assert {name: str(path.relative_to(tmp_path)) for name, path in found.items()} == {
        "chair-scene": "chair/scene.obj",
        "table-lamp-glb": "table/lamp.glb",
        "table-lamp-ply": "table/lamp.ply",
        "table-scene": "table/scene.obj",
    }
    with pytest.raises(UsageError, match="no mesh file"):
        find_meshes([tmp_path / "a.txt"])
    with pytest.raises(DataError, match="no file or folder"):
        find_meshes([tmp_path / "b.obj"])
    (tmp_path / "x" / "chair").mkdir(parents=True)
    (tmp_path / "x" / "chair" / "scene.obj").touch()
    with pytest.raises(UsageError, match="one name: chair-scene"):
        find_meshes([tmp_path])


@pytest.mark.skipif(not SAMPLES, reason="BENCH3D_REAL_SAMPLES is not set")
def test_a_real_mesh_whose_files_have_spaces_in_their_names():
    file = load_mesh(Path(SAMPLES or "") / "meshes" / "fuze" / "fuze.obj")
    assert file.problems == () and len(file.mesh.faces) == 1000
    assert file.mesh.surfaces[0].texture is not None and max(file.mesh.surfaces[0].texture.shape) <= 2048
