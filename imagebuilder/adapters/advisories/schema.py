"""The file that imported advisories are in: SQLite, written once, and read only from then on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imagebuilder.ports.advisories import AdvisoriesDamaged

FORM = 1
"""It is another number when files are written in another way, or advisories are read so."""
APPLICATION = 0x69616476
"""What tells our files from others of SQLite."""

TABLES = """
CREATE TABLE sources (
  feed TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, dated_at TEXT NOT NULL,
  is_dated_by_itself INTEGER NOT NULL, imported_at TEXT NOT NULL, count INTEGER NOT NULL,
  left_out TEXT NOT NULL
);
CREATE TABLE affected (
  release TEXT NOT NULL, package TEXT NOT NULL, cve TEXT NOT NULL, feed TEXT NOT NULL,
  state TEXT NOT NULL, introduced TEXT NOT NULL, fixed TEXT NOT NULL, last_affected TEXT NOT NULL,
  severity TEXT NOT NULL, notice TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE cves (
  cve TEXT NOT NULL, feed TEXT NOT NULL, title TEXT NOT NULL, severity TEXT NOT NULL,
  PRIMARY KEY (cve, feed)
) WITHOUT ROWID;
CREATE TABLE exploited (
  cve TEXT PRIMARY KEY, added_on TEXT NOT NULL, is_ransomware INTEGER NOT NULL, title TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE scores (
  cve TEXT PRIMARY KEY, epss REAL NOT NULL, percentile REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE releases (release TEXT NOT NULL, feed TEXT NOT NULL, count INTEGER NOT NULL);
"""
INDEXES = """
CREATE INDEX affected_release_package ON affected (release, package);
CREATE INDEX affected_cve ON affected (cve);
INSERT INTO releases SELECT release, feed, count(*) FROM affected GROUP BY release, feed;
ANALYZE;
"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that can write nothing. Raises: AdvisoriesDamaged; FileNotFoundError."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        # Nobody ever changes a file of that name in place, so no locks are needed to read it.
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            ours = connection.execute("PRAGMA application_id").fetchone()[0]
            form = connection.execute("PRAGMA user_version").fetchone()[0]
            if ours != APPLICATION:
                raise AdvisoriesDamaged(path, "It is no file of ours.")
            if form != FORM:
                raise AdvisoriesDamaged(
                    path, f"It is in form {form}, and {FORM} is the one known here."
                )
            yield connection
    except (sqlite3.Error, ValueError) as error:
        raise AdvisoriesDamaged(path, f"{type(error).__name__}: {error}.") from error
