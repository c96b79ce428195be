"""Files become rows: what each says is checked, and written into a file that nobody reads yet."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from imagebuilder.adapters.advisories.files import (
    ForeignFile,
    document_of,
    entries_of,
    members_of,
    named_files,
    opened,
)
from imagebuilder.domain.advisory import Advisory, AdvisorySource, Feed
from imagebuilder.domain.digest import Digest, digest_of
from imagebuilder.domain.severity import Severity
from imagebuilder.formats.advisory_fields import MalformedEntry, mapping_of
from imagebuilder.formats.debian_tracker import tracked
from imagebuilder.formats.exploitation import is_epss, is_kev, read_epss, read_kev, scored_on
from imagebuilder.formats.osv import OsvRecord, is_osv, read_osv
from imagebuilder.ports.advisories import OnCount

_AT_ONCE = 5000
_AFFECTED = "INSERT INTO affected VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BY_RANK = " ".join(sorted(Severity, key=lambda word: Severity(word).rank))
"""The words for a severity, worse ones later: where one stands in it tells its rank to SQLite."""
_IS_WORSE = f"instr('{_BY_RANK}', excluded.severity) > instr('{_BY_RANK}', severity)"
_CVE = f"""
INSERT INTO cves VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  title = CASE title WHEN '' THEN excluded.title ELSE title END,
  severity = CASE WHEN {_IS_WORSE} THEN excluded.severity ELSE severity END
WHERE {_IS_WORSE} OR (title = '' AND excluded.title <> '')
"""  # noqa: S608 - made of the words of an enumeration, and of nothing that is read
_EXPLOITED = "INSERT OR IGNORE INTO exploited VALUES (?, ?, ?, ?)"
_SCORE = "INSERT OR IGNORE INTO scores VALUES (?, ?, ?)"
_UNKNOWN = "files of a kind that is not known"


@dataclass(slots=True)
class _Records:
    """What loose records of one folder, or those of an archive, gave for one feed."""

    count: int = 0
    modified_at: datetime | None = None


@dataclass(slots=True)
class Importer:
    """Writes what files say into a database whose tables are empty.

    Shape: `left_out` maps why something could not be used to how many were left out, over all.
    """

    connection: sqlite3.Connection
    at: datetime
    on_count: OnCount
    sources: list[AdvisorySource] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def take(self, named: PurePath) -> None:
        """Import a file, or the files of a folder. Raises: as AdvisoryLibrary.update."""
        loose = _Loose(self, str(named))
        for path in named_files(named):
            with opened(path) as file:
                self._take(path, file, loose)
        loose.end()

    def _take(self, path: Path, file: ForeignFile, loose: "_Loose") -> None:
        first = file.begun[:1000].decode(errors="replace").lstrip()
        if file.is_zip:
            records = _Loose(self, str(path))
            for name, content in members_of(file):
                records.add(document_of(content, f"member {name}"), name)
            records.end(file.digest(), _made_at(path))
        elif is_epss(first.partition("\n")[0]):
            self._scores(path, file, first)
        elif not first.startswith("{"):
            raise MalformedEntry("its beginning", "It is none of the kinds that are known.")
        elif not file.is_all_begun:
            self._tracker(path, file, entries_of(file))
        else:
            document = mapping_of(document_of(file.begun, "the document"), "the document")
            if is_kev(document):
                self._exploited(path, file, document)
            elif is_osv(document):
                loose.add(document, path.name, file.digest(), _made_at(path))
            else:
                self._tracker(path, file, document.items())

    def _tracker(
        self, path: Path, file: ForeignFile, entries: Iterable[tuple[str, object]]
    ) -> None:
        """Import Debian's tracker, which does not say of when it is."""
        count = 0
        for package, entry in entries:
            for said in tracked(package, entry):
                self.write(said.advisories)
                note = (said.cve, Feed.DEBIAN_TRACKER, said.title, Severity.UNKNOWN)
                self.connection.execute(_CVE, note)
                count += len(said.advisories)
            self.on_count(path.name, count)
        self.add(Feed.DEBIAN_TRACKER, str(path), file.digest(), count, made_at=_made_at(path))

    def _exploited(self, path: Path, file: ForeignFile, document: Mapping[str, Any]) -> None:
        released, found = read_kev(document)
        rows = ((e.cve, e.added_on, e.is_ransomware, e.title) for e in found)
        self.connection.executemany(_EXPLOITED, rows)
        self.on_count(path.name, len(found))
        made = _made_at(path)
        digest = file.digest()
        self.add(Feed.KNOWN_EXPLOITED, str(path), digest, len(found), says=released, made_at=made)

    def _scores(self, path: Path, file: ForeignFile, first: str) -> None:
        count = 0

        def rows() -> Iterator[tuple[str, float, float]]:
            nonlocal count
            for scored in read_epss(file.lines()):
                count += 1
                if count % _AT_ONCE == 0:
                    self.on_count(path.name, count)
                yield scored.cve, scored.epss, scored.percentile

        self.connection.executemany(_SCORE, rows())
        says, made = scored_on(first.partition("\n")[0]), _made_at(path)
        self.add(Feed.EPSS, str(path), file.digest(), count, says=says, made_at=made)

    def write(self, advisories: Iterable[Advisory]) -> None:
        """Write what is said of packages."""
        self.connection.executemany(_AFFECTED, map(_row, advisories))

    def note(self, cve: str, feed: Feed, record: OsvRecord) -> None:
        """Write what a record says of a CVE wherever it is; of several, the worst severity."""
        if record.title or record.severity is not Severity.UNKNOWN:
            self.connection.execute(_CVE, (cve, feed, record.title, record.severity))

    def add(  # noqa: PLR0913 - all that there is to know of a source
        self,
        feed: Feed,
        name: str,
        digest: Digest,
        count: int,
        *,
        made_at: datetime,
        says: datetime | None = None,
        left_out: Mapping[str, int] | None = None,
    ) -> None:
        """Note a source. What is dated later than now is of now: it could never grow old."""
        self.sources.append(
            AdvisorySource(
                feed=feed,
                name=name,
                digest=digest,
                dated_at=min(says or made_at, self.at),
                is_dated_by_itself=says is not None,
                imported_at=self.at,
                count=count,
                left_out=left_out or {},
            )
        )


