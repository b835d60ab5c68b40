"""What the tests of several loggers share."""

import pytest

from bench3d.records.identity import identity_hash
from bench3d.records.schema import Record


@pytest.fixture
def logged():
    """A record of two categories: logged(status="failed") changes fields."""

    def make(**changes):
        measurement = {
            "schema": "bench3d.measurement/1",
            "backbone": {
                "name": "noise",
                "result_version": 1,
                "settings": {"grid": 60, "native": False, "layer": None},
            },
            "adapter": None,
            "task": {"name": "pf-willow", "result_version": 1, "settings": {"alphas": [0.1, 0.05], "fill": 0.5}},
            "protocol": {"name": "image", "version": 1},
            "categories": ["bus", "car"],
            "seed": 3,
        }
        common = {"metric": "PCK@0.1", "unit": "%", "higher_is_better": True, "version": 1, "order": "image"}
        values = {
            "schema": "bench3d.record/2",
            "label": "noise-image",
            "identity": {"measurement": measurement, "hash": identity_hash(measurement)},
            "status": "finished",
            "headline": "PCK@0.1",
            "scores": [
                {**common, "category": "bus", "value": 25.0, "n": 4},
                {**common, "category": "car", "value": 50.0, "n": 6, "interval": [20.0, 80.0]},
                {**common, "category": "mean", "value": 37.5, "n": 10, "interval": [12.25, 62.75]},
            ],
            "chance": [
                {"metric": "PCK@0.1", "name": "point", "category": "mean", "value": 1.5, "unit": "%", "n": 10},
            ],
            "oracles": ["category"],
            "marks": {"synthetic_data": True, "limited": 5},
            "cost": {"evaluate_seconds": 1.5, "peak_memory_bytes": 1000},
            "provenance": {
                "bench3d": "0.1.0", "python": "3.11", "seed": 3, "time": "2026-01-01T00:00:00+00:00",
                "command": "bench3d run --data secret-folder",
            },
            "samples": 10,
        }  # fmt: skip
        return Record.model_validate(values | changes)

    return make
