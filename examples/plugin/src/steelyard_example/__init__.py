"""An example of a plugin for Steelyard: a step, a metric and a preprocessing operation."""
