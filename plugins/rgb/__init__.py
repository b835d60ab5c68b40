"""rgb plugin."""
