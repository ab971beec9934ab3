"""What most likely made series worse: differences of environments lined up with the changes, grouped by cause. Pure."""
