"""What is kept of thousands of annotations: read once, true to the files, never trusted when broken."""

from __future__ import annotations

import json
import os

import pytest
from objectnet3d_folder import EMPTY, thing

from bench3d.contracts import Progress
from bench3d.errors import DataError
from bench3d_plugins.objectnet3d import index
from bench3d_plugins.objectnet3d.dataset import ObjectNet3D


@pytest.fixture
def read(folder, tmp_path, monkeypatch):
    """A folder of three frames whose rows are kept, and the names of the files that are really read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "CACHED_FROM", 1)
    folder.add("a", thing(), thing("car", view=dict(focal=2.0)))
    folder.add("b", thing("car", view=dict(azimuth=EMPTY)))
    folder.add("c", thing(view=dict(theta=EMPTY)))
    names = []
    really = index.read_frame
    monkeypatch.setattr(index, "read_frame", lambda path, content: names.append(path.stem) or really(path, content))
    return names


def everything(folder):
    dataset = ObjectNet3D(folder.root)
    return [
        (s.id, s.cam_T_obj.tolist(), s.intrinsics.tolist(), s.box.tolist(), s.size, dict(s.attributes))
        for category in ("couch", "car")
        for s in dataset.samples(category, "test")
    ] + [dataset.skipped("couch", "test"), dataset.fingerprint("couch"), dataset.fingerprint("car")]


def test_a_second_reader_reads_no_annotation_and_says_the_same(folder, read):
    first = everything(folder)
    assert sorted(read) == ["a", "b", "c"]
    assert everything(folder) == first and len(read) == 3


def test_only_a_changed_annotation_is_read_again(folder, read):
    first = everything(folder)
    folder.annotation("b").write_bytes(folder.annotation("b").read_bytes())
    os.utime(folder.annotation("b"), ns=(1, 1))
    assert everything(folder) == first and read[3:] == ["b"]


@pytest.mark.parametrize("damage", ["cut", "other schema", "wrong type", "no json", "other folder"])
def test_a_broken_index_is_made_again(folder, read, damage):
    first = everything(folder)
    path = ObjectNet3D(folder.root).index.cache_file("test")
    content = json.loads(path.read_text())
    if damage == "other schema":
        content["schema"] = "bench3d.objectnet3d-index/0"
    elif damage == "wrong type":
        content["rows"]["a"]["frame"]["found"]["azimuth"] = "west"
    elif damage == "other folder":
        content["root"] = "/elsewhere"
    path.write_text(json.dumps(content))
    if damage in ("cut", "no json"):
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"\xff\x00")
    assert everything(folder) == first and len(read) == 6
    assert everything(folder) == first and len(read) == 6


def test_without_a_place_to_write_everything_is_read_and_nothing_beside_the_data_changes(folder, read, tmp_path):
    (tmp_path / "cache").write_text("a file stands here")
    before = sorted(folder.root.rglob("*"))
    assert everything(folder) == everything(folder)
    assert len(read) == 6 and sorted(folder.root.rglob("*")) == before


def test_a_broken_annotation_is_not_kept(folder, read):
    whole = folder.annotation("a").read_bytes()
    folder.annotation("a").write_bytes(whole[:700])
    facts = os.stat(folder.annotation("a"))
    for _ in range(2):
        with pytest.raises(DataError, match=r"a\.mat"):
            ObjectNet3D(folder.root).samples("couch", "test")
    assert read.count("a") == 2 and read.count("b") == 1 and facts.st_size == 700


def test_small_lists_leave_no_file(folder, read, monkeypatch):
    monkeypatch.setattr(index, "CACHED_FROM", 4)
    everything(folder)
    assert not ObjectNet3D(folder.root).index.cache_file("test").exists()


def test_reading_shows_its_progress(folder, read):
    said = []

    class Tell(Progress):
        def start(self, name, total):
            said.append((name, total))

        def advance(self, steps=1, **values):
            said.append(steps)

        def finish(self):
            said.append("done")

    for _ in range(2):
        dataset = ObjectNet3D(folder.root)
        dataset.progress = Tell()
        dataset.samples("car", "test")
    assert said == [("reading the test annotations of ObjectNet3D once", 3), 1, 1, 1, "done"]
