"""Settings of the PF-PASCAL reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PFPascalSettings(BaseModel):
    """Which test pairs are read. The splits val and trn have one list only, whatever is set here.

    Attributes:
        list: `standard`: the 299 pairs that results are usually reported on. `same` and `different`: the two lists of
            3DCorrEnhance (ICLR'25) as published; `same` holds the standard pairs, `different` the same images with the
            targets permuted inside each class (see `PFPascal.notes`). `repaired`: the image pairs of `different` with
            keypoints from the annotations, joined by their numbers.
        list_file: the CSV file of the test pairs; None looks in the data set's folder and beside it.
    """

    model_config = ConfigDict(extra="forbid")

    list: Literal["standard", "same", "different", "repaired"] = "standard"
    # Not where the file lies but what is in it counts: the fingerprint holds that.
    list_file: Path | None = Field(default=None, json_schema_extra={"identity": False})
