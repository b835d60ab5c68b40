"""The timm models that have a name of their own in bench3d. Imports nothing heavy.

`clip` is OpenAI's ViT-B/16 with the QuickGELU it was trained with: timm's own name for these weights,
`vit_base_patch16_clip_224.openai`, computes them with another activation (timm says so in the model's notes).
"""

from __future__ import annotations

from dataclasses import dataclass

DINOV2 = "Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024"
REGISTERS = "Darcet et al., Vision Transformers Need Registers, ICLR 2024"


@dataclass(frozen=True)
class Named:
    """One model: its timm name, the hub repository of its weights, and what `list` shows without importing timm."""

    timm: str
    hub: str
    summary: str
    params: int
    patch: int
    dim: int
    licence: str
    citation: str


def _dinov2(size: str, letter: str, params: int, dim: int, registers: bool) -> Named:
    timm = f"vit_{size}_patch14{'_reg4' if registers else ''}_dinov2.lvd142m"
    summary = f"DINOv2 ViT-{letter}/14{' with registers' if registers else ''}, self-supervised on LVD-142M"
    citation = REGISTERS if registers else DINOV2
    return Named(timm, f"timm/{timm}", summary, params, 14, dim, "Apache-2.0", citation)


def _base(timm: str, summary: str, params: int, licence: str, citation: str, hub: str | None = None) -> Named:
    return Named(timm, f"timm/{hub or timm}", summary, params, 16, 768, licence, citation)


_SIZES = {
    "s": ("small", "S", 22_056_192, 22_057_344, 384),
    "b": ("base", "B", 86_579_712, 86_582_016, 768),
    "l": ("large", "L", 304_367_616, 304_370_688, 1024),
    "g": ("giant", "g", 1_136_479_232, 1_136_483_840, 1536),
}

MODELS: dict[str, Named] = {
    **{f"dinov2-{k}": _dinov2(size, v, plain, dim, False) for k, (size, v, plain, _, dim) in _SIZES.items()},
    **{f"dinov2-reg-{k}": _dinov2(size, v, reg, dim, True) for k, (size, v, _, reg, dim) in _SIZES.items()},
    "mae": _base(
        "vit_base_patch16_224.mae",
        "MAE ViT-B/16, self-supervised on ImageNet-1k",
        85_798_656,
        "CC-BY-NC-4.0",
        "He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022",
    ),
    "clip": _base(
        "vit_base_patch16_clip_quickgelu_224.openai",
        "CLIP ViT-B/16 of OpenAI, image tower",
        85_799_424,
        "MIT",
        "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021",
        hub="vit_base_patch16_clip_224.openai",
    ),
    "clip-iclr25": _base(
        "vit_base_patch16_clip_384.laion2b_ft_in12k_in1k",
        "LAION-2B CLIP ViT-B/16 finetuned on ImageNet-12k and 1k: what the ICLR'25 paper calls CLIP",
        86_091_264,
        "Apache-2.0",
        "Cherti et al., Reproducible Scaling Laws for Contrastive Language-Image Learning, CVPR 2023",
    ),
    "deit": _base(
        "deit3_base_patch16_224.fb_in1k",
        "DeiT III ViT-B/16, supervised on ImageNet-1k",
        85_816_320,
        "Apache-2.0",
        "Touvron et al., DeiT III: Revenge of the ViT, ECCV 2022",
    ),
}
MODELS["dinov2"] = MODELS["dinov2-s"]
MODELS["dinov2-reg"] = MODELS["dinov2-reg-s"]
