import hashlib
import json
import math
import os
import signal

import pytest
import torch

from bench3d.contracts import NullProgress, Progress
from bench3d.errors import Bench3DError, UsageError, WeightsError
from bench3d_plugins.tiny import pretrain as module
from bench3d_plugins.tiny.command import LOG, run
from bench3d_plugins.tiny.pretrain import Pretraining, choose, matching_loss
from bench3d_plugins.tiny.settings import PretrainSettings
from bench3d_plugins.tiny.views import ViewPair

FILES = ("tiny.safetensors", "tiny-step-2.safetensors", "tiny-step-4.safetensors")


def pretrained(recipe, folder, progress=None):
    return run(recipe, folder, "cpu", 1, progress or NullProgress())


def digests(folder):
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]


class Stops(Progress):
    """Does something after a number of steps of the training."""

    def __init__(self, after, what):
        self.left, self.what = after, what

    def start(self, name, total):
        self.name = name

    def advance(self, steps=1, **values):
        if self.name == "tiny" and "loss" in values:
            self.left -= 1
            if self.left == 0:
                self.what()


class Counts(Progress):
    """Notes the steps of the training."""

    def __init__(self, steps):
        self.steps, self.done = steps, 0

    def start(self, name, total):
        self.done = 0

    def advance(self, steps=1, **values):
        self.done += steps
        if "loss" in values:
            self.steps.append(self.done)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """One short pretraining: recipe, folder, log."""
    recipe = PretrainSettings(
        pictures=8, held_out=4, picture_size=32, sides=(24, 32), steps=6, batch=4, checkpoints=(2, 4)
    )
    folder = tmp_path_factory.mktemp("once")
    return recipe, folder, pretrained(recipe, folder)


def test_two_pretrainings_are_the_same_bit_for_bit_and_another_seed_is_not(once, tmp_path):
    recipe, folder, _ = once
    pretrained(recipe, tmp_path / "again")
    assert digests(folder) == digests(tmp_path / "again")
    assert len(set(digests(folder))) == 3  # the checkpoints are not the end
    pretrained(recipe.model_copy(update={"seed": 1}), tmp_path / "other")
    assert not set(digests(folder)) & set(digests(tmp_path / "other"))