@dataclass(slots=True)
class _Loose:
    """Records of OSV that come one by one, and are told of as one source for each feed.

    Shape: `digests` maps the name of each file to the digest of it.
    """

    importer: Importer
    name: str
    feeds: dict[Feed, _Records] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    count: int = 0
    made_at: datetime | None = None

    def add(
        self,
        document: object,
        name: str,
        digest: Digest | None = None,
        made_at: datetime | None = None,
    ) -> None:
        """Import a record; `digest` is that of its file, when it has one of its own."""
        record = self._read(document, name)
        self.left_out += Counter(record.left_out)
        self.importer.write(record.advisories)
        self.count += len(record.advisories)
        for feed in {advisory.feed for advisory in record.advisories}:
            of_feed = self.feeds.setdefault(feed, _Records())
            of_feed.count += sum(advisory.feed is feed for advisory in record.advisories)
            moments = [m for m in (of_feed.modified_at, record.modified_at) if m is not None]
            of_feed.modified_at = max(moments, default=None)
            for cve in record.cves:
                self.importer.note(cve, feed, record)
        if digest is not None:
            self.digests[f"{len(self.digests)} {name}"] = digest.hex
        self.made_at = max(filter(None, (self.made_at, made_at)), default=None)
        self.importer.on_count(self.name, self.count)

    def _read(self, document: object, name: str) -> OsvRecord:
        try:
            return read_osv(document)
        except MalformedEntry as error:
            raise MalformedEntry(f"{name}, {error.where}", error.reason) from error

    def end(self, digest: Digest | None = None, made_at: datetime | None = None) -> None:
        """Tell of all that came as one source, by the digest of its file or of all of them."""
        whole = digest or digest_of(self.digests)
        for feed, records in sorted(self.feeds.items()):
            self.importer.add(
                feed,
                self.name,
                whole,
                records.count,
                says=records.modified_at,
                made_at=made_at or self.made_at or self.importer.at,
                left_out=self.left_out,
            )
        self.importer.left_out += self.left_out


def _row(advisory: Advisory) -> tuple[str, ...]:
    affected = advisory.affected
    return (
        advisory.release,
        advisory.package,
        advisory.cve,
        advisory.feed,
        advisory.state,
        affected.introduced,
        affected.fixed,
        affected.last_affected,
        advisory.severity,
        advisory.id,
        advisory.reason,
    )


def _made_at(path: Path) -> datetime:
    """Give when a file was written, which mirrors keep as its publisher's."""
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def write_sources(connection: sqlite3.Connection, sources: Iterable[AdvisorySource]) -> None:
    """Write where all that is in a database came from."""
    connection.executemany(
        "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                source.feed,
                source.name,
                source.digest.hex,
                source.dated_at.isoformat(),
                source.is_dated_by_itself,
                source.imported_at.isoformat(),
                source.count,
                json.dumps(dict(sorted(source.left_out.items()))),
            )
            for source in sources
        ),
    )
