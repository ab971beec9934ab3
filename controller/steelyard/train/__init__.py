"""Everything that learns: models as trainable PyTorch modules, and back. PyTorch is an extra, imported on use."""
