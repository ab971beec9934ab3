"""From recorded rounds to figures with intervals, comparisons and a decision; the statistics are steelyard.stats."""
