"""Small vision transformers with random weights, and adapters whose values have moved."""

from __future__ import annotations

import timm
import torch
from open_clip.transformer import VisionTransformer

from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d_plugins.open_clip_backbones.model import AnySize
from bench3d_plugins.open_clip_backbones.model import LayerFeatures as TowerFeatures
from bench3d_plugins.smoothap_lora.adapter import untrained
from bench3d_plugins.smoothap_lora.lora import AdaptedNet
from bench3d_plugins.smoothap_lora.settings import SmoothAPSettings
from bench3d_plugins.timm_backbones.model import LayerFeatures

WIDTH = 48
DEPTH = 6
TIMM = {
    "vit": "vit_tiny_patch16_224",
    "dinov2": "vit_small_patch14_dinov2",
    "dinov2-reg": "vit_small_patch14_reg4_dinov2",
    "mae": "vit_base_patch16_224.mae",
    "clip": "vit_base_patch16_clip_224",
    "deit": "deit3_small_patch16_224",
}


def backbone(name: str, layer: int = DEPTH - 1, width: int = WIDTH, seed: int = 0) -> DenseBackbone:
    """A backbone as its plugin builds it, of one of TIMM's architectures or `open-clip`, but narrow and shallow."""
    torch.manual_seed(seed)
    if name == "open-clip":
        tower = VisionTransformer(64, 16, width, DEPTH, 3, 4.0, output_dim=8)
        patch, net = 16, AnySize(TowerFeatures(tower, layer, True))
    else:
        model = timm.create_model(
            TIMM[name], embed_dim=width, depth=DEPTH, num_heads=3, num_classes=0, dynamic_img_size=True
        )
        patch, net = model.patch_embed.patch_size[0], LayerFeatures(model, layer, True)
    for key, value in net.named_parameters():
        # At the layer scales' own 1e-5 no change inside a block would reach the output.
        value.data = torch.rand_like(value) + 0.5 if key.endswith("gamma") else value + 0.1 * torch.randn_like(value)
    facts = {"timm": f"small-{name}", "dim": width, "layer": layer, "layers": DEPTH}
    return DenseBackbone(net, patch=patch, settings=BackboneSettings(grid=4), facts=facts)


def trained(model: DenseBackbone, **settings) -> tuple[DenseBackbone, AdaptedNet]:
    """An adapted model whose every trainable value has moved."""
    other, net = untrained(model, SmoothAPSettings(**settings), seed=0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in net.trainable().items():
            value.add_((0.3 if "lora_" in name else 0.05) * torch.randn(value.shape, generator=generator))
    return other, net


def images(model: DenseBackbone) -> torch.Tensor:
    return torch.randn(2, 3, model.canvas, model.canvas, generator=torch.Generator().manual_seed(3))
