"""The encoder: each image once, in any batch, with any number of workers, from memory, cache or model, the same."""

import itertools
import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from bench3d.contracts import FeatureMap, ImageRequest, Model, Placing, WeightedMap
from bench3d.errors import DataError
from bench3d.features.backbone import DenseBackbone
from bench3d.features.cache import FeatureCache
from bench3d.features.encoder import FeatureEncoder
from bench3d.features.settings import InputSettings
from bench3d.geometry.pixels import PixelGeometry
from bench3d.plugins import load_registry, load_settings


def mean_colour(images):
    return F.avg_pool2d(images, 8)


class Counting(DenseBackbone):
    """Remembers the batches it has seen."""

    def __init__(self, grid=8):
        super().__init__(mean_colour, patch=8, settings=InputSettings(grid=grid))
        self.batches = []

    def fingerprint(self, category=None):
        return f"counting {self.settings.grid} {category}"

    def features(self, batch):
        self.batches.append(batch.ids)
        return super().features(batch)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(12):
        size = (80, 60) if i % 3 else (60, 72)
        path = tmp_path / f"{i:02d}.png"
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


LETTERBOX = Placing("letterbox", 64)


def requests_of(paths, placing=LETTERBOX, category=None):
    return [ImageRequest(p, placing, category) for p in paths]


def values(maps):
    return torch.cat([m.map.values.reshape(-1) for m in maps])


def test_every_image_is_encoded_once_in_batches_however_often_it_is_asked_for(images):
    model = Counting()
    wanted = requests_of(images)
    with FeatureEncoder(model, batch=5) as encoder:
        encoder.expect(wanted)
        pairs = [(a, b) for a in wanted for b in wanted]
        for a, b in pairs:
            encoder.maps(a), encoder.maps(b)
        assert [len(b) for b in model.batches] == [5, 5, 2]
        assert sum(model.batches, ()) == tuple(p.stem for p in images)
        assert encoder.statistics.encoded == 12
        assert encoder.statistics.from_memory == 2 * len(pairs) - 3


def test_images_of_other_shapes_and_categories_are_not_in_one_batch(images):
    model = Counting()
    as_is = [ImageRequest(p, Placing(), "car" if i < 6 else "bus") for i, p in enumerate(images)]
    with FeatureEncoder(model, batch=8) as encoder:
        encoder.expect(as_is)
        for request in as_is:
            (only,) = encoder.maps(request)
            geometry = only.map.geometry[0]
            assert (geometry.original_size == (60, 72)) == (int(request.path.stem) % 3 == 0)
            assert only.map.values.shape == (1, 3, *reversed(geometry.grid_size))
    assert sorted(map(len, model.batches)) == [2, 2, 4, 4]


def test_the_next_expected_come_along_and_who_was_not_expected_goes_first(images):
    model = Counting()
    wanted = requests_of(images)
    with FeatureEncoder(model, batch=4) as encoder:
        encoder.expect(wanted[:8])
        encoder.maps(wanted[9])
        encoder.maps(wanted[5])
        encoder.expect([])
        encoder.maps(wanted[10])
    assert model.batches == [("09", "00", "01", "02"), ("05", "03", "04", "06"), ("10",)]


def test_an_endless_order_is_read_as_far_as_it_is_needed(images):
    read = []

    def endless():
        for request in itertools.cycle(requests_of(images)):
            read.append(request)
            yield request

    with FeatureEncoder(Counting(), batch=2) as encoder:
        encoder.expect(endless())
        assert len(read) <= 8
        for request in requests_of(images) * 2:
            encoder.maps(request)
        assert encoder.statistics.encoded == 12


def test_a_broken_image_is_heard_of_only_by_who_asks_for_it(images):
    images[3].write_bytes(images[3].read_bytes()[:200])
    images[4].unlink()
    wanted = requests_of(images)
    wanted[5] = ImageRequest(images[5], Placing("letterbox", 64), size=(81, 60))
    with FeatureEncoder(Counting(), batch=4) as encoder:
        encoder.expect(wanted)
        for index in (0, 1, 2, 6, 7, 8, 9, 10, 11):
            assert encoder.maps(wanted[index])
        for index in (3, 4, 5, 3):
            with pytest.raises(DataError, match=images[index].name):
                encoder.maps(wanted[index])


def test_memory_keeps_to_its_budget_and_what_comes_next_goes_last(images):
    model = Counting()
    wanted = requests_of(images)
    one = 3 * 8 * 8 * 4
    with FeatureEncoder(model, batch=8, memory_bytes=4 * one) as encoder:
        for _ in range(2):
            encoder.expect(wanted)
            for request in wanted:
                encoder.maps(request)
                assert encoder._memory.used <= 4 * one
    # The size of a map is known after the first batch, which loses four; then a batch is what the budget holds.
    assert len(model.batches[0]) == 8 and {len(b) for b in model.batches[1:]} <= {1, 2, 3, 4}
    assert encoder.statistics.encoded <= 12 + 12 + 4


def backbone(name, **settings):
    registry = load_registry()
    registration = registry.find("backbone", name)
    return registry.create(
        "backbone",
        name,
        weights="random",
        settings=load_settings(registration, overrides={"grid": 8, **settings}),
        device="cpu",
    )


