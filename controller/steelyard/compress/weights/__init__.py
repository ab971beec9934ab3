"""Changes of stored weights that need no training: fewer bits, shared values, low rank, zeros. Pure apart from files."""
