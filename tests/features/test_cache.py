"""The feature cache on disk: what is read is what was written, and nothing that happens to files is believed."""

import errno
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

from bench3d.contracts import FeatureMap, Placing, WeightedMap
from bench3d.errors import UsageError
from bench3d.features import cache_shards
from bench3d.features.cache import FeatureCache
from bench3d.features.cache_care import collect, leftovers, shard_statuses, summarise, verify
from bench3d.features.cache_key import cache_cap, feature_key
from bench3d.geometry.pixels import PixelGeometry

GEOMETRY = PixelGeometry((500, 375), (64, 64), (0.128, 0.1 + 0.2), (0.0, 8.0), (8.0, 8.0), (0.5, 0.0), (8, 8))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def maps_of(seed, channels=4, count=1):
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(1, channels, 8, 8, generator=generator) for _ in range(count)]
    return [WeightedMap(FeatureMap(v, (GEOMETRY,)), 0.8 / (i + 1)) for i, v in enumerate(values)]


def same(a, b):
    return (
        a is not None
        and len(a) == len(b)
        and all(
            torch.equal(x.map.values, y.map.values) and x.map.geometry == y.map.geometry and x.weight == y.weight
            for x, y in zip(a, b, strict=True)
        )
    )


def fill(folder, keys, **options):
    cache = FeatureCache(folder, **options)
    for key in keys:
        cache.put(f"k{key}", maps_of(key, count=2), fingerprint="f" * 64, description="a model")
    cache.close()
    return cache


def only(folder, suffix):
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_what_is_read_is_bit_by_bit_what_was_stored(folder):
    odd = [WeightedMap(FeatureMap(torch.tensor([[[[1e-42, -0.0], [3e38, 1 / 3]]]]), (GEOMETRY,)), 0.1 + 0.2)]
    with_numpy = PixelGeometry((np.int64(5), np.int64(4)), (8, 8), (np.float64(1.6), 2.0))
    cache = FeatureCache(folder)
    cache.put("a", maps_of(1, count=2))
    cache.put("b", odd)
    cache.put("c", [WeightedMap(FeatureMap(torch.ones(1, 1, 1, 1), (with_numpy,)))])
    assert same(cache.get("a"), maps_of(1, count=2))  # held back, not written yet
    assert not folder.exists()
    cache.close()
    for reader in (cache, FeatureCache(folder)):
        assert same(reader.get("a"), maps_of(1, count=2)) and same(reader.get("b"), odd)
        assert reader.get("c")[0].map.geometry == (with_numpy,)
        assert np.signbit(reader.get("b")[0].map.values[0, 0, 0, 1].item())
        assert reader.get("d") is None


def test_float16_is_another_key_and_what_does_not_fit_is_not_stored(folder):
    cache = FeatureCache(folder, storage="float16")
    cache.put("a", maps_of(0))
    cache.put("b", [WeightedMap(FeatureMap(torch.full((1, 1, 2, 2), 1e5), (GEOMETRY,)))])
    cache.close()
    assert torch.equal(cache.get("a")[0].map.values, maps_of(0)[0].map.values.half().float())
    assert cache.get("b") is None


def test_the_key_changes_with_everything_that_decides_a_feature():
    crop = PixelGeometry((9, 9), (4, 4), (0.5, 0.5))
    base = ("i" * 64, Placing("letterbox", 64), GEOMETRY, "model", "salt", "float32")
    others = [
        ("j" * 64, *base[1:]),
        *(
            (base[0], p, *base[2:])
            for p in (
                Placing("corner", 64),
                Placing("letterbox", 65),
                Placing("letterbox", 64, "lanczos"),
                Placing("letterbox", 64, fill=0.5),
                Placing("crop", geometry=crop),
                Placing("crop", geometry=crop.resized((5, 4))),
            )
        ),
        (*base[:2], crop, *base[3:]),
        (*base[:3], "other", *base[4:]),
        (*base[:4], "other", base[5]),
        (*base[:5], "float16"),
    ]
    keys = [feature_key(*parts) for parts in [base, *others]]
    assert len(set(keys)) == len(keys)
    assert feature_key(*base) == keys[0]
    numpy_numbers = PixelGeometry(
        (np.int64(500), 375), (64, 64), (0.128, 0.1 + 0.2), (0.0, 8.0), (8.0, 8.0), (0.5, 0.0), (8, 8)
    )
    assert feature_key(*base[:2], numpy_numbers, *base[3:]) == keys[0]


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("where", ["last value", "header", "truncated", "gone"])
def test_a_damaged_shard_is_a_miss_and_is_written_anew(folder, where, caplog):
    fill(folder, [1, 2])
    shard = only(folder, ".safetensors")
    if where == "gone":
        shard.unlink()
    elif where == "truncated":
        shard.write_bytes(shard.read_bytes()[:-100])
    else:
        flip(shard, {"last value": -3, "header": 12}[where])
    cache = FeatureCache(folder)
    with caplog.at_level(logging.WARNING, "bench3d"):
        found = [cache.get(f"k{k}") for k in (1, 2)]
    assert any(f is None for f in found)
    for key, maps in zip((1, 2), found, strict=True):
        if maps is None:
            cache.put(f"k{key}", maps_of(key, count=2))
        else:
            assert same(maps, maps_of(key, count=2))  # the other entry is still good
    assert len(caplog.records) == sum(f is None for f in found) if where != "gone" else len(caplog.records) == 1
    cache.close()
    for reader in (cache, FeatureCache(folder)):
        assert all(same(reader.get(f"k{k}"), maps_of(k, count=2)) for k in (1, 2))
    assert verify(folder) == []


