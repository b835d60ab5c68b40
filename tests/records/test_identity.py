"""Identity: stable where nothing changes, different where anything that matters does, and free of torch."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bench3d.errors import DataError, UsageError
from bench3d.records import canonical_json, file_digest, identity_hash, identity_settings
from bench3d.records.provenance import command_line, without_paths

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values))
def test_hash_ignores_key_order_and_survives_a_json_round_trip(measurement):
    backwards = dict(reversed(list(measurement.items())))
    assert identity_hash(backwards) == identity_hash(measurement)
    assert identity_hash(json.loads(json.dumps(measurement))) == identity_hash(measurement)
    assert json.loads(canonical_json(measurement)) == measurement


def test_floats_have_one_form_each():
    assert canonical_json({"b": 1.0, "a": [0.1, -0.0, 1e-7, 1e22]}) == '{"a":[0.1,0,1e-07,1e+22],"b":1}'
    assert identity_hash({"x": 0.10}) == identity_hash({"x": 1e-1})
    assert identity_hash({"x": 0.1}) != identity_hash({"x": 0.1 + 2**-56})
    assert identity_hash({"x": True}) != identity_hash({"x": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, {1: 2}, b"x"])
def test_what_has_no_canonical_form_is_refused_by_name(value):
    with pytest.raises(UsageError, match=r"task\.margin"):
        identity_hash({"task": {"margin": value}})


class Inner(BaseModel):
    rate: float = 0.1
    workers: int = Field(2, json_schema_extra={"identity": False})


class Outer(BaseModel):
    batch: int = Field(8, json_schema_extra={"identity": False})
    split: str = "plain"
    inner: Inner = Inner()


def test_settings_that_change_speed_only_stay_out():
    assert identity_settings(Outer(batch=99, inner=Inner(workers=7))) == {"split": "plain", "inner": {"rate": 0.1}}
    assert identity_settings(Outer(split="hard")) != identity_settings(Outer())


def test_a_setting_that_came_later_counts_only_where_it_is_set():
    class Grown(Outer):
        extra: str | None = Field(None, json_schema_extra={"later": True})
        names: list[str] = Field(default_factory=list, json_schema_extra={"later": True})

    assert identity_settings(Grown()) == identity_settings(Outer())
    assert identity_settings(Grown(extra="x", names=["a"])) == {
        **identity_settings(Outer()),
        "extra": "x",
        "names": ["a"],
    }


def test_identity_and_records_import_no_torch():
    code = "import sys, bench3d.records, bench3d.records.provenance; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_file_digest(tmp_path):
    (tmp_path / "w").write_bytes(b"abc")
    assert file_digest(tmp_path / "w").startswith("ba7816bf8f01cfea")
    with pytest.raises(DataError, match="absent"):
        file_digest(tmp_path / "absent")


def test_paths_of_persons_stay_out_of_commands_and_messages():
    command = [
        "/home/jane/.venv/bin/bench3d",
        "run",
        "--data",
        "/home/jane/secret/data",
        "--results=~/out",
        "--set",
        "a.b=0.5/1",
    ]
    assert command_line(command) == "bench3d run --data data --results=out --set a.b=0.5/1"
    assert without_paths("No file '/home/jane/x/car.mat', field a/b.") == "No file 'car.mat', field a/b."
