import builtins
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench3d.data.safe_pickle import PickledArray, load_pickle
from bench3d.errors import DataError

VIDEO = np.random.default_rng(0).integers(0, 255, (6, 90, 70, 3), dtype=np.uint8)  # longer than what is kept inline


def written(tmp_path, content):
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(1, 6))
def test_what_numpy_writes_is_read_back(tmp_path, protocol):
    value = {
        "video": VIDEO,
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(4, dtype=">i4"),
        "flags": np.array([[True, False]]),
        "empty": np.zeros((0, 2), np.float32),
        5: [1, -2, 10**12, 0.5, True, None, "ü", b"\x00", (1, 2, 3, 4), np.float32(2.5), np.int64(-7), np.True_],
    }
    found = load_pickle(written(tmp_path, pickle.dumps(value, protocol=protocol)))
    for name in ("video", "fortran", "big", "flags", "empty"):
        assert found[name].dtype == value[name].dtype
        np.testing.assert_array_equal(found[name].read(), value[name])
    np.testing.assert_array_equal(found["video"].row(4), VIDEO[4])
    np.testing.assert_array_equal(found["fortran"].row(1), [3.0, 4.0, 5.0])
    assert found[5] == value[5]
    assert [type(v) for v in found[5][-3:]] == [float, int, bool]


def test_a_long_array_stays_in_the_file(tmp_path):
    path = written(tmp_path, pickle.dumps(VIDEO, protocol=4))
    array = load_pickle(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="shorter"):
        array.row(0)


scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@given(value=values, protocol=st.integers(1, 5))
def test_plain_values_come_back(tmp_path_factory, value, protocol):
    path = written(tmp_path_factory.mktemp("p"), pickle.dumps(value, protocol=protocol))
    assert load_pickle(path) == value


class Runs:
    """A pickle of it calls what it was given."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


TOUCH = "open(__import__('os').environ['HOSTILE'], 'w').close()"
HOSTILE = {
    "os.system": Runs(os.system, "touch $HOSTILE"),
    "eval": Runs(builtins.eval, TOUCH),
    "exec": Runs(builtins.exec, TOUCH),
    "open": Runs(open, "hostile-file", "w"),
    "getattr": Runs(builtins.getattr, "x", "upper"),
    "another class": OrderedDict(a=1),
    "Path": Path("x"),
    "objects in an array": np.array([Runs(os.system, "touch $HOSTILE")], dtype=object),
    "structured array": np.zeros(2, dtype=[("a", "i4")]),
    "a set": {1, 2},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nothing_that_is_no_data_is_made(tmp_path, monkeypatch, name, protocol):
    mark = tmp_path / "mark"
    monkeypatch.setenv("HOSTILE", str(mark))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"x\.pkl is refused"):
        load_pickle(written(tmp_path, pickle.dumps({"a": HOSTILE[name]}, protocol=protocol)))
    assert not mark.exists()
    assert not (tmp_path / "hostile-file").exists()


def short(text):
    return b"\x8c" + struct.pack("<B", len(text)) + text


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
PROGRAMS = {
    "a name by the old opcode": b"(S'touch x'\nios\nsystem\n.",
    "an instance": b"(cbuiltins\nlist\no.",
    "a new object": b"cnumpy\nndarray\n)\x81.",
    "a persistent id": b"Px\n.",
    "a persistent id in binary": b"NQ.",
    "an extension code": b"\x82\x01.",
    "an out-of-band buffer": b"\x97.",
    "state of a name": b"cnumpy\nndarray\n}(" + short(b"read") + b"Nub.",
    "state of a list": b"]}b.",
    "state of an array twice": RECONSTRUCT
    + b"(tR"
    + 2 * (b"(K\x01(K\x01tcnumpy\ndtype\n(" + short(b"u1") + b"tR\x89C\x01atb")
    + b".",
    "a call of what was made": RECONSTRUCT + b"(tR(tR.",
    "a call of a text": b"\x8c\x01a(tR.",
    "a name of names": b"\x8c\x05numpy\x8c\x0fndarray.__class__\x93.",
    "a submodule": b"\x8c\x08builtins\x8c\x04eval\x93.",
    "a name that is returned": b"cnumpy\ndtype\n.",
    "an encoding that decodes": b"c_codecs\nencode\n(\x8c\x01a\x8c\x04rot1tR.",
    "an array of the wrong size": RECONSTRUCT + b"(tR(K\x01(K\x09tcnumpy\ndtype\n(" + short(b"u1") + b"tR\x89C\x01atb.",
    "an array of a negative size": RECONSTRUCT
    + b"(tR(K\x01(J\xff\xff\xff\xfftcnumpy\ndtype\n("
    + short(b"u1")
    + b"tR\x89C\x00tb.",
    "a type that is a program": b"cnumpy\ndtype\n(" + short(b"O8") + b"tR.",
    "a long number": b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b".",
    "a negative length": b"T\xff\xff\xff\xff.",
    "a length beyond the file": b"\x8e" + b"\xff" * 8 + b".",
    "a stack that runs empty": b"\x87.",
    "a memory that is not there": b"h\x05.",
    "no mark": b"t.",
    "no end": b"N",
    "no program": b"hello",
    "a list in itself": b"]q\x00h\x00a.",
    "a key that is no key": b"}]Ns.",
    "a dictionary of three": b"(NNNd.",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_hostile_programs_are_refused_in_a_sentence(tmp_path, name):
    with pytest.raises(DataError):
        load_pickle(written(tmp_path, b"\x80\x04" + PROGRAMS[name]))


@given(cut=st.integers(0, 400), flip=st.integers(0, 399), to=st.integers(0, 255))
def test_a_damaged_file_ends_in_a_sentence_or_in_data(tmp_path_factory, cut, flip, to):
    content = bytearray(pickle.dumps({"a": np.arange(9.0), "b": [1, "x", {2: (3, None)}]}, protocol=4))
    content[flip % len(content)] = to
    path = written(tmp_path_factory.mktemp("d"), bytes(content[: max(1, len(content) - cut)]))
    try:
        found = load_pickle(path)
    except DataError:
        return
    assert found is None or isinstance(found, (dict, list, tuple, str, bytes, int, float, PickledArray))


def test_missing_and_empty_files_are_named(tmp_path):
    with pytest.raises(DataError, match="missing"):
        load_pickle(tmp_path / "no.pkl")
    with pytest.raises(DataError, match="empty"):
        load_pickle(written(tmp_path, b""))
