"""One-shot object pose from a bank of 3D points with features."""
