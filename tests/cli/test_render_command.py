"""`bench3d data render`: help, summary, errors and exit codes."""

from __future__ import annotations

import json

import pytest
from textured_cube import write_obj

from bench3d_plugins.objaverse.meshes import MARK


@pytest.fixture
def meshes(tmp_path):
    folder = tmp_path / "meshes"
    write_obj(folder / "one", image="missing.png", save=False)
    (folder / "broken.glb").write_bytes(b"no mesh")
    return folder


def test_help_names_what_it_does(cli):
    answer = cli("data", "render", "--help")
    assert answer.code == 0
    for word in ("dataset", "MESH", "--out", "--workers", "--size", "--force", "--json", "Example:"):
        assert word in answer.out
    assert "render" in cli("data", "--help").out


def test_renders_summarises_and_is_found_by_the_reader(cli, meshes, tmp_path):
    root = tmp_path / "root"
    answer = cli("data", "render", "objaverse", str(meshes), "--data", str(root), "--size", "32", "--workers", "1")
    assert answer.code == 0
    assert "1 rendered, 0 there already, 1 could not be rendered" in answer.out
    assert "broken: " in answer.out and "no readable glTF" in answer.out
    assert "cube: 'missing.png' is missing" in answer.out
    assert (root / "objaverse_renderings" / "cube" / MARK).is_file()
    checked = json.loads(cli("data", "check", "objaverse-renderings", "--data", str(root), "--json").out)
    assert checked["problems"] == []
    again = cli("data", "render", "objaverse-renderings", str(meshes), "--data", str(root), "--size", "32", "--json")
    found = json.loads(again.out)
    assert (found["rendered"], found["there"], list(found["failed"])) == ([], ["cube"], ["broken"])
    assert again.code == 0


def test_the_exit_code_is_3_where_nothing_could_be_rendered(cli, meshes, tmp_path):
    answer = cli("data", "render", "objaverse", str(meshes / "broken.glb"), "--out", str(tmp_path / "out"))
    assert answer.code == 3 and "0 rendered" in answer.out and "broken" in answer.out
    gone = cli("data", "render", "objaverse", str(tmp_path / "gone"), "--out", str(tmp_path / "out"))
    assert gone.code == 3 and "no file or folder" in gone.err


def test_wrong_words_are_one_sentence(cli, meshes, tmp_path):
    mesh = str(meshes / "one" / "cube.obj")
    unknown = cli("data", "render", "objaverse-renderingz", mesh)
    assert unknown.code == 2 and "Did you mean objaverse-renderings?" in unknown.err
    other = cli("data", "render", "pascal3d", mesh)
    assert other.code == 2 and "objaverse-renderings" in other.err
    assert cli("data", "render", "objaverse").code == 2
    text = cli("data", "render", "objaverse", str(meshes / "one" / "cube.mtl"))
    assert text.code == 2 and "cube.mtl is no mesh" in text.err
    size = cli("data", "render", "objaverse", mesh, "--size", "4", "--out", str(tmp_path / "o"))
    assert size.code == 2 and "--size 4" in size.err
    file = tmp_path / "a file"
    file.touch()
    assert cli("data", "render", "objaverse", mesh, "--size", "32", "--out", str(file)).code == 6
