"""Any timm model as a backbone: build, load weights, take the features of one layer."""

from __future__ import annotations

import inspect
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import timm
import torch
from timm.layers import PatchEmbed
from timm.models import get_pretrained_cfg, is_model, list_models
from timm.models.vision_transformer import VisionTransformer

from bench3d.errors import UnknownNameError, UsageError, WeightsError
from bench3d.features.alignment import measure_origin
from bench3d.features.backbone import DenseBackbone
from bench3d.features.settings import BackboneSettings
from bench3d.features.weights import HubFile, file_facts, hub_file, load_exactly, read_state_dict, weights_file
from bench3d.plugins.names import did_you_mean
from bench3d_plugins.timm_backbones.names import MODELS
from bench3d_plugins.timm_backbones.settings import TimmSettings
from bench3d_plugins.timm_backbones.strided import OverlappingBackbone, OverlappingPatches, embed_layer

HUB_FILES = ("model.safetensors", "pytorch_model.bin")


class LayerFeatures(torch.nn.Module):
    """A timm model that answers with the features of one layer, (B, 3, H, W) -> (B, C, h, w).

    Attributes:
        model: the timm model, without classifier.
        layer: index of the block or stage.
        norm: whether the model's final norm is applied.
    """

    def __init__(self, model: torch.nn.Module, layer: int, norm: bool) -> None:
        super().__init__()
        self.model, self.layer, self.norm = model, layer, norm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raises UsageError where the model cannot take an image of this size."""
        try:
            (values,) = self.model.forward_intermediates(  # type: ignore[operator]
                images,
                indices=[self.layer],
                norm=self.norm,
                intermediates_only=True,
                output_fmt="NCHW",
                stop_early=True,
            )
        except (AssertionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "must match" not in str(error):
                raise
            size, reason = f"{images.shape[3]}x{images.shape[2]}", str(error).rstrip(".")
            own = self.model.pretrained_cfg["input_size"]  # type: ignore[index]
            raise UsageError(
                f"{type(self.model).__name__} refuses a {size} input ({reason}).",
                "Set backbone.tokens=prenorm."
                if "norm" in reason
                else f"It takes square crops; set backbone.input_size={own[-1]}.",
            ) from error
        return values


def create(
    weights: str,
    settings: BackboneSettings,
    device: str,
    variant: str,
    owner: str | None = None,
    params: int | None = None,
) -> DenseBackbone:
    """The backbone of a timm model.

    Args:
        weights: "pretrained", "random" or a file (.safetensors or .pth; timm's or the publisher's tensor names).
        settings: layer, tokens, input policy, seed, revision.
        device: torch device.
        variant: timm's name, with or without the tag of the weights.
        owner: bench3d's name for it, for messages.
        params: number of its parameters, where known, for messages.

    Raises:
        UnknownNameError: timm has no such model; holds the nearest names.
        UsageError: no feature maps, or no such layer.
        WeightsError: the weights cannot be had or do not fit.
    """
    owner = owner or f"timm:{variant}"
    _check_name(variant)
    # Before the network is built: where there are no weights, a giant model's user should not wait to hear so.
    path, facts = _weights(weights, variant, settings, owner, params)
    model, layer = build(variant, settings, owner)
    layers = _reductions(model)
    net = LayerFeatures(model, layer, norm=settings.tokens == "normed").eval()
    # A transformer's cells are its patches; where a convolutional net's lie is measured while its weights are random.
    origin = 0.0 if len(set(layers)) == 1 else measure_origin(net, layers[layer])
    if path is not None:
        load(model, path)
    config = timm.data.resolve_model_data_config(model)
    overlap = next((m for m in model.modules() if isinstance(m, OverlappingPatches)), None)
    make = DenseBackbone if overlap is None else partial(OverlappingBackbone, stride=overlap.stride)
    return make(
        net,
        patch=layers[layer],
        settings=settings,
        device=device,
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        origin=origin,
        random_weights=weights == "random",
        facts={
            "timm": variant,
            "timm_version": timm.__version__,
            "dim": _width(model, layer),
            "layer": layer,
            "layers": len(layers),
            "tokens": settings.tokens,
            **({} if overlap is None else {"stride": overlap.stride}),
            **facts,
        },
    )


def _weights(
    weights: str, variant: str, settings: BackboneSettings, owner: str, params: int | None
) -> tuple[Path | None, dict[str, Any]]:
    """The file to load, None for random weights, and its facts for the record."""
    if weights == "pretrained":
        found = _pretrained(variant, settings.revision, owner, params)
        digest = f"{found.repo}@{found.revision or 'main'}"
        return found.path, {"weights": found.facts(), "weights_digest": digest}
    path = weights_file(weights)
    if path is None:
        return None, {"weights": {"source": "random", "seed": settings.seed}}
    about = file_facts(path)
    return path, {"weights": about, "weights_sha256": about["sha256"]}


def build(variant: str, settings: BackboneSettings, owner: str) -> tuple[torch.nn.Module, int]:
    """The timm model without classifier, its random weights drawn from `settings.seed`, and the index of the layer.

    Any input size where timm can; a model that wants to know its size when it is built gets that of the canvas.
    """
    model = _create(variant, settings.seed, dynamic_img_size=True)
    stride = _stride(settings, model, owner)
    if stride is not None:
        model = _create(variant, settings.seed, dynamic_img_size=True, embed_layer=embed_layer(stride))
    dynamic = model is not None
    model = model or _create(variant, settings.seed)
    layers = _reductions(model) if model is not None else []
    if model is None or not layers or not hasattr(model, "forward_intermediates"):
        raise UsageError(f"{owner} offers no feature maps.", "Choose a model with forward_intermediates in timm.")
    layer = _layer_index(settings.layer, len(layers), owner)
    canvas = settings.canvas(layers[layer])
    if not dynamic and canvas is not None and "img_size" in inspect.signature(type(model)).parameters:
        model = _create(variant, settings.seed, img_size=canvas) or model
    return model, layer


def _stride(settings: BackboneSettings, model: torch.nn.Module | None, owner: str) -> int | None:
    """Input pixels between two patches where they are to overlap, None where not: `half` is a wish, a number an order.

    Raises:
        UsageError: the model has no patches that can overlap, or smaller ones.
    """
    wanted = settings.stride if isinstance(settings, TimmSettings) else None
    if wanted is None:
        return None
    if not isinstance(model, VisionTransformer) or type(model.patch_embed) is not PatchEmbed:
        if wanted == "half":
            return None
        raise UsageError(f"{owner} has no patches that could overlap.", "Set backbone.stride=null.")
    patch = int(model.patch_embed.patch_size[0])
    stride = patch // 2 if wanted == "half" else wanted
    if stride > patch:
        raise UsageError(f"backbone.stride={stride}: patches of {owner} have {patch} pixels.", f"Up to {patch}.")
    return None if stride == patch else stride


def _create(variant: str, seed: int, **options: Any) -> torch.nn.Module | None:
    """The model from a seed of its own, None where it does not know an option or refuses its value."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return timm.create_model(variant, pretrained=False, num_classes=0, **options)
        except (TypeError, AssertionError):
            if options:
                return None
            raise


