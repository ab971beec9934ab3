"""The measured process: one artifact in one fresh process. Imports the standard library and numpy only."""
