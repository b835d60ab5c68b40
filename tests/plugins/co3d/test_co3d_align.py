"""Aligning CO3D: a twin's sequences come together, broken ones are named, tables are read back, imports too."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from co3d_folder import Folder
from PIL import Image

from bench3d.contracts import NullProgress
from bench3d.contracts.data import TwinSpec
from bench3d.data.twin import ensure_twin
from bench3d.errors import DataError, UsageError
from bench3d.geometry.rotations import geodesic_angle
from bench3d.geometry.similarity import split_similarity
from bench3d.morphable import alignment
from bench3d.plugins import load_registry
from bench3d.runner.align_import import import_published
from bench3d.runner.aligning import AlignSpec, align
from bench3d_plugins.co3d.align import CO3DAligner
from bench3d_plugins.co3d.dataset import CO3D
from bench3d_plugins.co3d.published import read_published
from bench3d_plugins.co3d.references import SEQUENCES, references
from bench3d_plugins.co3d.settings import CO3DSettings

QUICK = {"most_points": "1500", "hypotheses": "500", "refine_best": "10"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A data root with a CO3D twin: three cars in frames of their own."""
    root = tmp_path_factory.mktemp("twin")
    spec = TwinSpec(categories=("car",), seed=2, train_instances=3, views=8, image_size=128)
    return ensure_twin(root, spec, [load_registry().get("dataset", "co3d")], NullProgress())


@pytest.fixture(scope="module")
def done(twin):
    """The twin's cars aligned to one of them."""
    spec = AlignSpec(dataset="co3d", backbone="hog", data=twin, out=twin / "out" / "a.json", settings={"align": QUICK})
    return spec, align(spec, NullProgress())


def test_cars_in_frames_of_their_own_come_together(done):
    spec, found = done
    (car,) = found["categories"]
    assert car["aligned"] == 3 and car["skipped"] == {} and car["within_30_degrees"] == 1.0
    truth = json.loads((spec.data / "co3d" / "alignment.json").read_text())["car"]
    table = json.loads(spec.out.read_text())["car"]
    assert table[car["reference"]] == np.eye(4).tolist()
    for name, matrix in table.items():
        turn, own, reference = (
            split_similarity(np.array(m))[1] for m in (matrix, truth[name], truth[car["reference"]])
        )
        assert np.rad2deg(geodesic_angle(turn, reference.T @ own)) < 10
        scales = [split_similarity(np.array(m))[0] for m in (matrix, truth[name], truth[car["reference"]])]
        assert scales[0] == pytest.approx(scales[1] / scales[2], rel=0.1)
    assert Image.open(car["picture"]).size[0] > 300
    report = json.loads((spec.out.parent / "a.report.json").read_text())
    assert report["settings"]["align"]["hypotheses"] == 500 and report["categories"][0]["sequences"][1]["seconds"]


def test_the_truth_is_not_looked_at_and_a_seed_gives_the_same_bytes(done, twin, tmp_path):
    spec, _ = done
    copy = tmp_path / "twin"
    shutil.copytree(twin, copy, ignore=shutil.ignore_patterns("out"))
    path = copy / "co3d" / "alignment.json"
    names = list(json.loads(path.read_text())["car"])
    path.write_text(json.dumps({"car": {name: np.diag([1.0, -1, -1, 1]).tolist() for name in names}}))
    found = align(dataclasses.replace(spec, data=copy, out=tmp_path / "b.json"), NullProgress())
    assert (tmp_path / "b.json").read_bytes() == spec.out.read_bytes()
    assert found["categories"][0]["within_30_degrees"] < 1.0  # the report does look


def test_what_is_done_is_not_done_again(done, monkeypatch):
    spec, _ = done
    before = spec.out.read_bytes()
    pairs = sorted(spec.out.with_suffix(".work").rglob("to-*/*.json"))
    assert len(pairs) == 2
    pairs[0].unlink()
    jobs = []

    def watched(function, missing, workers):
        jobs.extend((function.__name__, job.name) for job in missing)
        return ((job, function(job)) for job in missing)

    monkeypatch.setattr(alignment, "job_results", watched)
    monkeypatch.setattr(alignment, "appearance", lambda *_: pytest.fail("features are there"))
    align(spec, NullProgress())
    assert jobs == [("make_pair", pairs[0].stem)] and spec.out.read_bytes() == before
    jobs.clear()
    other = {"align": {**QUICK, "hypotheses": "200"}}  # other similarities of the same features
    align(dataclasses.replace(spec, settings=other, out=spec.out), NullProgress())
    assert [name for name, _ in jobs] == ["make_pair"] * 2
    align(spec, NullProgress())
    assert spec.out.read_bytes() == before


