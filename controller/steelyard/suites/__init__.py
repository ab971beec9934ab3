"""Suites: the TOML file that says what a night measures, checked, expanded into cells and planned within a budget."""