def test_every_flipped_byte_of_a_small_shard_or_manifest_is_noticed(folder):
    """Nothing wrong is ever returned, whichever byte of the two files changes."""
    fill(folder, [1])
    expected = maps_of(1, count=2)
    for suffix in (".safetensors", ".json"):
        path = only(folder, suffix)
        content = path.read_bytes()
        saved = {p: p.read_bytes() for p in folder.iterdir()}
        for offset in range(0, len(content), 37):
            flip(path, offset)
            found = FeatureCache(folder).get("k1")
            assert found is None or same(found, expected)
            # Padding of the header is the only byte that may change without harm.
            assert found is None or content[offset : offset + 1] in (b" ", b"\n")
            for p, original in saved.items():
                p.write_bytes(original)


def test_a_killed_writer_leaves_nothing_visible(folder):
    fill(folder, [1])
    script = f"""
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        import bench3d.files
        from bench3d.features.cache_shards import NewEntry, StoredMap, write_shard
        from bench3d.geometry.pixels import PixelGeometry
        real = os.replace
        def replace(source, target):
            if str(target).endswith(sys.argv[1]):
                os.kill(os.getpid(), signal.SIGKILL)
            real(source, target)
        bench3d.files.os.replace = replace
        values = np.ones((1, 4, 8, 8), np.float32)
        entry = NewEntry([StoredMap(values, PixelGeometry((8, 8), (8, 8)), 1.0)], "m")
        write_shard(Path({str(folder)!r}), "float32", {{"dead": entry}}, {{}})
    """
    for moment in (".safetensors", ".json"):  # before the shard is in place, and before its manifest is
        command = [sys.executable, "-c", textwrap.dedent(script), moment]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    cache = FeatureCache(folder)
    assert cache.get("dead") is None and same(cache.get("k1"), maps_of(1, count=2))
    left = [path for path, _, _ in leftovers(folder)]
    assert len(left) == 3 and verify(folder) == []  # two temporary files and a shard without manifest
    assert collect(folder) == 0  # they may belong to a writer at work
    for path in left:
        os.utime(path, (time.time() - 7200,) * 2)
    assert collect(folder) > 0 and not list(leftovers(folder))
    assert same(FeatureCache(folder).get("k1"), maps_of(1, count=2))


