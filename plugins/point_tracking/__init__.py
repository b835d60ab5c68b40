"""Tracking points through a video by dense features."""