def test_a_label_turns_the_table_and_training_data_read_it(done, twin, tmp_path):
    spec, found = done
    reference = found["categories"][0]["reference"]
    assert found["unlabelled"] == {"car": [reference]}
    truth = np.array(json.loads((twin / "co3d" / "alignment.json").read_text())["car"][reference])
    axes = split_similarity(truth)[1]
    names = ("left", "right"), ("back", "front"), ("top", "bottom")
    clicks = {name: (sign * axes[i]).tolist() for i in range(3) for name, sign in zip(names[i], (1, -1), strict=True)}
    (tmp_path / "labels.json").write_text(json.dumps({"car": {reference: clicks}}))
    labelled = align(dataclasses.replace(spec, labels=tmp_path / "labels.json"), NullProgress())
    assert labelled["unlabelled"] == {} and labelled["categories"][0]["labelled"]
    source = CO3D(twin / "co3d", CO3DSettings(alignment=spec.out, cache=False))
    exact = CO3D(twin / "co3d", CO3DSettings(cache=False))
    for ours, theirs in zip(source.sequences("car"), exact.sequences("car"), strict=True):
        for one, two in zip(ours.frames, theirs.frames, strict=True):
            assert np.rad2deg(geodesic_angle(one.cam_T_obj[:3, :3], two.cam_T_obj[:3, :3])) < 10
    align(spec, NullProgress())
    with pytest.raises(DataError, match=r"l\.yaml"):
        align(dataclasses.replace(spec, labels=tmp_path / "l.yaml"), NullProgress())


def test_several_references_make_a_table_of_tables(done, twin, tmp_path):
    spec, _ = done
    names = [s.name for s in CO3DAligner(twin / "co3d").raw_sequences("car")[0]]
    asked = dataclasses.replace(spec, references=tuple(names[:2]))
    table = json.loads(align_into(asked, tmp_path / "c.json", spec.out).read_text())
    assert list(table) == ["r0", "r1"] and table["r1"]["car"][names[1]] == np.eye(4).tolist()
    source = CO3D(twin / "co3d", CO3DSettings(alignment=tmp_path / "c.json", reference="r1", cache=False))
    assert len(source.sequences("car")) == 3
    with pytest.raises(UsageError, match="no sequence 9_9_9"):
        align(dataclasses.replace(spec, references=("9_9_9",)), NullProgress())
    with pytest.raises(UsageError, match="No published reference"):
        align(dataclasses.replace(spec, references=("all",)), NullProgress())


def align_into(spec, out, done):
    """Aligns into another table with the work of one that is done."""
    shutil.copytree(done.with_suffix(".work"), out.with_suffix(".work"))
    align(dataclasses.replace(spec, out=out), NullProgress())
    return out


def test_broken_sequences_are_left_out_with_a_reason(twin, tmp_path):
    copy = tmp_path / "twin"
    shutil.copytree(twin, copy, ignore=shutil.ignore_patterns("out"))
    names = sorted(p.name for p in (copy / "co3d" / "car").iterdir() if p.is_dir() and p.name[0].isdigit())
    for mask in (copy / "co3d" / "car" / names[1] / "masks").iterdir():
        Image.fromarray(np.zeros((128, 128), np.uint8)).save(mask)
    (copy / "co3d" / "car" / names[2] / "pointcloud.ply").write_bytes(b"ply\nformat ascii 1.0\n")
    spec = AlignSpec(dataset="co3d", backbone="hog", data=copy, out=tmp_path / "d.json", settings={"align": QUICK})
    (car,) = align(spec, NullProgress())["categories"]
    assert car["aligned"] == 1 and car["reference"] == names[0]
    assert car["skipped"] == {"empty masks": 1, "broken files": 1} and set(car["left_out"]) == set(names[1:])
    with pytest.raises(DataError, match="cannot be used"):
        align(dataclasses.replace(spec, references=(names[1],)), NullProgress())


