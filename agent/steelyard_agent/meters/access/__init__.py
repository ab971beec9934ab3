"""Ways to read a raw value of power or energy, one file each; ``registry.py`` finds them by name."""
