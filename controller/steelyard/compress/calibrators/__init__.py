"""Ranges of activations from calibration data, streamed: one pass for extremes, one for histograms of fixed bins."""
