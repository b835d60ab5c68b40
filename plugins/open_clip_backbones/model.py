"""OpenCLIP image towers as backbones. The text tower is never built at its size nor loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from bench3d.errors import UnknownNameError, UsageError, WeightsError
from bench3d.features.alignment import measure_origin
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d.features.weights import HubFile, file_facts, hub_file, load_exactly, read_state_dict, weights_file
from bench3d.plugins.names import did_you_mean

HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TINY_TEXT = {"context_length": 2, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1}
CLIP_MEAN, CLIP_STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


class LayerFeatures(torch.nn.Module):
    """An image tower that answers with the features of one layer, (B, 3, H, W) -> (B, C, h, w)."""

    def __init__(self, visual: torch.nn.Module, layer: int, norm: bool) -> None:
        super().__init__()
        self.visual, self.layer, self.norm = visual, layer, norm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raises UsageError where a tower built on timm is given another size than it was made for."""
        try:
            answer = self.visual.forward_intermediates(  # type: ignore[operator]
                images,
                indices=[self.layer],
                stop_early=True,
                normalize_intermediates=self.norm,
                intermediates_only=True,
            )
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "must match" not in str(error):
                raise
            raise UsageError(
                f"This tower refuses a {images.shape[3]}x{images.shape[2]} input ({str(error).rstrip('.')}).",
                "It takes square crops of one size: set backbone.grid or backbone.input_size.",
            ) from error
        return answer["image_intermediates"][0]


