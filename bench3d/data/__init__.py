"""Data room: data root, image and mesh files, hashing, worker processes, synthetic twins."""
