"""A copy of a controller's state in one file, and back; it needs no controller that runs, and disturbs none."""