def test_two_processes_write_at_once_and_see_each_other(folder):
    script = f"""
        import sys, torch
        from pathlib import Path
        from bench3d.contracts import FeatureMap, WeightedMap
        from bench3d.features.cache import FeatureCache
        from bench3d.geometry.pixels import PixelGeometry
        cache = FeatureCache(Path({str(folder)!r}), shard_bytes=5000)
        first = int(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        for key in range(first, first + 40):
            geometry = PixelGeometry((8, 8), (8, 8), stride=(1.0, 1.0), grid_size=(8, 8))
            cache.put(f"k{{key}}", [WeightedMap(FeatureMap(torch.full((1, 4, 8, 8), float(key)), (geometry,)))])
        cache.close()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, start], **pipes) for start in ("0", "20")]
    assert [w.stdout.readline() for w in writers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.close()
    assert [w.wait() for w in writers] == [0, 0]
    summary = summarise(folder)
    assert (summary.images, summary.broken, summary.leftovers) == (60, 0, 0)
    assert summary.shards > 10 and verify(folder) == []
    cache = FeatureCache(folder)
    assert all((cache.get(f"k{k}")[0].map.values == k).all() for k in range(60))


def test_a_reader_sees_what_another_writes_later(folder, monkeypatch):
    monkeypatch.setattr("bench3d.features.cache.REFRESH_SECONDS", 0.0)
    reader = FeatureCache(folder)
    assert reader.get("k1") is None
    fill(folder, [1])
    assert same(reader.get("k1"), maps_of(1, count=2))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_one_warning_and_the_run_goes_on(folder, monkeypatch, caplog, code):
    fill(folder, [1])

    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("bench3d.files.os.fsync", fail)
    cache = FeatureCache(folder, shard_bytes=1)
    with caplog.at_level(logging.WARNING, "bench3d"):
        for key in range(2, 6):
            cache.put(f"k{key}", maps_of(key))
        cache.close()
    assert len(caplog.records) == 1 and "goes on" in caplog.text
    assert same(cache.get("k1"), maps_of(1, count=2)) and cache.get("k2") is None
    assert not list(leftovers(folder))


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "cache")
    cache.put("a", maps_of(0))
    cache.close()
    assert cache.get("a") is None and len(caplog.records) == 1


def test_the_shards_used_longest_ago_go_first(folder, monkeypatch):
    monkeypatch.setattr("bench3d.features.cache.TOUCH_SECONDS", 0.0)
    for key in range(4):
        fill(folder, [key])
    size = shard_statuses(folder)[0].bytes
    names = sorted(s.name for s in shard_statuses(folder))
    for age, name in zip((50, 40, 30, 20), names, strict=True):
        os.utime(folder / f"{name}.json", (time.time() - age,) * 2)
    assert FeatureCache(folder).get("k0") is not None  # k0 is now the youngest
    fill(folder, [4], cap_bytes=int(3.5 * size))
    reader = FeatureCache(folder)
    assert [reader.get(f"k{k}") is not None for k in range(5)] == [True, False, False, True, True]
    assert sum(s.bytes for s in shard_statuses(folder)) <= 3.5 * size


def test_a_reader_survives_that_its_shard_is_evicted(folder, caplog):
    fill(folder, [1])
    reader = FeatureCache(folder)
    assert reader.get("k1") is not None
    collect(folder, everything=True)
    assert reader.get("k1") is None and list(folder.iterdir()) == []


def test_a_set_larger_than_half_the_cap_is_not_stored_to_its_end(folder):
    size = 2 * 4 * 4 * 64
    cache = fill(folder, range(20), cap_bytes=20 * size, shard_bytes=1)
    assert cache.stored_bytes == 10 * size
    assert summarise(folder).images == 10
    assert not FeatureCache(folder, cap_bytes=0).enabled


def test_gc_keeps_to_a_size_and_an_age(folder):
    for key in range(3):
        fill(folder, [key])
    for shard, age in zip(sorted(s.name for s in shard_statuses(folder)), (300, 200, 100), strict=True):
        os.utime(folder / f"{shard}.json", (time.time() - age,) * 2)
    collect(folder, older_than=250)
    assert summarise(folder).images == 2
    collect(folder, max_bytes=shard_statuses(folder)[0].bytes)
    reader = FeatureCache(folder)
    assert [reader.get(f"k{k}") is not None for k in range(3)] == [False, False, True]


def test_files_that_are_not_the_caches_are_left_alone(folder):
    fill(folder, [1])
    for name in ("model.safetensors", "config.json", ".hidden.safetensors"):
        (folder / name).write_text("{}")
        os.utime(folder / name, (0, 0))
    collect(folder, everything=True)
    assert sorted(p.name for p in folder.iterdir()) == [".hidden.safetensors", "config.json", "model.safetensors"]


def test_the_cap_is_a_number_of_gigabytes(monkeypatch):
    monkeypatch.setenv("BENCH3D_CACHE_GB", "0.5")
    assert cache_cap() == 500_000_000
    for wrong in ("lots", "-1", "nan", "inf"):
        monkeypatch.setenv("BENCH3D_CACHE_GB", wrong)
        with pytest.raises(UsageError, match="BENCH3D_CACHE_GB"):
            cache_cap()


def test_a_manifest_of_another_version_is_not_believed(folder):
    fill(folder, [1])
    name = only(folder, ".json").stem
    manifest = cache_shards.read_manifest(folder, name)
    cache_shards.write_manifest(folder, name, manifest.model_copy(update={"schema_name": "bench3d.features/2"}))
    assert FeatureCache(folder).get("k1") is None
