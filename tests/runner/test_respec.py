"""From a record back to the spec and the command that made it; and drawing samples nobody can foresee."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bench3d.runner as runner
from bench3d.errors import DataError, UsageError, WeightsError
from bench3d.records import Identity, Record, identity_hash
from bench3d.runner import RunSpec, plan_run
from bench3d.runner.again import draw, evaluate_again, missing_fits, parse_share
from bench3d.runner.report import RunState, make_record
from bench3d.runner.respec import NotRepeatable, command_of, first_difference, plan_of, spec_of

TINY = {"categories": "car, chair", "test_images": "6", "pairs": "12", "objects": "1", "seed": "3", "splits": "[plain]"}
LORA = {"iterations": "2", "points": "50", "evaluate_every": "null", "held_out": "0"}
ASKED = {
    "spair71k": {"backbone": "hog", "task": "spair71k", "settings": {"data": TINY, "backbone": {"grid": "8"}}},
    "spair71k, another protocol, one category": {
        "backbone": "noise", "task": "spair71k", "protocol": "common3d", "categories": ("car",), "limit": 4, "seed": 5,
    },
    "pf-pascal, another list": {
        "backbone": "rgb", "task": "pf-pascal", "settings": {"data": {**TINY, "list": "same"}},
    },
    "pf-willow": {"backbone": "hog", "task": "pf-willow", "protocol": "dift"},
    "multiview-equivariance": {
        "backbone": "hog", "task": "multiview-equivariance", "protocol": "grid32",
        "settings": {"data": TINY, "task": {"max_angle": "40", "max_queries": "20"}},
    },
    "a finetuned backbone": {
        "backbone": "dinov2", "weights": "random", "adapter": "smoothap-lora", "task": "multiview-equivariance",
        "settings": {"adapter": LORA, "data": TINY},
    },
    "a shape model with a preset that is not the default": {
        "backbone": "hog", "shape_model": "common3d", "task": "pascal3d-pose", "protocol": "box2d",
        "settings": {"shape": {"preset": "paper", "template_iterations": "2"}, "data": {"max_frames": "3", **TINY}},
    },
    "both papers": {
        "backbone": "dinov2", "weights": "random", "adapter": "smoothap-lora", "shape_model": "common3d",
        "task": "pascal3d-pose", "settings": {"adapter": {"preset": "paper", **LORA}},
    },
    "a layer that is chosen": {"backbone": "timm:vit_tiny_patch16_224", "weights": "random", "task": "spair71k",
                               "layer": "auto"},
    "the other twin": {"backbone": "hog", "task": "spair71k", "settings": {"data": {"twin": "full", "views": "4"}}},
}  # fmt: skip


def asked(tmp_path, **changes):
    return RunSpec(synthetic=True, data=tmp_path / "data", results=tmp_path / "results", device="cpu", **changes)


def record_of(spec):
    """The record of a run that was not made: what spec_of has to go on."""
    return make_record(RunState(plan_run(spec), "cpu", "2026-01-01T00:00:00Z"), "failed", "not made")


def without(record, *names):
    """As an older version would have left it."""
    return record.model_copy(update={"provenance": record.provenance.model_copy(update=dict.fromkeys(names))})


@pytest.mark.parametrize("name", ASKED)
def test_a_record_gives_the_spec_and_a_command_that_make_it_again(name, tmp_path, cli, monkeypatch):
    spec = asked(tmp_path, **ASKED[name])
    record = record_of(spec)
    again = spec_of(record, results=tmp_path / "results", data=spec.data, device="cpu")
    assert plan_run(again).identity == record.identity.hash

    def seen(typed):
        monkeypatch.undo()
        assert plan_run(replace(typed, results=spec.results, data=spec.data)).identity == record.identity.hash
        raise DataError("reached")

    monkeypatch.setattr(runner, "plan_run", seen)
    import shlex

    answer = cli(*shlex.split(command_of(record))[1:])
    assert "reached" in answer.err, answer.err


def test_the_command_says_only_what_differs_from_the_defaults(tmp_path):
    spec = asked(tmp_path, **ASKED["spair71k, another protocol, one category"])
    expected = "bench3d run --backbone noise --task spair71k --protocol common3d --synthetic --category car --limit 4"
    assert command_of(record_of(spec)) == f"{expected} --seed 5"
    shape = asked(tmp_path, **ASKED["a shape model with a preset that is not the default"])
    assert "--adapter common3d" in command_of(record_of(shape)) and "--set shape.preset=paper" in command_of(
        record_of(shape)
    )


WORDS = st.sampled_from(["", "no", "null", "007", "1e3", "~", "a b", "x: y", "'", "=1", "[1]", "#", "é"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=WORDS, number=st.floats(-1e9, 1e9), flag=st.booleans(), sizes=st.lists(st.integers(0, 9), max_size=3))
def test_settings_of_any_kind_come_back_as_they_were(name, number, flag, sizes, odd, cli, monkeypatch):
    given_settings = {"name": yaml.safe_dump(name), "inner.number": number, "inner.flag": flag, "inner.sizes": sizes}
    spec = replace(odd, settings={"backbone": given_settings})
    record = record_of(spec)
    again = spec_of(record, results=spec.results, data=spec.data, device="cpu")
    assert plan_run(again).identity == record.identity.hash
    from bench3d.plugins import parse_set
    from bench3d.runner.respec_files import typed

    command = Record.model_validate(
        record.model_copy(
            update={"provenance": record.provenance.model_copy(update={"command": command_of(record)})}
        ).as_json()
    )
    from_line = replace(spec, settings=parse_set(typed(command, "--set")))
    assert plan_run(from_line).identity == record.identity.hash


@pytest.fixture
def odd(install, tmp_path):
    """A backbone with nested settings of every kind, on the twin of spair71k."""
    install("odd", ODD)
    return asked(tmp_path, backbone="odd-net", task="spair71k")


ODD = """
from pydantic import BaseModel, ConfigDict
from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: float = 0.5
    flag: bool = False
    sizes: list[int] = [1, 2]

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = "plain"
    inner: Inner = Inner()

