"""A record computed again: what is confirmed, what differs, what cannot be verified; and the badge that is left."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verifiable import copy_of, make_run, rewrite, verified

from bench3d.contracts import MetricSpec
from bench3d.errors import DataError
from bench3d.files import write_json
from bench3d.leaderboard.badges import VERIFICATION, badge_of, read_verification, write_verification
from bench3d.leaderboard.verify import Verified, _sample_level
from bench3d.leaderboard.verify_samples import INCOMPARABLE, compare_samples
from bench3d.leaderboard.verify_scores import ScorePair, refit_disagrees
from bench3d.records import read_record


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("verified")


@pytest.fixture(scope="module")
def run(root):
    return make_run(root)


@pytest.fixture
def copy(run, tmp_path):
    return copy_of(run, tmp_path / "copy")


@pytest.fixture(scope="module")
def verification(run, root):
    return verified(run, root, share=2).verification


def test_an_honest_record_is_confirmed_and_a_full_one_is_a_re_run(run, root):
    found = verified(run, root)
    assert (found.verdict, found.samples, found.of) == ("confirmed", 24, 24)
    assert found.agreement.beyond == 0 and found.agreement.values > 24
    assert found.verification.kind == "re-run" and found.verification.agreeing == 1.0
    part = verified(run, root, share=0.1, seed=7)
    assert (part.verdict, part.samples) == ("confirmed", 2) and part.verification.kind == "sample-verified"
    assert part.verification.seed == 7 and verified(run, root, share=0.1).seed != verified(run, root, share=0.1).seed


def better(count):
    def change(values):
        for value in values[:count]:
            value["parts"]["relative"][0] = 0.001 * (1 + value["parts"]["relative"][0])

    return change


def test_samples_made_better_are_named_although_every_digest_and_score_fits(copy, root):
    rewrite(copy, better(4))
    found = verified(copy, root)
    record = read_record(copy / "record.json")
    names = [json.loads(line)["id"] for line in (copy / "samples.jsonl").read_text().splitlines()][:4]
    assert found.verdict == "differs" and found.verification is None and found.of == record.samples
    assert {d.id for d in found.agreement.deviations} == set(names)
    assert all(d.favours == 1 and d.then < d.now for d in found.agreement.deviations)
    assert "values lie beyond tolerance" in found.reason


def drop(values):
    del values[3:6]


def describe(values):
    values[0]["cluster"] = "another"


def easier_chance(values):
    values[0]["parts"]["chance@0.1"][0] /= 2


def no_numbers(values):
    values[0]["parts"]["relative"] = ["0.1"] * 3 + [{}]


def rename(values):
    values[0]["id"] = "made:up\x1b[31m"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, r"The record leaves out 3 of 12 samples of car, such as "),
        (describe, r"Samples are described otherwise than here: .*: another cluster"),
        (easier_chance, r": another chance@0\.1"),
        (rename, r"The record leaves out 1 of 12 samples of car"),
    ],
)
def test_what_else_a_cheat_may_change_differs(change, words, copy, root):
    rewrite(copy, change)
    found = verified(copy, root)
    assert found.verdict == "differs"
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found.reason)
    assert "\x1b" not in found.reason


def test_malformed_values_and_scores_that_are_not_those_of_the_samples_differ(copy, run, root, tmp_path):
    rewrite(copy, no_numbers, scores=False)
    assert verified(copy, root).verdict == "differs"
    other = copy_of(run, tmp_path / "edited")
    record = read_record(other / "record.json")
    scores = [s.model_copy(update={"value": s.value + 5}) for s in record.scores]
    write_json(other / "record.json", record.model_copy(update={"scores": scores}).as_json())
    found = verified(other, root, share=2)
    assert found.verdict == "differs" and "its own samples give" in found.reason


def test_other_data_a_missing_plugin_and_a_swapped_sidecar_cannot_be_verified(copy, root):
    found = verified(copy, root, settings={"data": {"seed": "1"}})
    assert found.verdict == "cannot be verified" and found.error.exit_code == 3
    assert found.reason.startswith("The run cannot be made again here: dataset.fingerprints.")
    lines = (copy / "samples.jsonl").read_text().splitlines(keepends=True)
    (copy / "samples.jsonl").write_text("".join(reversed(lines)))
    assert "not the file that the record names" in verified(copy, root).reason
    (copy / "samples.jsonl").unlink()
    assert "has no samples.jsonl" in verified(copy, root).reason


def test_a_badge_is_bound_to_the_samples_it_was_earned_with(copy, verification):
    record = read_record(copy / "record.json")
    assert badge_of(copy, record) == ("self-reported", "")
    write_verification(copy, verification)
    badge, reason = badge_of(copy, record)
    assert badge == "sample-verified" and reason.startswith("2 of 24 samples computed again on 20")
    packed = (copy / "samples.jsonl").read_bytes()
    (copy / "samples.jsonl").unlink()
    (copy / "samples.jsonl.gz").write_bytes(gzip.compress(packed))
    assert badge_of(copy, record)[0] == "sample-verified"  # packing keeps the content
    (copy / "samples.jsonl.gz").write_bytes(gzip.compress(packed)[:-9])
    assert badge_of(copy, record) == ("self-reported", "the samples are missing or broken")
    (copy / "samples.jsonl.gz").unlink()
    (copy / "samples.jsonl").write_bytes(packed)
    rewrite(copy, better(1))
    swapped = read_record(copy / "record.json")
    assert badge_of(copy, swapped) == ("self-reported", "the record names other samples than the verification")
    assert badge_of(copy, record) == ("self-reported", "the samples are not those that were verified")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("identity", "0" * 64, "of another identity"),
        ("of", 25, "of 25 samples and the record has 24"),
        ("date", (datetime.now(timezone.utc) + timedelta(days=2)).isoformat(), "from the future"),
        ("date", "2026-01-01T00:00:00", "no time zone"),
        ("date", 1e400, "no JSON|date"),
        ("kind", "gold", "field kind"),
        ("kind", "re-run", "a re-run of 2 samples of 24"),
        ("agreeing", 1.5, "field agreeing"),
        ("samples", 0, "field samples"),
        ("device", "x\x1b[31m", "field device"),
        ("more", 1, "field more"),
        ("schema", "bench3d.verification/9", "field schema"),
    ],
)
def test_a_verification_that_does_not_hold_gives_no_badge_and_says_why(field, value, words, copy, verification):
    write_verification(copy, verification)
    record = read_record(copy / "record.json")
    assert badge_of(copy, record)[0] == "sample-verified"
    content = json.loads((copy / VERIFICATION).read_text())
    (copy / VERIFICATION).write_text(json.dumps({**content, field: value}))
    badge, reason = badge_of(copy, record)
    assert badge == "self-reported"
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(reason)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b" " * 100_000])
def test_garbage_in_place_of_a_verification_never_raises(content, copy):
    (copy / VERIFICATION).write_bytes(content)
    badge, reason = badge_of(copy, read_record(copy / "record.json"))
    assert badge == "self-reported" and VERIFICATION in reason
    with pytest.raises(DataError):
        read_verification(copy / VERIFICATION)


def spec(name="m", value="e", reduce="mean", **changes):
    return MetricSpec(name=name, value=value, reduce=reduce, unit="", higher_is_better=False, **changes)


def sample(**values):
    return {"id": "a", "category": "c", "cluster": "a", **values}


def compared(metric, then, now):
    name = ("c", "a")
    return compare_samples([metric], {name: sample(**then)}, {name: sample(**now)})


def test_values_agree_within_the_tolerance_and_to_a_millionth_without_one():
    metric = spec(tolerance=0.5)
    assert compared(metric, {"e": 1.0}, {"e": 1.5}).beyond == 0
    far = compared(metric, {"e": 1.0}, {"e": 2.0})
    assert (far.beyond, far.largest, far.deviations[0].favours) == (1, 2.0, 1)  # smaller is better in the record
    assert compared(spec(), {"e": 1e6}, {"e": 1e6 + 0.9}).beyond == 0
    assert compared(spec(), {"e": 1e6}, {"e": 1e6 + 1.1}).beyond == 1
    assert compared(spec(), {"e": 0.0}, {"e": 0.0}).largest == 0.0
    strict = compare_samples(
        [spec(tolerance=9.0), spec(name="n", tolerance=0.1)], {("c", "a"): sample(e=0)}, {("c", "a"): sample(e=1)}
    )
    assert strict.beyond == 1  # the strictest of two that read the same value


def test_parts_are_compared_one_by_one_and_a_value_that_is_missing_differs():
    metric = spec(tolerance=0.5)
    found = compared(metric, {"parts": {"e": [1, None, 3, 4]}}, {"parts": {"e": [1, None, None, 9]}})
    assert (found.values, found.beyond, found.largest) == (3, 2, INCOMPARABLE)
    assert compared(metric, {"parts": {"e": [1, 2]}}, {"parts": {"e": [1]}}).beyond == 2
    assert compared(metric, {"parts": {"e": ["x"]}}, {"parts": {"e": [1]}}).beyond == 1
    assert compared(metric, {}, {"e": 1.0}).beyond == 1
    fraction = compared(replace(metric, reduce="fraction_below", higher_is_better=True), {"e": 1.0}, {"e": 9.0})
    assert fraction.deviations[0].favours == 1  # a smaller error is better where more of them count


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.floats(1e-6, 10.0), st.floats(0, 2))
def test_a_shift_within_tolerance_agrees_and_beyond_it_does_not(values, tolerance, times):
    shifted = [v + times * tolerance for v in values]
    found = compared(spec(tolerance=tolerance), {"parts": {"e": values}}, {"parts": {"e": shifted}})
    if abs(times - 1) > 1e-6:
        assert found.beyond == (len(values) if times > 1 else 0)
    assert np.isclose(found.largest, times, rtol=1e-3, atol=1e-6 / tolerance)


def flips(count, total, favours):
    """`count` of `total` values lie far off, `favours` of them better in the record."""
    then = {("c", str(n)): sample(e=1.0) for n in range(total)}
    now = {("c", str(n)): sample(e=(3.0 if n < favours else -1.0) if n < count else 1.0) for n in range(total)}
    return compare_samples([spec(tolerance=0.1)], then, now)


@pytest.mark.parametrize(
    ("count", "total", "favours", "shift", "words"),
    [
        (0, 40, 0, 0.0, ""),
        (1, 40, 0, 0.0, "1 of 40 values lie beyond tolerance"),
        (20, 1000, 10, 0.5, ""),
        (21, 1000, 10, 0.0, "21 of 1000 values"),
        (20, 1000, 17, 0.0, "17 are better in the record and 3 worse"),
        (20, 1000, 3, 0.0, ""),  # to the record's harm: no cheat
        (10, 1000, 5, 1.5, "is 10 in the record and 11.5 now"),
    ],
)
def test_some_values_may_flip_where_they_fall_on_both_sides_and_move_no_score(count, total, favours, shift, words, run):
    pair = ScorePair("m", "%", 10.0, 10.0 + shift, total, half_width=1.0)
    found = Verified(
        record=read_record(run / "record.json"), verdict="differs", reason="",
        agreement=flips(count, total, favours), scores=[pair],
    )  # fmt: skip
    reason = _sample_level(found)
    assert bool(reason) == bool(words) and words in reason


@pytest.mark.parametrize(("bonus", "caught"), [(0.6, True), (0.2, True), (0.05, False), (-0.6, False)])
def test_a_small_bonus_on_every_value_does_not_hide_within_the_tolerance(bonus, caught, run):
    noise = np.random.default_rng(0).normal(0, 0.1, 60)
    then = {("c", str(n)): sample(e=10.0 - 0.5 * bonus) for n in range(60)}
    now = {("c", str(n)): sample(e=10.0 + 0.5 * float(x)) for n, x in enumerate(noise)}
    agreement = compare_samples([spec(tolerance=0.5)], then, now)
    found = Verified(record=read_record(run / "record.json"), verdict="differs", reason="", agreement=agreement)
    assert agreement.beyond == 0
    assert ("to the record's favour" in _sample_level(found)) == caught


@pytest.mark.parametrize(
    ("now", "interval", "unit", "differs"),
    [
        (61.5, (0.5, 2.5), "%", False),  # less than the two points that training may vary by
        (65.0, (-1.0, 11.0), "%", False),  # more, and within chance
        (65.0, (3.0, 7.0), "%", True),
        (65.0, None, "%", True),  # one cluster: nothing to say what chance is
        (62.0, (1.0, 3.0), "deg", False),
        (64.0, (3.0, 5.0), "deg", True),
    ],
)
def test_with_fits_made_again_the_scores_have_to_agree(now, interval, unit, differs):
    assert bool(refit_disagrees([ScorePair("m", unit, 60.0, now, 99, interval=interval)])) == differs


def test_the_future_begins_after_ten_minutes(copy, verification):
    soon = verification.model_copy(update={"date": datetime.now(timezone.utc) + timedelta(minutes=5)})
    write_verification(copy, soon)
    assert badge_of(Path(copy), read_record(copy / "record.json"))[0] == "sample-verified"
