"""Changes of stored weights without training: fewer bits, shared values, low rank, zeros."""
