"""The sampler: a process of its own that reads power and energy beside a measurement.

``process.py`` starts it and collects what it says, ``reading.py`` turns that into energy per inference, ``__main__.py``
is the process.
"""
