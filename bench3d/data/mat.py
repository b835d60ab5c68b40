"""MATLAB 5 files of arrays: read with every value checked, written without a date."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat, savemat

from bench3d.errors import DataError

HINT = "Get the file again."
HEADER = "MATLAB 5.0 MAT-file, written by bench3d-twin"


def read_mat_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named variables as float64 arrays of two axes, as MATLAB stores them; NaN stays.

    Only numbers are taken: cells, structs, text and function handles are refused. Nothing in the file is executed.

    Raises:
        DataError: the file is missing or broken, or a variable is missing or holds no numbers; names file and field.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"The annotation {path} is missing.", "Complete the data set.") from None
    except OSError as error:
        raise DataError(f"The annotation {path} cannot be read ({error.strerror or error}).", HINT) from error
    try:
        found = loadmat(io.BytesIO(content), variable_names=list(names))
    except Exception as error:
        # Broken files make scipy raise anything from TypeError to zlib.error.
        raise DataError(f"The annotation {path} is no readable MATLAB 5 file ({error}).", HINT) from error
    arrays = {}
    for name in names:
        value = found.get(name)
        if value is None:
            raise DataError(f"{path}: field {name} is missing.", HINT)
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != 2:
            raise DataError(f"{path}: field {name} is no matrix of numbers.", HINT)
        arrays[name] = value.astype(np.float64)
    return arrays


def mat_bytes(values: Mapping[str, object], compress: bool = False) -> bytes:
    """A MATLAB 5 file whose header carries no date, so that equal values give equal bytes."""
    buffer = io.BytesIO()
    savemat(buffer, dict(values), do_compression=compress, long_field_names=True)
    return HEADER.encode("ascii").ljust(116) + buffer.getvalue()[116:]