def test_an_interrupted_pretraining_goes_on_to_the_same_bytes(once, tmp_path):
    """After the first checkpoint, so that what was kept before the interruption comes back with the state."""
    recipe, folder, log = once
    with pytest.raises(KeyboardInterrupt):
        pretrained(recipe, tmp_path, Stops(3, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert (tmp_path / "state" / "state.safetensors").is_file() and not (tmp_path / FILES[0]).exists()
    drawn = json.loads((tmp_path / LOG).read_text())["picture_seconds"]
    steps = []
    found = pretrained(recipe, tmp_path, Counts(steps))
    assert steps == [4, 5, 6]  # those before are not done again
    assert digests(tmp_path) == digests(folder)
    assert [e["iteration"] for e in found["history"]] == [e["iteration"] for e in log["history"]]
    assert found["history"] == log["history"]  # losses and scores, to the last digit
    assert found["picture_seconds"] >= drawn > 0


def test_a_killed_pretraining_begins_again_with_its_pictures(once, tmp_path):
    recipe, folder, _ = once

    def die():
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        pretrained(recipe, tmp_path, Stops(3, die))
    (chunk,) = tmp_path.glob("pictures-*/*.npy")
    drawn = chunk.stat().st_mtime_ns
    pretrained(recipe, tmp_path)
    assert digests(tmp_path) == digests(folder) and chunk.stat().st_mtime_ns == drawn


def test_a_finished_one_is_finished(once):
    recipe, folder, log = once
    before = digests(folder)
    again = pretrained(recipe, folder)
    assert digests(folder) == before
    assert again == {**log, "picture_seconds": again["picture_seconds"]}
    assert again["picture_seconds"] < log["picture_seconds"] + 0.1  # they were there


def test_the_log_says_what_was_done(small, tmp_path):
    recipe = small()
    log = pretrained(recipe, tmp_path)
    assert json.loads((tmp_path / LOG).read_text()) == log
    assert log["settings"] == recipe.model_dump(mode="json") and len(log["recipe"]) >= 12
    assert log["device"] == "cpu" and log["seconds"] > 0 and log["picture_seconds"] > 0
    assert [e["iteration"] for e in log["history"] if "score" in e] == [1, 2, 3, 4, 5, 6]
    assert log["history"][-1]["iteration"] == 6 and log["held_out"] == log["history"][-1]["score"]
    losses = [e for e in log["history"] if "loss" in e]
    assert losses and {"loss", "right", "lr"} <= set(losses[-1])
    assert [name.rpartition("/")[2] for name in log["weights"]] == list(FILES)


def test_another_recipe_is_refused_before_anything_is_drawn(once, tmp_path, monkeypatch):
    recipe, folder, log = once
    monkeypatch.setattr("bench3d_plugins.tiny.pictures.Pictures", lambda *a: pytest.fail("drawn"))
    with pytest.raises(UsageError, match=r"another recipe \(it differs in steps, learning_rate\)") as refused:
        pretrained(recipe.model_copy(update={"steps": 7, "learning_rate": 0.5}), folder)
    assert "--out" in refused.value.hint
    assert json.loads((folder / LOG).read_text())["recipe"] == log["recipe"]


def test_a_strange_or_broken_state_is_a_sentence_with_a_next_step_that_exists(once, small, tmp_path):
    recipe, _, _ = once
    pretrained(recipe, tmp_path)
    (tmp_path / LOG).write_text("{")  # so that only the state tells
    with pytest.raises(UsageError, match="belongs to another fit") as refused:
        pretrained(small(steps=7, checkpoints=()), tmp_path)
    assert refused.value.hint.startswith("Remove ")
    (tmp_path / LOG).unlink()
    state = tmp_path / "state" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read") as refused:
        pretrained(recipe, tmp_path)
    assert str(tmp_path / "state") in refused.value.hint and "--force" not in refused.value.hint


def test_without_held_out_pictures_there_is_no_score(small, tmp_path):
    log = pretrained(small(held_out=0, steps=2, checkpoints=()), tmp_path)
    assert log["held_out"] is None and not [e for e in log["history"] if "score" in e]
    assert [name.rpartition("/")[2] for name in log["weights"]] == ["tiny.safetensors"]


def test_views_without_a_match_are_a_sentence(pictures, monkeypatch):
    recipe = PretrainSettings(pictures=8, held_out=0, picture_size=48, sides=(16,), batch=2)
    monkeypatch.setattr(module, "choose", lambda inside, *a: choose(torch.zeros_like(inside), *a))
    with pytest.raises(Bench3DError, match="No cell of these views has a match"):
        Pretraining(recipe, pictures, "cpu").step(0)


def test_a_short_pretraining_learns_to_match_held_out_pictures(pictures, monkeypatch):
    recipe = PretrainSettings(
        pictures=64, held_out=64, picture_size=48, sides=(24,), steps=40, batch=16, cells=16,
        precision="float32", learning_rate=3e-4, average=0.8,
    )  # fmt: skip
    matched = []

    def counted(*arguments):
        matched.append(len(arguments[3][0]))
        return matching_loss(*arguments)

    monkeypatch.setattr(module, "matching_loss", counted)
    training = Pretraining(recipe, pictures, "cpu")
    untrained = training.evaluate()
    (among,) = matched
    first = training.step(0)
    assert abs(first["loss"] - math.log(matched[-1])) < 1  # as of features that say nothing
    for iteration in range(1, recipe.steps):
        last = training.step(iteration)
    assert last["loss"] < first["loss"] - 0.7
    trained = training.evaluate()
    chance = 1 / among
    assert among > 200 and trained > 0.1  # measured 0.126, untrained 0.080, by chance 0.004
    assert trained > 1.3 * untrained and trained > 20 * chance

    def elsewhere(*arguments):
        pair = module_pair(*arguments)
        return ViewPair(pair.first, pair.second.roll(1, dims=0), pair.places, pair.inside)

    module_pair = module.draw_pair
    monkeypatch.setattr(module, "draw_pair", elsewhere)
    assert training.evaluate() < 5 * chance  # the same weights, asked for matches that are none


def test_the_loss_of_perfect_of_empty_and_of_exchanged_features():
    side, cells = 32, 4
    steps = torch.arange(cells) * 8 + 4.0
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], dim=1)[None].repeat(2, 1, 1)
    pictures = torch.zeros(2, 3, side, side)
    pair = ViewPair(pictures, pictures, places, torch.ones(2, 16, dtype=torch.bool))
    chosen = choose(pair.inside, 16, torch.Generator().manual_seed(0))
    assert len(chosen[0]) == 32
    one_hot = torch.eye(32).reshape(2, 16, 32).transpose(1, 2).reshape(2, 32, cells, cells)
    loss, right = matching_loss(one_hot, 5 * one_hot, pair, chosen, 0.1)
    # Every logit is 10 for the match and 0 for the 31 others, whatever the length of the features.
    assert loss == pytest.approx(math.log1p(31 * math.exp(-10)), rel=1e-3) and right == 1
    loss, _ = matching_loss(torch.ones_like(one_hot), one_hot * 0 + 3, pair, chosen, 0.1)
    assert loss == pytest.approx(math.log(32), rel=1e-6)
    loss, right = matching_loss(one_hot, one_hot.flip(0), pair, chosen, 0.1)
    assert loss == pytest.approx(10 + math.log1p(31 * math.exp(-10)), rel=1e-3) and right == 0
    # The second map is read at the places: moved by one cell, it is the neighbour that is found.
    moved = ViewPair(pictures, pictures, places + torch.tensor([8.0, 0.0]), pair.inside)
    inner = tuple(v[(chosen[1] % cells) < cells - 1] for v in chosen)
    _, right = matching_loss(one_hot, one_hot.roll(1, dims=3), moved, inner, 0.1)
    assert right == 1
    _, right = matching_loss(one_hot, one_hot.roll(1, dims=3), pair, inner, 0.1)
    assert right == 0


