"""Side-by-side ratios against peers; never part of the tests."""
