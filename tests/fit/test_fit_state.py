from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from bench3d.errors import OutputError, WeightsError
from bench3d.files import atomic_path
from bench3d.fit.draws import derived_generator, epoch_indices, learning_rate
from bench3d.fit.state import load_state, save_state


def test_nested_states_come_back_as_they_were(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "weights": {"a": shared, "view": shared.T, "scalar": torch.tensor(3.0), "bytes": torch.arange(3).byte()},
        "optimiser": {"state": {0: {"step": torch.tensor(2.0)}}, "param_groups": [{"betas": (0.9, 0.999), "x": None}]},
        "tensor": "a string under a tempting key",
        "flags": [True, 1, 0.1, []],
    }
    save_state(tmp_path / "s.safetensors", state)
    loaded = load_state(tmp_path / "s.safetensors")
    assert torch.equal(loaded["weights"].pop("view"), state["weights"].pop("view"))
    assert {k: v.tolist() for k, v in loaded.pop("weights").items()} == {
        k: v.tolist() for k, v in state.pop("weights").items()
    }
    assert loaded == state
    assert loaded["flags"][0] is True


def test_a_state_that_the_system_refuses_to_write_is_a_sentence(tmp_path: Path) -> None:
    """safetensors raises errors of its own for those of the system."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"s\.safetensors cannot be written: File too large"):
            save_state(tmp_path / "s.safetensors", {"x": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "words"), [(28, "The disk is full"), (13, "No permission")])
def test_what_a_library_says_of_the_system_becomes_the_same_sentence(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(OutputError, match=words), atomic_path(tmp_path / "a"):
        raise SafetensorError(f"Error while serializing: I/O error: it says (os error {number})")
    with pytest.raises(SafetensorError, match="another"), atomic_path(tmp_path / "a"):
        raise SafetensorError("another error")


def test_other_kinds_are_refused_and_foreign_files_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="set"):
        save_state(tmp_path / "s.safetensors", {"x": {1, 2}})
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        load_state(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("not a state")
    with pytest.raises(WeightsError, match=r"text\.safetensors"):
        load_state(tmp_path / "text.safetensors")


@given(count=st.integers(1, 40), batch=st.integers(1, 12), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_an_epoch_never_repeats_an_item(count: int, batch: int, seed: int) -> None:
    per_epoch = max(1, count // batch)
    drawn = [epoch_indices(count, i, batch, seed) for i in range(2 * per_epoch)]
    assert all(len(indices) == batch for indices, _ in drawn)
    assert [epoch for _, epoch in drawn] == [0] * per_epoch + [1] * per_epoch
    if count >= batch:
        first = [i for indices, _ in drawn[:per_epoch] for i in indices]
        assert len(set(first)) == len(first)


def test_draws_depend_on_every_part_and_on_nothing_else() -> None:
    def draw(*parts: int | str) -> float:
        return float(torch.rand(1, generator=derived_generator(*parts)))

    assert draw(0, "jitter", 5) == draw(0, "jitter", 5)
    assert len({draw(0, "jitter", 5), draw(1, "jitter", 5), draw(0, "order", 5), draw(0, "jitter", 6)}) == 4


def test_one_cycle_rises_for_a_tenth_and_falls_to_a_hundredth() -> None:
    rates = [learning_rate(2.0, "one_cycle", i, 100) for i in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[10] == max(rates) == 2.0
    assert rates[100] == pytest.approx(0.02)
    assert learning_rate(2.0, "constant", 77, 100) == 2.0
