"""renderer_nvdiffrast plugin."""
