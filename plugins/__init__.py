"""Plugins that ship with bench3d, each registered through the same door as a third party's."""
