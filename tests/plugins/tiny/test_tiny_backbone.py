from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bench3d.errors import UsageError, WeightsError
from bench3d.features.settings import BackboneSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry
from bench3d.runner import RunSpec, plan_run
from bench3d.testing.images import batch_of
from bench3d_plugins.tiny import model as module
from bench3d_plugins.tiny import names, network
from bench3d_plugins.tiny.names import SHA256, STEPS, weights_name
from bench3d_plugins.tiny.network import DEPTH, PATCH, WIDTH, build

WEIGHTS = module.files("bench3d_plugins.tiny") / "weights"
EVERY = [None, *STEPS]
LIMIT = 8_000_000
"""Bytes of a file."""


def name_of(step):
    return "tiny" if step is None else f"tiny-step-{step}"


def create(weights="random", name="tiny", **settings):
    return load_registry().create(
        "backbone", name, weights=weights, settings=BackboneSettings(**({"grid": 4} | settings)), device="cpu"
    )


def values(model, pictures):
    """Features (B, C, h, w) of pictures (B, 3, H, W)."""
    side = (pictures.shape[3], pictures.shape[2])
    (found,) = model.features(batch_of(pictures, PixelGeometry.identity(side)))
    return found.map.values


def images(count, width, height, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((count, 3, height, width), dtype=np.float32))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package whose weights are those of the test: package() is their folder."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(module, "files", lambda name: tmp_path)
    return tmp_path / "weights"


def test_the_registrations_say_what_the_network_is():
    net = build(0)
    count = sum(p.numel() for p in net.parameters())
    assert count <= 4_000_000 and names.PATCH == PATCH
    every = load_registry()
    for step in EVERY:
        r = every.get("backbone", name_of(step))
        assert (r.params, r.patch, r.dim) == (count, PATCH, WIDTH)
        assert r.weights.shipped and r.weights.id == weights_name(step)
        assert create(name=r.name).describe()["params"] == count
    found = values(create(), images(1, 32, 32))
    assert found.shape == (1, WIDTH, 4, 4)