def _reductions(model: torch.nn.Module) -> list[int]:
    """Input pixels per cell of each layer."""
    return [int(info["reduction"]) for info in getattr(model, "feature_info", None) or []]


def _check_name(variant: str) -> None:
    base, _, tag = variant.partition(".")
    if not is_model(base):
        raise UnknownNameError(f"timm has no model named {variant}.", did_you_mean(base, list_models()))
    try:
        get_pretrained_cfg(variant)
    except RuntimeError as error:
        known = list_models(f"{base}.*", pretrained=True)
        raise UnknownNameError(f"timm has no weights {tag} of {base}.", did_you_mean(variant, known)) from error


def _layer_index(layer: int | None, count: int, owner: str) -> int:
    index = count - 1 if layer is None else layer + count if layer < 0 else layer
    if not 0 <= index < count:
        raise UsageError(
            f"backbone.layer={layer}: {owner} has layers 0 to {count - 1}.", f"Or {-count} to -1, from the end."
        )
    return index


def _width(model: torch.nn.Module, layer: int) -> int:
    return int(model.feature_info[layer]["num_chs"])  # type: ignore[index]


def _pretrained(variant: str, revision: str | None, owner: str, params: int | None) -> HubFile:
    config = get_pretrained_cfg(variant)
    if config is None or not config.hf_hub_id:
        url = f" (from {config.url})" if config is not None and config.url else ""
        raise WeightsError(
            f"timm publishes no weights of {owner} on the hub.", f"Give a file with --weights FILE{url}."
        )
    names = (config.hf_hub_filename,) if config.hf_hub_filename else HUB_FILES
    return hub_file(config.hf_hub_id, names, owner, revision, size=None if params is None else 4 * params)


def load(model: torch.nn.Module, path: Path) -> None:
    """Loads a file into a model without classifier.

    Raises:
        WeightsError: unreadable, or a tensor is missing, superfluous or of another shape.
    """
    heads = model.pretrained_cfg.get("classifier") or ()  # type: ignore[operator, union-attr]
    prefixes = tuple(f"{name}." for name in ((heads,) if isinstance(heads, str) else heads))
    state = _adapt(read_state_dict(path), model, path)
    load_exactly(model, state, path.name, ignore=lambda key: bool(prefixes) and key.startswith(prefixes))


def _adapt(state: dict[str, torch.Tensor], model: torch.nn.Module, path: Path) -> dict[str, torch.Tensor]:
    """The state dict in timm's naming and at the model's own grid, by timm's filter for this architecture."""
    adapt = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if adapt is None:
        return state
    options: dict[str, Any] = {}
    gammas = any(re.search(r"gamma_\d", key) for key in state)
    if gammas and "adapt_layer_scale" in inspect.signature(adapt).parameters:
        options["adapt_layer_scale"] = True
    try:
        return dict(adapt(state, model, **options))
    except Exception as error:
        # timm's filters index into the dict without looking: a foreign file gives KeyError, RuntimeError and others.
        raise WeightsError(
            f"{path.name} does not fit this network ({type(error).__name__}: {error}).",
            "Give the weights of the same architecture.",
        ) from error


named = SimpleNamespace(
    **{
        name.replace("-", "_"): partial(create, variant=model.timm, owner=name, params=model.params)
        for name, model in MODELS.items()
    }
)
