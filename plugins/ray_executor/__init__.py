"""Executor `ray`."""
