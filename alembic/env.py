"""Runs revisions on the connection that adapters/sql opened, inside its transaction.

There is no command line and no alembic.ini: `imagebuilder` brings a catalogue up to date by itself.
"""

from alembic import context
from imagebuilder.adapters.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
