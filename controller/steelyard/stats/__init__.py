"""What the samples allow to be said: estimates, comparisons, verdicts and decisions. Pure functions, no I/O."""
