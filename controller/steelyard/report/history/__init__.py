"""A series over its nights, for a terminal and as a picture."""
