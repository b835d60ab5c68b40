"""OnePose-LowTexture: reader of the official layout."""