def test_a_camera_that_is_none_leaves_out_its_sequence_only(co3d: Folder):
    co3d.frames[0]["viewpoint"]["T"][0] = float("nan")
    co3d.save()
    sequences, left_out = CO3DAligner(co3d.root).raw_sequences("bus")
    assert [s.name for s in sequences] == ["4_5_6"] and sum(left_out.values()) == 1
    assert sequences[0].frames[0].cam_T_obj[:3, 3] == pytest.approx([10.0, 0.0, 20.0])  # as published, in OpenCV's axes


def test_a_table_that_is_none_is_not_overwritten(done, tmp_path):
    spec, _ = done
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(DataError, match="no alignment table"):
        align(dataclasses.replace(spec, out=tmp_path / "x.json"), NullProgress())
    with pytest.raises(UsageError, match="no sequences to align"):
        align(dataclasses.replace(spec, dataset="pascal3d"), NullProgress())
    with pytest.raises(UsageError, match="max_frames"):
        align(dataclasses.replace(spec, settings={"align": {"max_frame": "3"}}), NullProgress())


def published_folder(root, rotation: np.ndarray):
    """A clone with one alignment and two labels, one of them as clicked points only."""
    base = root / "data" / "co3d"
    similarity = torch.eye(4)
    similarity[:3, :3] = torch.from_numpy(rotation) * 0.5
    for variant in ("aligned_N_alpha500_dinov2s", "aligned_other"):
        place = base / variant / "r0" / "meta_mask" / "meta" / "toybus" / "1_2_3"
        place.mkdir(parents=True)
        torch.save(similarity if variant.endswith("s") else torch.eye(4), place / "tform_obj.pt")
    for name in ("1_2_3", "4_5_6"):
        (base / "label3d" / "meta_mask" / "meta" / "toybus" / name).mkdir(parents=True)
    turned = torch.eye(4)
    turned[:3, :3] = torch.from_numpy(rotation)
    torch.save(turned, base / "label3d" / "meta_mask" / "meta" / "toybus" / "1_2_3" / "tform_obj.pt")
    points = torch.from_numpy(np.stack([rotation, -rotation], axis=1)).float()
    torch.save(points, base / "label3d" / "meta_mask" / "meta" / "toybus" / "4_5_6" / "axis.pt")
    return base


def test_a_published_alignment_is_imported_and_read(co3d: Folder, tmp_path):
    rotation = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    base = published_folder(tmp_path / "clone", rotation)
    broken = base / "aligned_N_alpha500_dinov2s" / "r0" / "meta_mask" / "meta" / "toybus" / "4_5_6"
    broken.mkdir()
    (broken / "tform_obj.pt").write_bytes(b"no tensor")
    found = import_published("co3d", tmp_path / "clone", None, tmp_path / "p.json", tmp_path)
    assert found["alignments"] == 1 and found["labelled"] == 2 and found["variant"] == "aligned_N_alpha500_dinov2s"
    assert list(found["skipped"]) == [str(broken / "tform_obj.pt")]
    labels = json.loads((tmp_path / "p.labels.json").read_text())["bus"]
    assert np.array(labels["1_2_3"]) == pytest.approx(rotation) and np.array(labels["4_5_6"]) == pytest.approx(rotation)
    source = CO3D(co3d.root, CO3DSettings(alignment=tmp_path / "p.json", reference="r0", cache=False))
    assert [s.name for s in source.sequences("bus")] == ["1_2_3"]
    assert read_published(base, "aligned_other").tables["r0"]["bus"]["1_2_3"] == pytest.approx(np.eye(4))
    assert read_published(base / "aligned_other").variant == "aligned_other"
    with pytest.raises(DataError, match="no alignment aligned_none"):
        read_published(base, "aligned_none")
    with pytest.raises(DataError, match="no published alignment"):
        read_published(tmp_path)


def test_published_references_are_five_of_each_category():
    assert len(SEQUENCES) == 20 and all(len(set(text.split())) == 5 for text in SEQUENCES.values())
    assert references("bus") == references("toybus") and references("bus")["r0"] == "199_21374_39988"
    assert references("hydrant") == {}
