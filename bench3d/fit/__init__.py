"""One resumable training loop for every adapter and shape model."""