class AnySize(torch.nn.Module):
    """A transformer's features for any grid of patches.

    OpenCLIP's transformers have one position per patch of their own input size. For another grid the positions are
    resampled as OpenCLIP does when it loads weights at another size (bicubic, antialiased), here for each input.
    """

    def __init__(self, features: LayerFeatures) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W), sides multiples of the patch -> (B, C, h, w)."""
        visual: Any = self.features.visual
        rows, columns = (side // patch for side, patch in zip(images.shape[2:], visual.patch_size, strict=True))
        positions = resample_positions(visual.positional_embedding, visual.grid_size, (rows, columns))
        return torch.func.functional_call(self.features, {"visual.positional_embedding": positions}, (images,))


def resample_positions(positions: torch.Tensor, old: tuple[int, int], new: tuple[int, int]) -> torch.Tensor:
    """Position embeddings (1 + rows * columns, C), class token first, at another grid (rows, columns)."""
    if tuple(old) == tuple(new):
        return positions
    token, grid = positions[:1], positions[1:].reshape(1, *old, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=new, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([token, grid.permute(0, 2, 3, 1).reshape(new[0] * new[1], -1)])


def create(weights: str, settings: BackboneSettings, device: str, variant: str) -> DenseBackbone:
    """The backbone of an OpenCLIP image tower.

    Args:
        weights: "pretrained", "random" or a file (.safetensors or .pth, of the whole CLIP or of its image tower).
        settings: layer, tokens, input policy, seed, revision.
        device: torch device.
        variant: "ARCH/PRETRAINED"; the tag may be left out with random weights or a file.

    Raises:
        UnknownNameError: no such architecture or tag; holds the nearest names.
        UsageError: no such layer.
        WeightsError: the weights cannot be had or do not fit.
    """
    owner = f"open-clip:{variant}"
    path = weights_file(weights)
    architecture, tag = _split(variant)
    config: Mapping[str, Any] = get_pretrained_cfg(architecture, tag) if tag else {}
    facts: dict[str, Any] = {"weights": {"source": "random", "seed": settings.seed}}
    if weights == "pretrained":
        found = _pretrained(architecture, tag, config, settings.revision, owner)
        path, facts = (
            found.path,
            {"weights": found.facts(), "weights_digest": f"{found.repo}@{found.revision or 'main'}"},
        )
    elif path is not None:
        about = file_facts(path)
        facts = {"weights": about, "weights_sha256": about["sha256"]}
    visual = build(architecture, settings, quick_gelu=bool(config.get("quick_gelu")))
    layers = _reductions(visual)
    layer = _layer_index(settings.layer, len(layers), owner)
    normed = settings.tokens == "normed"
    if normed and _norm_is_for_the_pooled(visual):
        raise UsageError(f"{owner} has no norm for its tokens.", "Set backbone.tokens=prenorm.")
    features = LayerFeatures(visual, layer, normed).eval()
    net = AnySize(features).eval() if hasattr(visual, "positional_embedding") else features
    origin = 0.0 if len(set(layers)) == 1 else measure_origin(net, layers[layer])
    if path is not None:
        load(visual, path)
    return DenseBackbone(
        net,
        patch=layers[layer],
        settings=settings,
        device=device,
        mean=config.get("mean", CLIP_MEAN),
        std=config.get("std", CLIP_STD),
        interpolation=config.get("interpolation", "bicubic"),
        origin=origin,
        random_weights=weights == "random",
        facts={
            "open_clip": variant,
            "open_clip_version": open_clip.__version__,
            "dim": _width(visual, layer),
            "layer": layer,
            "layers": len(layers),
            "tokens": settings.tokens,
            **facts,
        },
    )


def _split(variant: str) -> tuple[str, str | None]:
    """("ViT-B-16", tag or None); names are checked."""
    architecture, _, tag = variant.partition("/")
    if architecture not in open_clip.list_models():
        raise UnknownNameError(
            f"OpenCLIP has no architecture {architecture}.", did_you_mean(architecture, open_clip.list_models())
        )
    tags = list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        hint = did_you_mean(tag, tags) or "It has no published weights."
        raise UnknownNameError(f"OpenCLIP has no weights {tag} of {architecture}.", hint)
    return architecture, tag or None


def _pretrained(
    architecture: str, tag: str | None, config: Mapping[str, Any], revision: str | None, owner: str
) -> HubFile:
    if tag is None:
        tags = list_pretrained_tags_by_model(architecture)
        raise UsageError(
            f"{owner} does not say which weights.",
            f"Add one of /{', /'.join(tags)}." if tags else "It has none: take --weights random or a file.",
        )
    repo, _, name = str(config.get("hf_hub") or "").rpartition("/")
    if not repo:
        raise WeightsError(f"OpenCLIP publishes no weights of {owner} on the hub.", "Give a file with --weights FILE.")
    return hub_file(repo, (name,) if name else HUB_FILES, owner, revision)


def build(architecture: str, settings: BackboneSettings, quick_gelu: bool) -> Any:
    """The image tower, its random weights drawn from `settings.seed`; QuickGELU where the weights were trained so."""
    config = open_clip.get_model_config(architecture)
    vision = config["vision_cfg"]
    # A tower built on timm is made for one size; OpenCLIP's own take any.
    patch = int(vision.get("patch_size") or 16)
    canvas = settings.canvas(patch) if vision.get("timm_model_name") else None
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # OpenCLIP warns on the root logger that there are no weights yet.
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            model = open_clip.create_model(
                architecture,
                force_image_size=canvas,
                force_quick_gelu=quick_gelu,
                pretrained_text=False,
                text_cfg=TINY_TEXT,
            )
    finally:
        logger.setLevel(level)
    return model.visual


def _reductions(visual: Any) -> list[int]:
    """Input pixels per cell of each layer."""
    if hasattr(visual, "trunk"):
        return [int(info["reduction"]) for info in visual.trunk.feature_info]
    if hasattr(visual, "transformer"):
        return [int(visual.patch_size[0])] * len(visual.transformer.resblocks)
    return [4, 4, 8, 16, 32]  # ModifiedResNet: stem and four stages


def _width(visual: Any, layer: int) -> int:
    if hasattr(visual, "trunk"):
        return int(visual.trunk.feature_info[layer]["num_chs"])
    if hasattr(visual, "transformer"):
        return int(visual.positional_embedding.shape[1])
    return int(visual.conv3.out_channels) * (1, 4, 8, 16, 32)[layer]


def _norm_is_for_the_pooled(visual: Any) -> bool:
    """CoCa's final norm comes after its attention pooling and has another width than the tokens."""
    if not hasattr(visual, "ln_post"):
        return False
    return visual.ln_post.weight.shape[0] != visual.positional_embedding.shape[1]


def _layer_index(layer: int | None, count: int, owner: str) -> int:
    index = count - 1 if layer is None else layer + count if layer < 0 else layer
    if not 0 <= index < count:
        raise UsageError(
            f"backbone.layer={layer}: {owner} has layers 0 to {count - 1}.", f"Or {-count} to -1, from the end."
        )
    return index


def load(visual: Any, path: Path) -> None:
    """Loads an image tower from a checkpoint of the whole CLIP, or of the tower alone.

    Raises:
        WeightsError: unreadable, or a tensor is missing, superfluous or of another shape.
    """
    state = read_state_dict(path)
    tower = {k.removeprefix("visual."): v for k, v in state.items() if k.startswith("visual.")} or state
    positions, own = tower.get("positional_embedding"), getattr(visual, "positional_embedding", None)
    if positions is not None and own is not None and positions.shape != own.shape and positions.ndim == own.ndim:
        side = round((len(positions) - 1) ** 0.5)
        if side * side == len(positions) - 1:
            tower["positional_embedding"] = resample_positions(positions, (side, side), visual.grid_size)
    load_exactly(visual, tower, path.name)
