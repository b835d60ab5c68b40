"""Committed records, rows that papers report, and the page's template (package data)."""
