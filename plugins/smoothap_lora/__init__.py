"""smoothap-lora (ICLR'25): a few LoRA weights and one convolution, finetuned on 3D correspondences."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import (
    AdapterRegistration,
    BackboneRegistration,
    Registration,
)
from bench3d.plugins import hookimpl


@hookimpl
def bench3d_register() -> list[Registration]:
    """The adapter `smoothap-lora`."""
    return [
        AdapterRegistration(
            name="smoothap-lora",
            summary="LoRA on q and v of the last blocks and a 3x3 convolution, finetuned on 3D correspondences.",
            factory="bench3d_plugins.smoothap_lora.adapter:create",
            settings="bench3d_plugins.smoothap_lora.settings:SmoothAPSettings",
            presets="bench3d.configs:presets/smoothap-lora",
            train_dataset="objaverse-renderings",
            accepts="view-sets",
            per_category=False,
            checkpoints=True,
            own_input=True,
            extras=("peft",),
            install="pip install peft",
            licence="Apache-2.0 (independent implementation); published checkpoints: MIT",
            citation="You et al., Multiview Equivariance Improves 3D Correspondence Understanding with Minimal Feature "
            "Finetuning, ICLR 2025",
            url="https://huggingface.co/qq456cvb/3DCorrEnhance",
        )
    ]


@hookimpl
def bench3d_compatible(backbone: BackboneRegistration, adapter: AdapterRegistration | None) -> str | None:
    """A backbone without weights, such as a histogram, has no attention to adapt."""
    if adapter is None or adapter.name != "smoothap-lora":
        return None
    if backbone.weights is None and not backbone.name.endswith(":"):
        return f"smoothap-lora finetunes a transformer, and {backbone.name} has no weights."
    return None


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.smoothap_lora.estimate import estimate

    return estimate(plan)
