"""co3d plugin."""
