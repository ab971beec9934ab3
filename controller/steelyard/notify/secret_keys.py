"""The keys by which a table of a suite names a secret: NAME_env and NAME_file, or env and file."""

from __future__ import annotations

from pathlib import Path

from steelyard.notify.secret import Secret
from steelyard.suites.tables import Table


def secret_of(table: Table, name: str, folder: Path) -> Secret | None:
    """Return the secret that a table names, None where it names none; ``name`` "" for the keys env and file.

    Two of them are a problem of the table. A file's path is relative to ``folder``.
    """
    start = f"{name}_" if name else ""
    variable, file = table.text(f"{start}env"), table.text(f"{start}file")
    if variable and file:
        table.complain("", f"names the variable {variable} and the file {file} for one secret: name one of them")
    if variable:
        return Secret(variable=variable)
    return Secret(file=folder / Path(file).expanduser()) if file else None
