"""What databases complain of, in our words: what happened, and what a person can do about it.

A server that refuses a connection sends no code that the driver passes on, only a sentence; one in
another language than English still is shown, under a more general hint.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from imagebuilder.ports.catalogue import CatalogueDamaged, StoreUnavailable

_DAMAGED_FILE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_BUSY = "Another imagebuilder is writing to it; try again when it is done."
_FILE_HINTS = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: "Free space on its file system: imagebuilder gc helps; or point "
    "IMAGEBUILDER_HOME at a larger one.",
    sqlite3.SQLITE_IOERR: "Check the free space of its file system, and then the disk itself.",
}
FILE_HINT = (
    "Check that the file and its folder can be read and written by you, or set another place."
)
SERVER_HINT = "Check that the server runs, and the address and the account in the settings."
_ADDRESS_HINT = "Correct the address in the settings: postgresql://USER@HOST/DATABASE."
_ACCOUNT_HINT = (
    "Correct the account in the address. Its password belongs in ~/.pgpass, or in the file that "
    "PGPASSFILE names."
)
_SOON_HINT = "The server is starting or stopping; try again in a moment."
_CROWDED_HINT = "Try again when others are done, or raise max_connections on the server."
_SERVER_HINTS = {
    "08": SERVER_HINT,
    "25006": "It is read-only here, as a standby is: name the primary server in the settings.",
    "28": _ACCOUNT_HINT,
    "40": "Another imagebuilder wrote the same at that moment; try again.",
    "42501": "Let the owner of the database give the account its rights, or name the owner's.",
    "53100": "Free space where the server keeps its data, then try again.",
    "53200": "Free memory on the server, then try again.",
    "53300": _CROWDED_HINT,
    "55P03": _BUSY,
    "57014": "The server ended it for taking too long; raise statement_timeout for the account.",
    "57P": _SOON_HINT,
}
"""Shape: the start of an SQLSTATE -> hint. Source: PostgreSQL 15, appendix A."""
_DAMAGED_STATES = ("42", "XX001", "XX002")
"""Tables or columns that are not there, and pages that cannot be read."""
_WHEN_CONNECTING = (
    (r'database "(?P<database>[^"]+)" does not exist', "Make it with: {createdb} {database}"),
    (r'role "(?P<role>[^"]+)" does not exist', "Make it with: createuser {role}; or name another."),
    (r"password|authentication|pg_hba", _ACCOUNT_HINT),
    (r"too many (clients|connections)|connection slots", _CROWDED_HINT),
    (r"starting up|shutting down|recovery|not yet accepting", _SOON_HINT),
    (r"invalid (connection option|port|integer)|of service|sslmode", _ADDRESS_HINT),
)
"""Shape: what its sentence has, the first that fits -> hint."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the database raises into an error of ours, but for a broken constraint."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise _of_database(where, error) from error
    except PoolTimeout as error:
        raise StoreUnavailable(where, str(error), hint=SERVER_HINT) from error


def sqlite_code(error: DBAPIError) -> int | None:
    """Give the kind of a SQLite error, without the byte that says more about it."""
    if not isinstance(error.orig, sqlite3.Error):
        return None
    code: int = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def shown(url: URL) -> str:
    """Give how messages name a server's database: without any secret."""
    query = {
        name: value for name, value in url.query.items() if name in ("host", "port", "service")
    }
    named = url.set(drivername="postgresql", query=query)
    return named._replace(password=None).render_as_string().replace("%2F", "/")


def _of_database(where: str, error: DBAPIError) -> StoreUnavailable | CatalogueDamaged:
    code = sqlite_code(error)
    if code is None:
        return _of_server(where, error)
    reason = f"The database says: {error.orig}."
    if code in _DAMAGED_FILE:
        return CatalogueDamaged(where, reason)
    return StoreUnavailable(where, reason, hint=_FILE_HINTS.get(code, FILE_HINT))


def _of_server(where: str, error: DBAPIError) -> StoreUnavailable | CatalogueDamaged:
    said = _said(error)
    reason = f"The database says: {said}."
    if isinstance(error, DataError):
        return CatalogueDamaged(where, f"It refuses a value: {said}.")
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return StoreUnavailable(where, reason, hint=_hint_when_connecting(where, said))
    hints = (hint for start, hint in _SERVER_HINTS.items() if state.startswith(start))
    hint = next(hints, None)
    if hint is None and state.startswith(_DAMAGED_STATES):
        return CatalogueDamaged(where, reason)
    return StoreUnavailable(where, reason, hint=hint or SERVER_HINT)


def _said(error: DBAPIError) -> str:
    """Give the sentence in which a server, or the driver for it, says what is wrong."""
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    first = str(primary or error.orig).partition("\n")[0]
    # What stands before FATAL is the address again, and how the driver calls what happened.
    told = re.sub(r"^.*FATAL: +|^connection (failed|is bad): ", "", first)
    return told.strip().rstrip(".")


def _hint_when_connecting(where: str, said: str) -> str:
    for pattern, hint in _WHEN_CONNECTING:
        found = re.search(pattern, said)
        if found:
            return hint.format(createdb=_createdb(where), **found.groupdict())
    return SERVER_HINT


def _createdb(where: str) -> str:
    """Give the command that makes databases where this one should be."""
    try:
        url = make_url(where)
    except ArgumentError:
        return "createdb"
    hosts = url.query.get("host", url.host)
    options = (("--host", hosts), ("--port", url.port), ("--username", url.username))
    return " ".join(["createdb", *(f"{name}={value}" for name, value in options if value)])
