"""Cameras, rotations, crops and pixel maps."""
