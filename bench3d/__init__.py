"""bench3d: a benchmark framework for the 3D-awareness of foundation-model features."""

__version__ = "0.1.0"
