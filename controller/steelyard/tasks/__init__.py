"""Tasks: data with splits, preprocessing and a metric; what "accuracy" means for a model."""