def test_chosen_cells_have_a_match_and_are_not_always_the_same():
    inside = torch.rand(5, 36, generator=torch.Generator().manual_seed(0)) < 0.3
    inside[2] = False
    rows, numbers = choose(inside, 6, torch.Generator().manual_seed(0))
    assert inside[rows, numbers].all() and len(set(zip(rows.tolist(), numbers.tolist(), strict=True))) == len(rows)
    for row in range(5):
        assert (rows == row).sum() == min(6, int(inside[row].sum()))
    other = choose(inside, 6, torch.Generator().manual_seed(1))
    assert set(zip(*(v.tolist() for v in other), strict=True)) != set(zip(rows.tolist(), numbers.tolist(), strict=True))


def test_the_mean_weights_are_judged_and_judging_changes_nothing(pictures, small):
    training = Pretraining(small(picture_size=48, held_out=16), pictures, "cpu")
    training.step(0)
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    score = training.evaluate()
    assert all(torch.equal(before[k], v) for k, v in training.network.state_dict().items())
    assert training.evaluate() == score  # always the same views of the same pictures
    with torch.no_grad():
        for weight in training.network.parameters():
            weight.zero_()
    assert training.evaluate() == score
    for weight in training.mean.values():
        weight.zero_()
    assert training.evaluate() != score


def test_the_mean_follows_and_is_what_is_written(pictures, small):
    training = Pretraining(small(picture_size=48, average=1.0, steps=3, checkpoints=(1, 3)), pictures, "cpu")
    name = "patch_embed.proj.weight"
    start = training.export()[name]
    training.step(0)
    once = training.network.state_dict()[name].clone()
    # The first mean is a tenth of the start and nine of what the step has made.
    assert torch.allclose(training.export()[name], 0.1 * start + 0.9 * once, atol=1e-7)
    assert not torch.allclose(start, once, atol=1e-6)
    training.step(1)
    training.step(2)
    assert set(training.kept) == {1, 3}
    assert torch.allclose(training.kept[1][name], 0.1 * start + 0.9 * once, atol=1e-7)  # not moved by what came after
    assert torch.equal(training.kept[3][name], training.export()[name])
