"""pascal3d plugin."""
