"""Compression of TFLite models: litert-quantizer under the words of recipes, and rewriting of weights in the file."""
