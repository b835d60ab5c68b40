"""Conformance kit for plugin authors: call a check on what your plugin makes; it raises PluginError with a sentence."""

from bench3d.testing.backbones import check_backbone, check_batch, check_contract, check_localisation, check_ramp

__all__ = ["check_backbone", "check_batch", "check_contract", "check_localisation", "check_ramp"]
