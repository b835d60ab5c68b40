"""Protocols, presets and grids as package data."""