@hookimpl
def bench3d_register():
    me = "odd_plugin"
    return [BackboneRegistration(name="odd-net", summary="", factory=f"{me}:create", settings=f"{me}:Settings")]
"""


def test_the_twin_of_an_older_record_is_found_by_its_fingerprints(tmp_path):
    spec = asked(tmp_path, **ASKED["spair71k"])
    old = without(record_of(spec), "twin")
    with pytest.raises(NotRepeatable, match=r"dataset\.fingerprints\.car is .* in the record and is .* here"):
        spec_of(old, results=spec.results, data=spec.data)
    typed = "bench3d run --backbone hog --task spair71k --synthetic " + " ".join(
        f"--set 'data.{k}={v}'" for k, v in TINY.items()
    )
    told = old.model_copy(update={"provenance": old.provenance.model_copy(update={"command": typed})})
    assert plan_of(told, results=spec.results, data=spec.data).identity == old.identity.hash
    mark = tmp_path / "data" / "synthetic" / "mine" / "SPair-71k" / "twin.json"
    mark.parent.mkdir(parents=True)
    twin = record_of(spec).provenance.twin
    mark.write_text(json.dumps({"schema": "bench3d.twin/1", "generator": "1", "spec": twin}))
    assert plan_of(old, results=spec.results, data=spec.data).identity == old.identity.hash


def changed(record, **changes):
    measurement = json.loads(json.dumps(record.identity.measurement))
    for path, value in changes.items():
        *parents, last = path.split("__")
        level = measurement
        for parent in parents:
            level = level[parent]
        level[last] = value
    return record.model_copy(update={"identity": Identity(measurement=measurement, hash=identity_hash(measurement))})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone__name": "hogg"}, r"no backbone named hogg"),
        ({"task__name": "spair72k"}, r"no task named spair72k"),
        ({"backbone__result_version": 99}, r"backbone\.result_version is 99 in the record and is \d+ here"),
        ({"task__result_version": 99}, r"task\.result_version is 99 .*"),
        ({"protocol": {"name": "sd-dino", "version": 7}}, r"protocol\.version is 7 in the record and is 1 here"),
        ({"backbone__settings__sparkle": 3}, r"no setting backbone\.sparkle"),
        ({"dataset__fingerprints__car": "0" * 64}, r"dataset\.fingerprints\.car is 000000000000… in the record"),
        ({"backbone": {"settings": {}}}, r"identity\.measurement\.backbone has no name"),
    ],
)
def test_what_cannot_be_made_again_says_what_differs_first(changes, words, tmp_path):
    spec = asked(tmp_path, **ASKED["spair71k"])
    with pytest.raises(DataError, match=words):
        spec_of(changed(record_of(spec), **changes), results=spec.results, data=spec.data)


def test_a_command_never_fails_also_where_a_plugin_is_missing(tmp_path):
    record = record_of(asked(tmp_path, **ASKED["spair71k"]))
    missing = changed(record, backbone__name="gone; rm -rf ~", backbone__settings__grid=8)
    assert "--backbone 'gone; rm -rf ~'" in command_of(missing) and "backbone.grid=8" in command_of(missing)
    assert command_of(changed(record, backbone=None)) == ""


def test_weights_and_checkpoints_are_found_by_their_content(tmp_path):
    weights, checkpoint = tmp_path / "w.pth", tmp_path / "fits" / "lora"
    weights.write_bytes(b"weights")
    checkpoint.mkdir(parents=True)
    (checkpoint / "artifact.json").write_text("{}")
    spec = asked(
        tmp_path, backbone="dinov2", weights=str(weights), adapter=f"smoothap-lora:{checkpoint}", task="spair71k"
    )
    record = record_of(spec)
    assert "--weights WEIGHTS" in command_of(record) and "smoothap-lora:CHECKPOINT" in command_of(record)
    where = {"results": spec.results, "data": spec.data, "device": "cpu"}
    with pytest.raises(WeightsError, match="Give it with --checkpoint PATH"):
        spec_of(record, **where, weights=weights)
    with pytest.raises(WeightsError, match="Give it with --weights FILE"):
        spec_of(record, **where, checkpoint=str(checkpoint))
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(WeightsError, match="holds other weights"):
        spec_of(record, **where, checkpoint=str(checkpoint), weights=tmp_path / "other")
    found = spec_of(record, **where, checkpoint=str(checkpoint), weights=weights)
    assert (found.weights, found.adapter) == (str(weights), f"smoothap-lora:{checkpoint}")
    fit = spec.results / "fits" / "smoothap-lora" / "dinov2" / "all-0123"
    fit.mkdir(parents=True)
    (fit / "artifact.json").write_text("{}")
    assert spec_of(record, **where, weights=weights).adapter == f"smoothap-lora:{fit}"


def test_the_first_difference_names_field_and_values():
    assert first_difference({"a": {"b": 1.0}}, {"a": {"b": 1}}) is None
    assert first_difference({"a": {"b": 1}, "c": 2}, {"a": {"b": 2}, "c": 3}) == ("a.b", 1, 2)
    field, here, there = first_difference({"a": 1}, {})
    assert (field, here) == ("a", 1) and there is not None


def test_a_part_of_a_run_is_computed_again_and_nothing_in_the_results_changes(spec, go, told, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _, record = go(spec)
    before = {p: p.stat().st_mtime_ns for p in spec.results.rglob("*")}
    plan = plan_of(record, results=spec.results, data=spec.data, device="cpu")
    again = evaluate_again(plan, record, {"car": ["car-2", "car-0", "car-9"], "chair": []}, told)
    assert [(v["id"], v["error"]) for v in again.values] == [("car-0", 5.0), ("car-2", 40.0)]
    assert again.ids == {"car": [f"car-{n}" for n in range(4)], "chair": ["chair-0", "chair-1"]}
    assert again.refitted == () and missing_fits(plan) == ()
    assert {p: p.stat().st_mtime_ns for p in spec.results.rglob("*")} == before


def test_a_fit_that_is_missing_is_made_elsewhere_and_told(spec, go, fakes, told, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _, record = go(spec)
    fakes.FAULTS["digest"] = "other hardware"
    empty = tmp_path / "empty"
    plan = plan_of(record, results=empty, data=spec.data, device="cpu")
    assert len(missing_fits(plan)) == 2
    again = evaluate_again(plan, record, {"car": ["car-0"]}, told)
    assert again.refitted == ("fake-shape of car", "fake-shape of chair")
    assert not empty.exists() and missing_fits(plan) == ()  # it is kept for the next time


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("100%", 1.0), ("all", 1.0), ("20", 20), (" 0.5% ", 0.005)])
def test_a_sample_is_a_share_or_a_number(text, share):
    assert parse_share(text) == share and type(parse_share(text)) is type(share)


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-3", "many", "", "nan%", "1.5"])
def test_what_is_no_sample_is_a_sentence(text):
    with pytest.raises(UsageError, match="Give 5%, a number such as 20, or all"):
        parse_share(text)


def test_every_category_is_drawn_from_and_the_draw_hangs_on_every_secret():
    ids = {"car": [f"c{n}" for n in range(400)], "chair": [f"h{n}" for n in range(40)], "tv": ["t0"]}
    drawn = draw(ids, 0.05, 1, "identity", "samples")
    assert {c: len(d) for c, d in drawn.items()} == {"car": 20, "chair": 2, "tv": 1}
    assert drawn == draw(ids, 0.05, 1, "identity", "samples")
    others = [(2, "identity", "samples"), (1, "identitx", "samples"), (1, "identity", "sample")]
    assert all(draw(ids, 0.05, *other)["car"] != drawn["car"] for other in others)
    assert draw(ids, 1.0, 1) == ids and draw(ids, 10_000, 1) == ids
    assert sum(map(len, draw(ids, 44, 1).values())) == 45  # one more: tv has to have one
    hits = sum("c7" in draw(ids, 0.05, seed)["car"] for seed in range(2000))
    assert 60 <= hits <= 140  # of 2000 draws one in twenty, within four standard deviations


def test_paths_stay_out_of_what_a_record_says_of_its_data(tmp_path):
    spec = asked(
        tmp_path, backbone="hog", shape_model="common3d", task="pascal3d-pose",
        settings={"data": {"alignment": str(tmp_path / "alignment.json"), "max_frames": "3"}},
    )  # fmt: skip
    settings = record_of(spec).provenance.data_settings
    assert settings["co3d"]["alignment"] == "alignment.json" and settings["co3d"]["max_frames"] == 3
    assert str(Path.home()) not in json.dumps(settings)
