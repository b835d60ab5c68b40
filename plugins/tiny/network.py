"""The network: a timm vision transformer of 2.7 million parameters with patches of 8 pixels.

Positions are rotary (DINOv3's: relative, scaled to the image) and never added to a token: what a cell shows is not
mixed with where it lies, which matching would have to undo. docs/how-to/tiny.md has what was measured.
"""

from __future__ import annotations

import torch
from timm.models.eva import Eva

PATCH, WIDTH, DEPTH, HEADS, GRID = 8, 192, 6, 3, 16
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def build(seed: int) -> Eva:
    """The network with weights from a seed of their own; any input of whole patches.

    Its patch tokens carry no class token: nothing is pooled, in training or after.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Eva(
            img_size=GRID * PATCH,
            patch_size=PATCH,
            embed_dim=WIDTH,
            depth=DEPTH,
            num_heads=HEADS,
            num_classes=0,
            class_token=False,
            global_pool="",
            dynamic_img_size=True,
            # Biases of q and v would lie beside the projection, where no LoRA reaches them.
            qkv_bias=False,
            use_abs_pos_emb=False,
            use_rot_pos_emb=True,
            **(
                {"rope_type": "cat"}
                if __import__("os").environ.get("TINY_ARCH") == "cat"
                else {"rope_type": "dinov3", "rope_temperature": 100.0}
            ),
        )


def normalised(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1] as the network wants them."""
    mean, std = (images.new_tensor(v)[:, None, None] for v in (MEAN, STD))
    return (images - mean) / std


def cells(network: Eva, images: torch.Tensor) -> torch.Tensor:
    """Features (B, WIDTH, h, w) after the final norm, of normalised images."""
    tokens = network.forward_features(images)
    h, w = images.shape[2] // PATCH, images.shape[3] // PATCH
    return tokens.transpose(1, 2).reshape(len(images), WIDTH, h, w)
