"""Brings a database to this program's schema, in one transaction, whenever a store is opened."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from steelyard.store.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"


def is_current(connection: Connection) -> bool:
    """Say whether the database has exactly this program's schema; writes nothing."""
    return _heads(connection) == {_script().get_current_head()}


def migrate(connection: Connection, path: Path, *, revision: str = "head") -> None:
    """Upgrade the database behind ``connection``, which is in a transaction, to ``revision``.

    Raises:
        StoreError: ``store_newer`` when a later program wrote it, ``store_foreign`` when it was never ours.
    """
    known = {script.revision for script in _script().walk_revisions()}
    _refuse_unknown(connection, path, _heads(connection), known)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    # A folder with a per cent sign would be read as an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _heads(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _refuse_unknown(connection: Connection, path: Path, heads: set[str], known: set[str]) -> None:
    if heads - known:
        raise StoreError(
            "store_newer",
            f"the database {path} has schema {', '.join(sorted(heads))} of a newer steelyard; "
            f"upgrade this one (it knows {max(known)}) or name another state directory",
        )
    if not heads and inspect(connection).get_table_names():
        raise StoreError(
            "store_foreign",
            f"the database {path} was not made by steelyard; move it away or name another state directory",
        )
