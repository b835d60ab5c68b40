"""timm_backbones plugin."""
