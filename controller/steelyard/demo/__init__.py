"""The demo: two real models and their labelled data that ship with the project."""
