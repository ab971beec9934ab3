"""Tests of steelyard.stats."""
