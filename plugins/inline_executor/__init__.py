"""Executor `inline`."""
