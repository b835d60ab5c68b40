"""Plots of a board as SVG text."""
