"""ZSP: zero-shot pose from a few posed reference frames with depth."""
