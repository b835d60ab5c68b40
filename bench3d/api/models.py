"""`bench3d.load_backbone`: a backbone as a function from images to features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench3d.errors import UsageError
from bench3d.runner.resolve import resolve_spec
from bench3d.runner.spec import RunSpec

if TYPE_CHECKING:
    import torch

    from bench3d.api.inputs import Images
    from bench3d.contracts import FeatureMap, Model


def load_backbone(
    name: str,
    *,
    weights: str | os.PathLike[str] = "pretrained",
    device: str = "auto",
    offline: bool = False,
    **settings: Any,
) -> LoadedBackbone:
    """A backbone, ready for images.

        >>> model = bench3d.load_backbone("dinov2", grid=40, layer=-2)
        >>> model("photo.jpg").shape                      # 40 cells on the longer side
        torch.Size([1, 384, 30, 40])

    Args:
        name: registered name; see `bench3d.list("backbone")`.
        weights: "pretrained", "random" or the path of a file.
        device: "auto", "cpu" or "cuda".
        offline: load nothing from the network.
        settings: of the backbone, such as `grid`, `input_size`, `layer`; see `bench3d.describe(name).settings`.

    Raises:
        UnknownNameError: no such backbone; holds the nearest names.
        UsageError: an unknown setting or a wrong value.
        WeightsError: the weights cannot be had.
    """
    from bench3d.machine import choose_device
    from bench3d.runner.models import build_backbone, settle_numerics

    chosen = os.fspath(weights)
    resolved = resolve_spec(RunSpec(backbone=name, weights=chosen, settings={"backbone": settings}))
    where = choose_device(device)
    settle_numerics(offline)
    return LoadedBackbone(
        name, build_backbone(resolved, chosen, where), where, resolved.backbone.settings.model_dump(mode="json")
    )


class LoadedBackbone:
    """A model that is called with images. Everything is computed in float32, without gradients.

    Attributes:
        name: as it was asked for.
        model: the `bench3d.contracts.Model` itself.
        device: "cpu" or "cuda"; features stay there.
        settings: of the backbone, all of them.
    """

    def __init__(self, name: str, model: Model, device: str, settings: dict[str, Any]) -> None:
        from bench3d.features.extract import Extractor

        self.name, self.model, self.device, self.settings = name, model, device, settings
        self._extract = Extractor(model)

    def __call__(self, images: Images) -> torch.Tensor:
        """Dense features (B, C, h, w) float32 of one or several images; a single one gives B = 1.

            >>> features = model([photo, other_photo])

        Args:
            images: a path, a PIL image, a numpy array (H, W, 3) of uint8, a tensor (B, 3, H, W) or (3, H, W) with
                values in [0, 1], or a list of these. The backbone resizes and normalises them itself.

        Raises:
            DataError: a file is missing or no image.
            UsageError: no image; or images of several shapes, whose grids do not fit into one tensor.
        """
        return self.maps(images).values

    def maps(self, images: Images) -> FeatureMap:
        """The same features with their pixel geometry: `.sample(xy)` reads them at pixels of the original images.

            >>> map = model.maps("photo.jpg")
            >>> map.sample(torch.tensor([[[120.5, 80.5]]]))         # (1, 1, C) at the pixel (120, 80)
            >>> map.locate(torch.tensor([[[0.5, 0.5]]]))            # the pixel at the centre of the first cell

        Raises:
            DataError, UsageError: as calling it.
        """
        import torch

        from bench3d.contracts import FeatureMap

        found = self.each(images)
        grids = {tuple(one.values.shape[1:]) for one in found}
        if len(grids) > 1:
            shapes = " and ".join(sorted(f"{h}x{w} cells" for _, h, w in grids))
            raise UsageError(
                f"The images have several shapes: their features have {shapes}.", "Use .each(images), one map an image."
            )
        return FeatureMap(torch.cat([one.values for one in found]), tuple(one.geometry[0] for one in found))

    def each(self, images: Images) -> Sequence[FeatureMap]:
        """One map of one image each: images may have any sizes.

        Raises:
            DataError, UsageError: as calling it, but for the sizes.
        """
        from bench3d.api.inputs import batch_of, image_list
        from bench3d.features.matching import blend

        return [blend(self._extract(batch_of(one, str(n)).to(self.device))) for n, one in enumerate(image_list(images))]

    def describe(self) -> dict[str, Any]:
        """Facts: parameters, patch, input size, where the weights came from."""
        return {**self.model.describe(), "random_weights": self.model.random_weights}

    def __repr__(self) -> str:
        return f"<bench3d backbone {self.name} on {self.device}>"
