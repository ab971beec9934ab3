"""The wire between agents and controllers: generated messages and services."""
