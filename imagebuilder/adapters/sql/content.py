"""Packs of content in SQL."""

import json
from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, distinct, func, select

from imagebuilder.adapters.sql import mapping, tables
from imagebuilder.adapters.sql.database import Database
from imagebuilder.domain.content import AddedContent, ContentPack, ContentProfile
from imagebuilder.domain.digest import Digest

_p = tables.content_packs.c


class SqlContentStore:
    """A ContentStore in a database."""

    def __init__(self, database: Database) -> None:
        """Keep packs in an open catalogue."""
        self._database = database

    def add(self, content: AddedContent) -> bool:
        """Keep a pack; whether none of its digest was there, which stays as it was."""
        with self._database.writing() as connection:
            known = select(_p.digest).where(_p.digest == content.pack.digest.hex)
            if connection.scalar(known) is not None:
                return False
            connection.execute(tables.content_packs.insert().values(_values(content)))
            return True

    def remove(self, digest: Digest) -> bool:
        """Forget a pack; whether it was there. What versions were judged by is not touched."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(tables.content_packs).where(_p.digest == digest.hex))
            return bool(gone.rowcount)

    def all(self) -> Sequence[AddedContent]:
        """Give all packs, by name and by when they were added."""
        with self._database.reading() as connection:
            found = [
                _content(row) for row in connection.execute(select(tables.content_packs)).mappings()
            ]
        # Each database has an order of text of its own.
        return sorted(found, key=lambda each: (each.pack.name, each.added_at, each.pack.digest))

    def judged(self, digest: Digest) -> int:
        """Give how many versions have a scan that was made with a pack's file."""
        scans = tables.assessments.c
        query = select(func.count(distinct(scans.version_number))).where(
            scans.content_digest == digest.hex
        )
        with self._database.reading() as connection:
            return int(connection.scalar(query) or 0)


def _values(content: AddedContent) -> mapping.Values:
    pack = content.pack
    profiles = [[profile.name, profile.id, profile.title] for profile in pack.profiles]
    return {
        "digest": pack.digest.hex,
        "name": pack.name,
        "version": pack.version,
        "benchmark": pack.benchmark,
        "releases": json.dumps(pack.releases),
        "profiles": json.dumps(profiles),
        "added_at": content.added_at,
    }


def _content(row: RowMapping) -> AddedContent:
    pack = ContentPack(
        name=row["name"],
        version=row["version"],
        digest=Digest(row["digest"]),
        benchmark=row["benchmark"],
        releases=tuple(json.loads(row["releases"])),
        profiles=tuple(
            ContentProfile(name=name, id=id_, title=title)
            for name, id_, title in json.loads(row["profiles"])
        ),
    )
    return AddedContent(pack=pack, added_at=row["added_at"])
