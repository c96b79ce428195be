"""The advisories that were imported, in one file that is swapped as a whole."""

import fcntl
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path, PurePath

from imagebuilder.adapters.advisories.importing import Importer, write_sources
from imagebuilder.adapters.advisories.schema import APPLICATION, FORM, INDEXES, TABLES, reading
from imagebuilder.domain.advisory import (
    Advisory,
    AdvisorySource,
    AdvisoryState,
    AffectedRange,
    CveNotes,
    Feed,
    FixState,
)
from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.advisories import (
    AdvisoriesEmpty,
    AdvisoriesNotKept,
    AdvisoryUpdateRuns,
    OnCount,
    SaidOfCve,
)

_NAME = "advisories.db"
_NEW = "incoming.db"
_NOTES = """
SELECT wanted.value, exploited.added_on, exploited.is_ransomware, exploited.title,
       scores.epss, scores.percentile
FROM json_each(?) AS wanted
LEFT JOIN exploited ON exploited.cve = wanted.value
LEFT JOIN scores ON scores.cve = wanted.value
"""
_CVES = """
SELECT cve, feed, title, severity FROM cves WHERE cve IN (SELECT value FROM json_each(?))
"""
_SAID = "SELECT * FROM affected WHERE release = ? AND package IN (SELECT value FROM json_each(?))"
_OF_CVE = "SELECT * FROM affected WHERE cve = ? ORDER BY release, package, feed, fixed"
_OF_FEED = {
    Feed.DEBIAN_TRACKER: ("affected", "cves"),
    Feed.OSV_DEBIAN: ("affected", "cves"),
    Feed.OSV_UBUNTU: ("affected", "cves"),
    Feed.KNOWN_EXPLOITED: ("exploited",),
    Feed.EPSS: ("scores",),
}


