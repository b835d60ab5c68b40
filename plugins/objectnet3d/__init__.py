"""ObjectNet3D: reader of the official layout, checks, and the writer of its synthetic twin."""
