"""Estimates: earlier records first, then what plugins say; the nearest earlier work counts most."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench3d.files import write_json
from bench3d.grid.estimate import START_SECONDS, Estimates, plugin_estimate
from bench3d.records import Cost, Identity, Provenance, Record, RunIndex, identity_hash
from bench3d.runner import RunSpec, plan_run


@pytest.fixture
def spec(tmp_path):
    return RunSpec(
        backbone="hog", task="spair71k", synthetic=True, data=tmp_path / "data", results=tmp_path / "results"
    )


def record(plan, seconds, samples, status="finished", **cost):
    measurement = dict(plan.measurement)
    return Record(
        label="x",
        identity=Identity(measurement=measurement, hash=identity_hash(measurement)),
        status=status,
        cost=Cost(evaluate_seconds=seconds, **cost),
        provenance=Provenance(bench3d="0", python="3", seed=0, time="2000-01-01T00:00:00Z"),
        samples=samples,
    )


def test_the_same_settings_go_before_the_same_names(spec):
    other_settings = replace(spec, settings={"backbone": {"colour": "true"}})
    earlier = [
        record(plan_run(replace(spec, seed=1)), 60.0, 600, peak_memory_bytes=10**9),
        record(plan_run(replace(spec, seed=2)), 30.0, 100),
        record(plan_run(replace(spec, seed=3)), 90.0, 100),
        record(plan_run(replace(spec, seed=4)), 9000.0, 100, status="failed"),
        record(plan_run(other_settings), 400.0, 100),
    ]
    estimates = Estimates(earlier, spec.results)
    found = estimates.run(plan_run(replace(spec, limit=10)))
    assert found.seconds == pytest.approx(START_SECONDS + 30 * 0.3)  # the median of 0.1, 0.3 and 0.9
    assert found.measured and found.memory_bytes == 10**9
    wider = estimates.run(plan_run(replace(spec, limit=10, settings={"backbone": {"colour": "true", "grid": "9"}})))
    assert wider.seconds == pytest.approx(START_SECONDS + 30 * 0.6) and wider.measured  # of all four of hog


def test_another_backbone_is_a_hint_and_no_measurement(spec):
    estimates = Estimates([record(plan_run(spec), 90.0, 900)], spec.results)
    plan = plan_run(replace(spec, backbone="dinov2-g"))
    guess, found = plugin_estimate(plan), estimates.run(plan)
    assert not found.measured and found.seconds == guess.seconds > START_SECONDS + 90
    floor = plan_run(replace(spec, backbone="rgb"))
    assert estimates.run(floor).seconds == START_SECONDS + 90 > plugin_estimate(floor).seconds


def test_records_of_another_device_do_not_count_where_one_is_asked_for(spec):
    estimates = Estimates([record(plan_run(spec), 90.0, 900, peak_device_bytes=1)], spec.results)
    assert not estimates.run(plan_run(replace(spec, device="cpu"))).measured
    assert estimates.run(plan_run(replace(spec, device="cuda"))).measured


def test_samples_come_from_limit_records_and_task_in_this_order(spec):
    plan = plan_run(spec)
    assert Estimates([], spec.results).samples(plan) == 3 * 300  # the twin's pairs of three categories
    known = Estimates([record(plan, 9.0, 870)], spec.results)  # what the twin really gave
    assert known.samples(plan_run(replace(spec, seed=5))) == 870
    assert known.samples(plan_run(replace(spec, limit=20))) == 60
    assert known.samples(plan_run(replace(spec, limit=500))) == 870


def test_a_limit_and_a_smaller_network_cost_less(spec):
    pose = replace(spec, backbone="dinov2-b", task="pascal3d-pose", shape_model="common3d")
    for base in (
        replace(spec, backbone="dinov2-b"),
        replace(spec, backbone="dinov2-b", task="multiview-equivariance"),
        pose,
    ):
        full, some = plugin_estimate(plan_run(base)), plugin_estimate(plan_run(replace(base, limit=2)))
        small = plugin_estimate(plan_run(replace(base, backbone="dinov2-s")))
        gpu = plugin_estimate(plan_run(replace(base, device="cuda")))
        assert full.seconds > some.seconds > START_SECONDS and full.disk_bytes > some.disk_bytes
        assert full.seconds > small.seconds and full.memory_bytes > small.memory_bytes
        assert gpu.seconds < replace(full, measured=False).seconds


def test_real_data_of_unknown_size_have_no_estimate(spec, tmp_path):
    folder = tmp_path / "views"
    (folder / "images").mkdir(parents=True)
    plan = plan_run(replace(spec, task="multiview-equivariance", synthetic=False, data=folder))
    assert Estimates([], spec.results).run(plan).seconds is None


def note(plan, job, seconds, recipe=None):
    write_json(job.folder / "fit.json", {"recipe": job.recipe, "inputs": job.inputs, "seconds": seconds})
    write_json(job.folder / "artifact.json", {"recipe": recipe or job.recipe})


def test_fits_are_known_by_their_settings_and_backbone(spec):
    base = replace(spec, task="pascal3d-pose", shape_model="common3d")
    plan = plan_run(replace(base, seed=1))
    guess = Estimates([], spec.results).fit(plan, plan.jobs[0])
    assert not guess.measured and 60 < guess.seconds < 600  # quick: about 100 s of two cores
    for job, seconds in zip(plan.jobs, (80.0, 100.0, 1000.0), strict=True):
        note(plan, job, seconds)
    broken = plan.jobs[0].folder.with_name("broken") / "fit.json"
    write_json(broken, {"inputs": 3})
    write_json(broken.with_name("artifact.json"), {})
    begun = plan_run(replace(base, seed=2)).jobs[0]
    write_json(begun.folder / "fit.json", {"inputs": begun.inputs, "seconds": 1.0})  # no artifact: not whole
    estimates = Estimates([], spec.results)
    same = plan_run(replace(base, seed=7))
    assert estimates.fit(same, same.jobs[2]).seconds == START_SECONDS + 100
    assert estimates.fit(same, same.jobs[2]).measured
    other = plan_run(replace(base, backbone="dinov2"))
    assert not estimates.fit(other, other.jobs[0]).measured
    assert estimates.fit(other, other.jobs[0]).seconds > START_SECONDS + 100
    changed = plan_run(replace(base, settings={"shape": {"appearance_iterations": "8000"}}))
    assert estimates.fit(changed, changed.jobs[0]).seconds > 3 * guess.seconds


def test_what_a_fit_leaves_out_costs_nothing(spec):
    """Beside a step of the preset quick: 250 ms, 71 without an adapter, 279 with the sparse loss, 200 of UOP3D."""

    def seconds(shape_model, **settings):
        plan = plan_run(replace(spec, task="pascal3d-pose", shape_model=shape_model, settings={"shape": settings}))
        return Estimates([], spec.results).fit(plan, plan.jobs[0]).seconds

    step = {
        name: (seconds(model, **{key: 1800, **rest}) - seconds(model, **{key: 800, **rest})) / 1000
        for name, model, key, rest in (
            ("full", "common3d", "appearance_iterations", {}),
            ("no adapter", "common3d", "appearance_iterations", {"adapter": False, "raw_channels": 16}),
            ("sparse", "common3d", "appearance_iterations", {"appearance_loss": "sparse"}),
            ("uop3d", "uop3d", "iterations", {}),
        )
    }
    measured = {"full": 0.250, "no adapter": 0.071, "sparse": 0.279, "uop3d": 0.200}
    assert step == pytest.approx(measured, rel=0.05)


def test_an_index_teaches_what_its_records_do_and_passes_over_others(spec):
    earlier = record(plan_run(spec), 90.0, 900, peak_memory_bytes=5)
    strange = earlier.model_copy(
        update={"identity": Identity(measurement={"task": 1}, hash=identity_hash({"task": 1}))}
    )
    for number, one in enumerate((earlier, strange)):
        write_json(spec.results / "runs" / "t" / f"x-{number:012}" / "record.json", one.as_json())
    (Path(spec.results) / "runs" / "t" / "x-ffffffffffff").mkdir()
    plan = plan_run(replace(spec, seed=9))
    by_index = Estimates(RunIndex(spec.results), spec.results).run(plan)
    assert by_index == Estimates([earlier], spec.results).run(plan)
    assert by_index.measured and by_index.memory_bytes == 5
