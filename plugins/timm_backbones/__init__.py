"""Backbones of timm: DINOv2, MAE, CLIP, DeiT by name, and every other timm model as `timm:NAME`."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration, Weights
from bench3d.plugins import hookimpl
from bench3d_plugins.timm_backbones.names import MODELS, Named

SETTINGS = "bench3d_plugins.timm_backbones.settings:TimmSettings"


def registration(name: str, model: Named) -> BackboneRegistration:
    """The registration of a backbone with a name of its own."""
    return BackboneRegistration(
        name=name,
        summary=model.summary,
        factory=f"bench3d_plugins.timm_backbones.model:named.{name.replace('-', '_')}",
        settings=SETTINGS,
        licence=model.licence,
        citation=model.citation,
        url=f"https://huggingface.co/{model.hub}",
        extras=("timm",),
        weights=Weights(source="hub", id=model.hub, licence=model.licence),
        params=model.params,
        patch=model.patch,
        dim=model.dim,
        input_size=32 * model.patch,
    )


@hookimpl
def bench3d_register() -> list[BackboneRegistration]:
    """The named backbones and the family `timm:`."""
    family = BackboneRegistration(
        name="timm:",
        summary="Any timm model with feature maps, e.g. timm:vit_small_patch16_224.dino or timm:resnet50",
        factory="bench3d_plugins.timm_backbones.model:create",
        settings=SETTINGS,
        url="https://huggingface.co/timm",
        extras=("timm",),
        weights=Weights(source="hub", id="timm/{variant}"),
    )
    return [*(registration(name, model) for name, model in MODELS.items()), family]
