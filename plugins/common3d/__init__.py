"""common3d plugin."""
