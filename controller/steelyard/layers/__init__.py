"""What the layers of a model's file do: multiply-accumulates, parameters and bytes, counted without running it."""