def test_random_weights_are_the_seed_s_and_marked():
    batch = images(1, 32, 32)
    state = torch.random.get_rng_state()
    one, again, other = (create(seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.random.get_rng_state())  # nobody else's draws move
    assert torch.equal(values(one, batch), values(again, batch))
    assert (values(one, batch) - values(other, batch)).abs().max() > 0.1
    assert one.random_weights and one.describe()["weights"] == {"source": "random", "seed": 3}
    assert one.fingerprint() == again.fingerprint() != other.fingerprint()


def test_layers():
    batch = images(1, 32, 32)
    found = [values(create(layer=layer), batch) for layer in range(DEPTH)]
    for a in range(DEPTH):
        for b in range(a):
            assert (found[a] - found[b]).abs().max() > 0.01
        assert torch.equal(values(create(layer=a - DEPTH), batch), found[a])
    assert torch.equal(values(create(), batch), found[-1])
    for layer in (DEPTH, -DEPTH - 1, 99):
        with pytest.raises(UsageError, match=rf"layer={layer}: tiny has layers 0 to {DEPTH - 1}"):
            create(layer=layer)
    normed, plain = (values(create(layer=2, tokens=tokens), batch) for tokens in ("normed", "prenorm"))
    # The norm takes each cell's mean and scale away (its own scale and shift are 1 and 0 as drawn).
    assert normed.mean(dim=1).abs().max() < 1e-4 and (normed.var(dim=1) - 1).abs().max() < 0.02
    assert (plain - normed).abs().max() > 0.01


def test_a_batch_is_its_images():
    model, eight = create(grid=6), images(8, 48, 48)
    together = values(model, eight)
    for index in range(8):
        alone = values(model, eight[index : index + 1])
        assert (together[index] - alone[0]).abs().max() < 1e-4  # of values of about 1
    assert (together[0] - together[1]).abs().max() > 0.1


@pytest.mark.parametrize(("width", "height"), [(8, 8), (16, 64), (72, 40), (200, 8), (256, 256)])
def test_any_input_of_whole_patches(width, height):
    model = create(native=True)
    picture = images(1, width, height)
    found = values(model, picture)
    assert found.shape == (1, WIDTH, height // PATCH, width // PATCH) and torch.isfinite(found).all()
    # Cells lie where the image has them, whatever its shape.
    if min(width, height) >= 40:
        changed = picture.clone()
        changed[:, :, :8, -8:] += 1.0
        moved = (values(model, changed) - found).norm(dim=1)[0]
        assert divmod(int(moved.argmax()), moved.shape[1]) == (0, width // PATCH - 1)


def test_the_network_pretrained_is_the_one_evaluated():
    """`cells`, which the loss sees, and the backbone's last layer are the same features of the same images."""
    picture = images(2, 48, 32)
    model = create(native=True, seed=5)
    with torch.no_grad():
        seen = network.cells(build(5).eval(), network.normalised(picture))
    assert torch.allclose(seen, values(model, picture), atol=1e-5)


def test_files_of_weights(tmp_path):
    batch = images(1, 32, 32)
    state = {k: v.clone() for k, v in build(7).state_dict().items()}
    good = tmp_path / "good.safetensors"
    save_file({k: v.half() for k, v in state.items()}, good)
    loaded = create(str(good))
    assert not loaded.random_weights and loaded.describe()["weights"]["file"] == "good.safetensors"
    assert (values(loaded, batch) - values(create(seed=7), batch)).abs().max() < 0.02  # float16's
    first = next(iter(state))
    for name, wrong in {
        "shape": state | {first: state[first][..., :-1].contiguous()},
        "fewer": {k: v for k, v in state.items() if k != first},
        "more": state | {"head.weight": torch.zeros(2, 2)},
    }.items():
        path = tmp_path / f"{name}.safetensors"
        save_file(wrong, path)
        with pytest.raises(WeightsError, match=f"{name}.safetensors does not fit"):
            create(str(path))
    with pytest.raises(WeightsError, match=r"no weights file .*absent.pth"):
        create(str(tmp_path / "absent.pth"))


@pytest.mark.parametrize("step", EVERY)
def test_what_ships_is_loaded_and_what_is_broken_is_a_sentence(package, step):
    path = package / weights_name(step)

    def refused(words):
        with pytest.raises(WeightsError, match=words) as error:
            create("pretrained", name_of(step))
        assert weights_name(step) in error.value.message and "that ship with bench3d" in error.value.message
        assert "Install bench3d again" in error.value.hint and "bench3d pretrain tiny" in error.value.hint

    refused("There is no weights file")
    path.write_bytes(b"half a fi")
    refused("no readable checkpoint")
    save_file({"nothing": torch.zeros(2)}, path)
    refused("does not fit")
    state = {k: v.half() for k, v in build(7).state_dict().items()}
    save_file(state, path)
    model = create("pretrained", name_of(step))
    own = dict(model.net.model.state_dict())
    assert own.keys() == state.keys() and all(torch.equal(own[k], v.float()) for k, v in state.items())
    facts = model.describe()
    assert facts["weights"] == {"source": "package", "id": path.name, "sha256": facts["weights_sha256"]}
    assert not model.random_weights
    with pytest.raises(UsageError, match=r"revision=main: the weights of tiny come with bench3d"):
        create("pretrained", name_of(step), revision="main")


@pytest.mark.parametrize("offline", [False, True])
def test_a_run_is_planned_with_nothing_to_fetch(tmp_path, offline):
    spec = RunSpec(
        backbone="tiny", task="spair71k", synthetic=True, data=tmp_path, results=tmp_path / "r", offline=offline
    )
    (step,) = (step for step in plan_run(spec).steps if step.what == "backbone tiny")
    assert step.state == "done" and "tiny.safetensors" in step.detail


@pytest.mark.parametrize("step", EVERY)
def test_the_weights_that_ship(step):
    """They lie in the package, small, in float16, and are whole numbers of this very network."""
    with module.as_file(WEIGHTS / weights_name(step)) as path:
        assert path.stat().st_size <= LIMIT
        with safe_open(path, framework="pt") as handle:
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    assert {v.dtype for v in tensors.values()} == {torch.float16}
    assert all(torch.isfinite(v).all() for v in tensors.values())
    own = create("pretrained", name_of(step)).net.model.state_dict()
    assert own.keys() == tensors.keys() and all(torch.equal(own[k], v.float()) for k, v in tensors.items())
    assert create("pretrained", name_of(step)).describe()["weights_sha256"] == SHA256[step]
    untrained = build(0).state_dict()
    moved = [k for k, v in own.items() if v.is_floating_point() and (v - untrained[k]).abs().max() > 1e-3]
    assert len(moved) > len(own) / 2


def test_the_weights_that_ship_differ_from_step_to_step():
    batch = images(1, 32, 32)
    found = [values(create("pretrained", name_of(step)), batch) for step in EVERY]
    assert all((a - b).abs().max() > 0.01 for n, a in enumerate(found) for b in found[:n])


def test_nothing_else_lies_among_the_weights():
    """What is in the folder ships: no stand-in, no checkpoint of another recipe."""
    there = {p.name for p in WEIGHTS.iterdir() if p.name.endswith(".safetensors")}
    assert there == {weights_name(step) for step in EVERY}


def test_steps_are_reachable_by_the_registered_names():
    assert set(vars(module.steps)) == {f"at_{step}" for step in STEPS} and isinstance(module.steps, SimpleNamespace)
