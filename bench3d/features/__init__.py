"""Features: input size policies, weights, dense backbones, extraction. The package itself imports no torch."""
