"""Detection: boxes from a model's outputs, and how well they match the true ones."""