class FileAdvisoryLibrary:
    """An AdvisoryLibrary in a folder.

    A new file is made beside the one that is read, and takes its name when all of it is on the
    disk: whoever reads has the one or the other.
    """

    def __init__(self, folder: Path) -> None:
        """Use folder, which is made when the first advisories come."""
        self._folder = folder
        self._file = folder / _NAME

    def state(self) -> AdvisoryState | None:
        """Give what was imported, None before anything was. Raises: AdvisoriesDamaged."""
        try:
            with reading(self._file) as connection:
                return _state(connection)
        except FileNotFoundError:
            return None

    def said_of(self, release: str, packages: Collection[str]) -> Mapping[str, Sequence[Advisory]]:
        """Give what is said of source packages in a release; of one nobody speaks of, nothing."""
        found: dict[str, list[Advisory]] = defaultdict(list)
        try:
            with reading(self._file) as connection:
                for row in connection.execute(_SAID, (release, json.dumps(sorted(packages)))):
                    found[row[1]].append(_advisory(row))
        except FileNotFoundError:
            return {}
        return found

    def notes(self, cves: Collection[str]) -> Mapping[str, CveNotes]:
        """Give what is known of CVEs wherever they are. Raises: AdvisoriesDamaged."""
        try:
            with reading(self._file) as connection:
                return _notes(connection, cves)
        except FileNotFoundError:
            return {}

    def of_cve(self, cve: str) -> SaidOfCve:
        """Give all that is said of a CVE, by package and release. Raises: AdvisoriesDamaged."""
        try:
            with reading(self._file) as connection:
                advisories = tuple(map(_advisory, connection.execute(_OF_CVE, (cve,))))
                notes = _notes(connection, [cve])[cve]
        except FileNotFoundError:
            return SaidOfCve()
        return SaidOfCve(advisories=advisories, notes=None if notes == CveNotes() else notes)

    def update(
        self, files: Sequence[PurePath], at: datetime, on_count: OnCount, *, keeps_others: bool
    ) -> AdvisoryState:
        """Import files, and folders of them, in place of what their feeds said before.

        Durable: it survives a crash once this returned, and before that all is as it was.
        """
        with self._alone():
            new = self._folder / _NEW
            # One that is there was left by somebody who did not come to the end.
            new.unlink(missing_ok=True)
            try:
                return self._make(new, files, at, on_count, keeps_others=keeps_others)
            except (sqlite3.Error, OSError) as error:
                raise AdvisoriesNotKept(self._folder, f"{error}.") from error
            finally:
                new.unlink(missing_ok=True)

    def _make(
        self,
        new: Path,
        files: Sequence[PurePath],
        at: datetime,
        on_count: OnCount,
        *,
        keeps_others: bool,
    ) -> AdvisoryState:
        before = self.state() if keeps_others else None
        with closing(
            sqlite3.connect(new.absolute().as_uri(), uri=True, isolation_level=None)
        ) as connection:
            # Nobody needs half of it: what is not whole is made again.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORM}")
            connection.executescript(TABLES)
            connection.execute("BEGIN")
            importer = Importer(connection, at, on_count)
            for named in files:
                importer.take(named)
            sources = _checked(importer, files)
            connection.execute("COMMIT")
            if before is not None:
                sources += self._carry_over(connection, before, {s.feed for s in sources})
            write_sources(connection, sources)
            connection.executescript(INDEXES)
            state = _state(connection)
        new.chmod(0o644)
        _flush(new)
        new.replace(self._file)
        _flush(self._folder)
        return state

    def _carry_over(
        self, connection: sqlite3.Connection, before: AdvisoryState, replaced: set[Feed]
    ) -> list[AdvisorySource]:
        """Take over what feeds said that nothing came from now."""
        kept = [source for source in before.sources if source.feed not in replaced]
        address = f"{self._file.absolute().as_uri()}?mode=ro&immutable=1"
        connection.execute("ATTACH ? AS old", (address,))
        for feed in {source.feed for source in kept}:
            for table in _OF_FEED[feed]:
                of = "WHERE feed = ?" if table in ("affected", "cves") else ""
                copy = f"INSERT INTO main.{table} SELECT * FROM old.{table} {of}"  # noqa: S608 - our own names
                connection.execute(copy, (feed,) if of else ())
        connection.execute("DETACH old")
        return kept

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise AdvisoriesNotKept(self._folder, f"{error}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as busy:
                raise AdvisoryUpdateRuns from busy
            yield


def _checked(importer: Importer, files: Sequence[PurePath]) -> list[AdvisorySource]:
    """Give the sources. Raises: AdvisoriesEmpty: one would only take away what there was."""
    told = [f"{count:,} {reason}" for reason, count in sorted(importer.left_out.items())]
    if not importer.sources:
        reason = f"Left out were {', '.join(told)}." if told else "They hold nothing."
        raise AdvisoriesEmpty(files, reason)
    empty = [source.name for source in importer.sources if not source.count]
    if empty:
        raise AdvisoriesEmpty(empty, "A mirror that broke off looks like that.")
    return importer.sources


def _state(connection: sqlite3.Connection) -> AdvisoryState:
    sources = tuple(map(_source, connection.execute("SELECT * FROM sources ORDER BY feed, name")))
    releases: dict[str, int] = {}
    speaking: dict[str, frozenset[Feed]] = {}
    for release, feed, count in connection.execute("SELECT * FROM releases ORDER BY release, feed"):
        releases[release] = releases.get(release, 0) + count
        speaking[release] = speaking.get(release, frozenset()) | {Feed(feed)}
    named = sorted([source.feed.value, source.digest.hex] for source in sources)
    digest = digest_of({"form": FORM, "sources": named})
    return AdvisoryState(digest=digest, sources=sources, releases=releases, speaking=speaking)


def _source(row: Sequence[str]) -> AdvisorySource:
    feed, name, digest, dated_at, is_dated_by_itself, imported_at, count, left_out = row
    return AdvisorySource(
        feed=Feed(feed),
        name=name,
        digest=Digest(digest),
        dated_at=datetime.fromisoformat(dated_at),
        is_dated_by_itself=bool(is_dated_by_itself),
        imported_at=datetime.fromisoformat(imported_at),
        count=int(count),
        left_out=json.loads(left_out),
    )


def _advisory(row: Sequence[str]) -> Advisory:
    release, package, cve, feed, state, introduced, fixed, last, severity, notice, reason = row
    return Advisory(
        cve=cve,
        release=release,
        package=package,
        feed=Feed(feed),
        state=FixState(state),
        affected=AffectedRange(introduced=introduced, fixed=fixed, last_affected=last),
        severity=Severity(severity),
        id=notice,
        reason=reason,
    )


def _notes(connection: sqlite3.Connection, cves: Collection[str]) -> dict[str, CveNotes]:
    wanted = json.dumps(sorted(cves))
    said: dict[str, list[tuple[int, str, Severity]]] = defaultdict(list)
    for cve, feed, title, severity in connection.execute(_CVES, (wanted,)):
        said[cve].append((Feed(feed).rank, title, Severity(severity)))
    notes = {}
    for cve, added_on, ransomware, name, epss, percentile in connection.execute(_NOTES, (wanted,)):
        known = sorted(said.get(cve, ()))
        severities = [s for _, _, s in known if s is not Severity.UNKNOWN]
        notes[cve] = CveNotes(
            severity=next(iter(severities), Severity.UNKNOWN),
            title=next((title for _, title, _ in known if title), name or ""),
            exploited_on=added_on or "",
            is_ransomware=bool(ransomware),
            epss=epss,
            epss_percentile=percentile,
        )
    return notes


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
