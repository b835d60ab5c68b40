"""Settings of the timm backbones. Importing this module loads no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from bench3d.features.settings import BackboneSettings


class TimmSettings(BackboneSettings):
    """Settings of a network backbone, and how far apart its patches lie."""

    stride: Annotated[int, Field(ge=1)] | Literal["half"] | None = Field(
        default=None,
        description="input pixels between two patches, less than the patch for overlapping ones (a finer map of the "
        "same network, position embedding interpolated); half: half a patch where patches can overlap; none: the patch",
    )

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # It came later: runs without it keep the identity that they had.
        values: dict[str, Any] = dump(self)
        if self.stride is None:
            values.pop("stride", None)
        return values
