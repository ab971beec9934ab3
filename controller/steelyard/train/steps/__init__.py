"""The steps of recipes that train."""
