"""The error of a plugin that cannot be used."""

from __future__ import annotations

from steelyard.errors import UsageError


class PluginError(UsageError):
    """A plugin that cannot be imported, keeps no contract or takes a name that is taken; it names plugin and file."""
