"""renderer_cpu plugin."""
