"""One training loop for every step that learns."""
