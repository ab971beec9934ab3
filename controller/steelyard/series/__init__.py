"""Series over nights: what looks worse, since when, and whether a confirmation bears it out. Pure functions, no I/O."""
