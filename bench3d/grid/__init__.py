"""Grids: many runs from one file, planned, handed to an executor, watched, resumed."""
