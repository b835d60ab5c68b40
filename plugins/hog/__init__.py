"""hog plugin."""