@pytest.mark.parametrize("name", ["hog", "timm:vit_tiny_patch16_224"])
def test_batch_and_workers_do_not_matter_and_the_cache_returns_the_same_bits(name, images, tmp_path):
    model = backbone(name)
    wanted = requests_of(images, Placing("letterbox", model.canvas))

    def encode(**options):
        with FeatureEncoder(model, **options) as encoder:
            encoder.expect(wanted)
            answers = [encoder.maps(r) for r in wanted]
        return answers, encoder.statistics

    reference, _ = encode(batch=1, workers=1)
    for batch, workers in ((8, 1), (1, 2), (8, 2)):
        others, _ = encode(batch=batch, workers=workers)
        for a, b in zip(reference, others, strict=True):
            assert a[0].map.geometry == b[0].map.geometry
            assert (values(a) - values(b)).abs().max() <= 1e-4 * values(a).abs().max()
    first, _ = encode(cache=FeatureCache(tmp_path / "cache"))
    again, statistics = encode(cache=FeatureCache(tmp_path / "cache"))
    assert (statistics.encoded, statistics.from_cache) == (0, 12)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(values(a), values(b)) and a[0].map.geometry == b[0].map.geometry


def test_what_is_cached_is_never_taken_for_another_question(images, tmp_path):
    """Each of these differs from the first in one thing that decides features; each is computed."""
    vit = "timm:vit_tiny_patch16_224"
    base = {"model": backbone(vit), "placing": Placing("letterbox", 128), "salt": "", "storage": "float32"}
    changed = {
        "layer": {"model": backbone(vit, layer=5)},
        "tokens": {"model": backbone(vit, tokens="prenorm")},
        "weights": {"model": backbone(vit, seed=1)},
        "size": {"placing": Placing("letterbox", 64)},
        "placing": {"placing": Placing("stretch", 128)},
        "precision": {"storage": "float16"},
        "salt": {"salt": "another adapter"},
    }

    def ask(model, placing, salt, storage):
        cache = FeatureCache(tmp_path / "cache", storage=storage)
        with FeatureEncoder(model, cache=cache, salt=salt) as encoder:
            answer = values(encoder.maps(ImageRequest(images[1], placing)))
        return answer, encoder.statistics.from_cache

    first, _ = ask(**base)
    for name, change in changed.items():
        assert ask(**{**base, **change})[1] == 0, name
        assert ask(**{**base, **change})[1] == 1, name
    assert torch.equal(ask(**base)[0], first)
    # The same name, other bytes; then the old bytes under another name.
    content = images[1].read_bytes()
    images[1].write_bytes(images[2].read_bytes())
    other, hits = ask(**base)
    assert hits == 0 and not torch.equal(other, first)
    images[1].rename(images[1].with_name("moved.png"))
    images[1].write_bytes(content)
    again, hits = ask(**base)
    assert hits == 1 and torch.equal(again, first)


def test_a_damaged_cache_changes_no_feature(images, tmp_path, caplog):
    model = Counting()
    wanted = requests_of(images)

    def encode():
        with FeatureEncoder(model, cache=FeatureCache(tmp_path / "cache")) as encoder:
            encoder.expect(wanted)
            return [values(encoder.maps(r)) for r in wanted], encoder.statistics

    first, _ = encode()
    (shard,) = (tmp_path / "cache").glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    with caplog.at_level(logging.WARNING, "bench3d"):
        second, statistics = encode()
    assert statistics.encoded == 1 and len(caplog.records) == 1
    third, statistics = encode()
    assert statistics.encoded == 0 and len(caplog.records) == 1
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, second, third, strict=True))


def test_an_interruption_keeps_what_was_encoded(images, tmp_path):
    wanted = requests_of(images)
    with (
        pytest.raises(KeyboardInterrupt),
        FeatureEncoder(Counting(), cache=FeatureCache(tmp_path / "cache")) as encoder,
    ):
        encoder.expect(wanted)
        encoder.maps(wanted[0])
        raise KeyboardInterrupt
    with FeatureEncoder(Counting(), cache=FeatureCache(tmp_path / "cache")) as encoder:
        encoder.maps(wanted[0])
    assert encoder.statistics.from_cache == 1


class Unknown(Model):
    """Two weighted maps, and no fingerprint."""

    def features(self, batch):
        geometry = tuple(g.with_grid((8, 8), (8.0, 8.0)) for g in batch.geometry)
        pooled = F.avg_pool2d(batch.images, 8)
        return [WeightedMap(FeatureMap(pooled, geometry), 0.8), WeightedMap(FeatureMap(pooled.double(), geometry), 0.2)]


def test_a_model_without_fingerprint_is_never_on_disk_and_several_maps_stay_together(images, tmp_path):
    with FeatureEncoder(Unknown(), cache=FeatureCache(tmp_path / "cache")) as encoder:
        encoder.expect(requests_of(images))
        for request in requests_of(images):
            maps = encoder.maps(request)
            assert [m.weight for m in maps] == [0.8, 0.2]
            assert [m.map.values.dtype for m in maps] == [torch.float32] * 2
    assert not (tmp_path / "cache").exists()


def test_what_a_model_sees_is_the_placed_image(images):
    seen = []

    class Seeing(Counting):
        def features(self, batch):
            seen.append(batch)
            return super().features(batch)

    crop = PixelGeometry((80, 60), (64, 64), (1.0, 1.0), (-10.0, 2.0))
    with FeatureEncoder(Seeing()) as encoder:
        encoder.maps(ImageRequest(images[1], Placing("crop", geometry=crop), "car", (80, 60)))
    (batch,) = seen
    original = torch.from_numpy(np.array(Image.open(images[1]))).permute(2, 0, 1).float() / 255
    assert torch.allclose(batch.images[0, :, 2:62], original[:, :, 10:74], atol=1e-6)
    assert batch.valid[0, 0].sum() == 60 * 64 and batch.category == "car" and batch.geometry == (crop,)
