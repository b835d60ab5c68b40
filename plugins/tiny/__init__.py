"""The embedded backbone `tiny`, its checkpoints and the command that makes their weights again."""

from __future__ import annotations

from bench3d.contracts import BackboneRegistration, Weights
from bench3d.contracts.registration import CommandRegistration, Registration
from bench3d.plugins import hookimpl
from bench3d_plugins.tiny.names import NAME, SHA256, STEPS, weights_name

LICENCE = "Apache-2.0"
RECIPE = "DenseCL (Wang et al., CVPR 2021) with the negatives of SimCLR (Chen et al., ICML 2020)"


def backbone(step: int | None) -> BackboneRegistration:
    """The registration of the weights after a step, None for the end."""
    after = "the end of its pretraining" if step is None else f"{step} steps of its pretraining"
    return BackboneRegistration(
        name=NAME if step is None else f"{NAME}-step-{step}",
        summary=f"Small ViT that ships with bench3d, after {after} on pictures of the generator",
        factory=f"bench3d_plugins.tiny.model:{'create' if step is None else f'steps.at_{step}'}",
        settings="bench3d.features.settings:BackboneSettings",
        licence=LICENCE,
        citation=RECIPE,
        weights=Weights(source="package", id=weights_name(step), sha256=SHA256[step], licence=LICENCE),
        params=2_703_168,
        patch=8,
        dim=192,
        input_size=256,
    )


@hookimpl
def bench3d_register() -> list[Registration]:
    """The backbones and the command."""
    return [
        *(backbone(step) for step in (None, *STEPS)),
        CommandRegistration(
            name="pretrain",
            summary="Make the weights of an embedded backbone again.",
            factory="bench3d_plugins.tiny.command:pretrain",
            licence=LICENCE,
        ),
    ]
