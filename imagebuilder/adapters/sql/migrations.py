"""Bringing a database's schema to another revision, by the scripts in the `alembic` folder.

Importing this module costs 0.3 s, for Alembic: only a schema that is not current needs it.
"""

from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from alembic import command

SCRIPTS = Path(__file__).resolve().parents[3] / "alembic"
"""The folder beside the package; imagebuilder is installed editable, from its checkout."""


def revision_in(connection: Connection) -> str | None:
    """Give the schema revision that is stored, or None in a database without our schema."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> frozenset[str]:
    """Give every revision there is a script for."""
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


def head_revision() -> str | None:
    """Give the newest revision there is a script for."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema up to a revision, within the connection's transaction."""
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Take the schema back to a revision, within the connection's transaction."""
    command.downgrade(_config(connection), revision)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
