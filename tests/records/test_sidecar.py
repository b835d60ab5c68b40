"""Sidecars as streams: what is read is what was written, and what strangers write ends in a sentence."""

from __future__ import annotations

import gzip
import hashlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench3d.records.sidecar as sidecar
from bench3d.errors import DataError
from bench3d.records import iter_samples, read_samples, sidecar_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
VALUES = st.recursive(
    NUMBERS | st.none() | st.text(), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5), st.integers(1, 40), st.booleans())
def test_samples_come_back_whatever_the_blocks_and_the_packing(tmp_path_factory, values, block, packed):
    samples = [{"id": str(n)} | {f"x{k}": v for k, v in value.items()} for n, value in enumerate(values)]
    content = "".join(json.dumps(s, ensure_ascii=bool(n % 2)) + "\n" for n, s in enumerate(samples)).encode()
    path = tmp_path_factory.mktemp("s") / ("samples.jsonl.gz" if packed else "samples.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sidecar, "_BLOCK", block)
        stream = iter_samples(path, max_bytes=None)
        assert list(stream) == samples
    assert (stream.lines, stream.bytes, stream.sha256) == (
        len(samples), len(content), hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"id": "a"}\n{"id": "b"', "line 2 is no JSON"),
        (b'{"id": "a"}\n\n{"id": "b"}\n', "line 2 is no JSON"),
        (b'{"id": "a", "x": NaN}', "line 1 is no JSON"),
        (b'{"id": "a", "x": -1e400}', "line 1 is no JSON"),
        (b'{"id": "a", "x": 1, "x": 2}', "'x' stands twice"),
        (b'{"id": "a", "g": {"x" : 1, "x": 2}}', "'x' stands twice"),
        (b'{"id": "a", "x": 1, "\\u0078": 2}', "'x' stands twice"),
        (b'{"id": "\xff"}', "line 1 is no JSON"),
        (b'{"id": "\\ud800"}', "line 1 is no JSON"),
        (b'{"id": 3}', "line 1, field id: missing"),
        (b'["id"]', "line 1, field id: missing"),
        (b'{"id": ' + b"[" * 5000, "line 1 is no JSON"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_json_readers_disagree_about_is_refused(tmp_path, content, words, packed):
    path = tmp_path / ("samples.jsonl.gz" if packed else "samples.jsonl")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=words) as error:
        read_samples(path)
    assert path.name in error.value.message


def test_a_text_that_looks_like_a_key_is_no_second_one(tmp_path):
    (tmp_path / "samples.jsonl").write_text(json.dumps({"id": 'a": "id": "b'}) + "\n")
    assert read_samples(tmp_path / "samples.jsonl") == [{"id": 'a": "id": "b'}]


def test_reading_stops_at_the_bound(tmp_path):
    line = b'{"id": "a"}\n'
    path = tmp_path / "samples.jsonl.gz"
    path.write_bytes(gzip.compress(line) * 1000)
    assert len(read_samples(path, max_bytes=1000 * len(line))) == 1000
    with pytest.raises(DataError, match="more than"):
        read_samples(path, max_bytes=1000 * len(line) - 1)
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b" " * (1 << 20)) * 4096)  # 4 GB
    stream = iter_samples(bomb, max_bytes=10 << 20)
    with pytest.raises(DataError, match="more than 10 MB"):
        list(stream)
    assert stream.bytes <= 12 << 20
    with open(tmp_path / "samples.jsonl", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="more than 10 MB"):
        read_samples(tmp_path / "samples.jsonl", max_bytes=10 << 20)
    with pytest.raises(DataError, match="line 1 has over 100 bytes"):
        list(iter_samples(bomb, max_bytes=None, max_line_bytes=100))


@pytest.mark.parametrize("cut", [1, 9, 12, -9, -1])
def test_a_cut_or_changed_gzip_is_a_sentence(tmp_path, cut):
    path = tmp_path / "samples.jsonl.gz"
    whole = gzip.compress(b'{"id": "a"}\n' * 100)
    path.write_bytes(whole[:cut])
    with pytest.raises(DataError, match="cannot be read"):
        read_samples(path)
    path.write_bytes(whole[:30] + bytes([whole[30] ^ 255]) + whole[31:])
    with pytest.raises(DataError, match=r"cannot be read|no JSON"):
        read_samples(path)


def test_links_are_refused_where_strangers_write_and_pipes_everywhere(tmp_path):
    (tmp_path / "real.jsonl").write_text('{"id": "a"}\n')
    link = tmp_path / "samples.jsonl"
    link.symlink_to(tmp_path / "real.jsonl")
    assert sidecar_of(tmp_path) == link and len(read_samples(link)) == 1
    with pytest.raises(DataError, match="symbolic link"):
        list(iter_samples(link, max_bytes=None, links=False))
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert sidecar_of(tmp_path) == link
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(DataError, match="no regular file"):
        read_samples(link)
    link.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_samples(tmp_path / "samples.jsonl.gz")
    assert sidecar_of(tmp_path) is None
