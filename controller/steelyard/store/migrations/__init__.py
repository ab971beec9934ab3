"""Alembic's script location; it lies inside the package so that a wheel carries it."""
