"""What a fit costs, roughly; no torch.

Measured with dinov2-s, one pair of 3,000 points: 0.61 s of one core at 224 pixels, 4.1 s at 560, 50 s at 1120 with
checkpointing: about twice the forward pass of the two images, as image_cost has it.
"""

from __future__ import annotations

from typing import Any

from bench3d.contracts import BackboneRegistration
from bench3d.features.estimate import image_cost
from bench3d.machine import likely_device
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings

STEP_FORWARDS = 2.0  # a step in forward passes of its images
PAIR_SECONDS = 0.05  # reading, drawing and matching a pair's points
START_BYTES = 1.1e9
IMAGE_BYTES = 16 * 12.0  # kept for the backward pass, of a token and channel
ARTIFACT_BYTES = 25e6


def estimate(plan: Any) -> dict[str, float] | None:
    """Time, memory and disk of the fit where the plan has this adapter."""
    adapter = plan.resolved.adapter
    if adapter is None or not isinstance(adapter.settings, SmoothAPSettings):
        return None
    settings, backbone = adapter.settings, plan.resolved.backbone
    assert isinstance(backbone.registration, BackboneRegistration)
    device = likely_device(plan.spec.device)
    image = image_cost(backbone.registration, backbone.settings, device, 2, settings.grid)
    pairs = settings.iterations * settings.pairs_per_step * settings.accumulate
    checks = 1 if settings.evaluate_every is None else settings.iterations / settings.evaluate_every
    seconds = pairs * (2 * STEP_FORWARDS * image.seconds + PAIR_SECONDS)
    seconds += checks * settings.evaluate_pairs * (2 * image.seconds + PAIR_SECONDS)
    width = backbone.registration.dim or 768
    kept = 2 * settings.pairs_per_step * (settings.grid**2 + 1) * width * IMAGE_BYTES * settings.blocks / 12
    return {
        "fit_seconds/smoothap-lora": seconds,
        "fit_memory_bytes/smoothap-lora": START_BYTES + image.memory_bytes + kept,
        "fit_disk_bytes/smoothap-lora": ARTIFACT_BYTES,
    }
