"""Settings of the PF-PASCAL reader."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PFPascalSettings(BaseModel):
    """Which test pairs are read. The splits val and trn have one list only, whatever is set here."""

    model_config = ConfigDict(extra="forbid")

    list: Literal["standard", "same", "different", "repaired"] = Field(
        default="standard",
        description="standard: the 299 pairs that results are usually reported on. same, different: the two lists of "
        "3DCorrEnhance (ICLR'25) as published: same holds the standard pairs; different holds the same images with the "
        "targets permuted inside each class, although its keypoints carry no numbers, so that their order joins "
        "unequal parts: 131 of 299 rows have unequal numbers of keypoints (the first ones are kept), 9 join an image "
        "to itself, and its PCK stays well below 100 % for perfect features. repaired: the image pairs of different, "
        "keypoints from the annotations, joined by their numbers",
    )
    # Not where the file lies but what is in it counts: the fingerprint holds that.
    list_file: Path | None = Field(
        default=None,
        description="the CSV file of the test pairs; None looks in the data set's folder and beside it",
        json_schema_extra={"identity": False},
    )
