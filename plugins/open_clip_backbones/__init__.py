"""open_clip_backbones plugin."""
