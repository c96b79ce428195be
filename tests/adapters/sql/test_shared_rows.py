"""What versions share is the same rows, whoever wrote them: the store, or revision 0003."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from imagebuilder.adapters.sql import migrations, tables
from imagebuilder.adapters.sql.catalogue import SqlVersionStore
from imagebuilder.adapters.sql.database import Database, open_database
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.ids import ImageName, VersionId
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.updates import upgrades_document
from tests.build import a_layer, a_package, a_parent, a_version, an_update, an_upgrade

_SHARED = {
    "package_sets": ("digest", "package_count"),
    "layer_stacks": ("digest", "name", "parameters"),
    "plans": ("text_digest", "text"),
    "cve_fixes": ("cve", "package", "fixed_version"),
}
"""What is compared of each table; its own numbers may differ."""


def _versions() -> Iterator[ImageVersion]:
    mended = replace(an_upgrade("openssl", new="3.0.16-1"), cves=("CVE-2026-1", "CVE-2026-2"))
    unknown = replace(an_upgrade("bash"), cves=None)
    plan = {"upgrades": {"question": upgrades_document({"Up": an_update(mended, unknown)})}}
    root = replace(a_layer("root"), component_digest=None, component_version="")
    layers = (root, a_layer("nginx", parameters={"title": 'é "quoted" \\', "n": "2"}))
    packages = tuple(a_package(f"p{number}", f"{number}~rc1") for number in range(40))
    yield a_version("base@1.0.0/1", layers=(root,), packages=packages, plan=plan)
    on_base = a_parent("version-base-1.0.0-1")
    yield a_version("web@1.0.0/1", layers=layers, packages=packages, plan=plan, parent=on_base)
    yield a_version("web@1.0.0/2", layers=layers, packages=packages[1:], plan={"é": [1.5, None]})
    yield a_version("web@1.0.0/3", layers=(), packages=(), plan=None)
    yield a_version("web@1.0.0/4", layers=layers[::-1], plan=_odd())


def _odd() -> Canonical:
    """Give a plan whose updates are said in no form that was ever known."""
    odd: list[Canonical] = ["x", None, {"cves": "x"}, {"cves": ["CVE-3"], "name": None}]
    return {"upgrades": {"a": "x", "b": {"Up": odd}, "c": {"Up": {"upgrades": odd}}}}


def _rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    found = {}
    with database.reading() as connection:
        for name, columns in _SHARED.items():
            table = tables.metadata.tables[name]
            rows = connection.execute(select(*(table.c[column] for column in columns)))
            found[name] = sorted(tuple(row) for row in rows)
    return found


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_upgrade_when_versions_had_rows_of_their_own_then_shares_as_the_store_would(
    location: str | Path, database: Database, revision: str
) -> None:
    versions = list(_versions())
    for version in versions:
        SqlVersionStore(database).add(version)
    before = _rows(database)

    with database.migrating() as connection:
        migrations.downgrade(connection, revision)

    with open_database(location) as again:
        store = SqlVersionStore(again)
        assert [store.get(version.id) for version in versions] == [
            replace(version, packages=tuple(sorted(version.packages))) for version in versions
        ]
        assert _rows(again) == before
        assert [row[0] for row in before["cve_fixes"]] == ["CVE-2026-1", "CVE-2026-2"]


def test_add_when_all_was_shared_by_the_revision_then_writes_nothing_of_it_again(
    location: str | Path, database: Database
) -> None:
    for version in _versions():
        SqlVersionStore(database).add(version)
    with database.migrating() as connection:
        migrations.downgrade(connection, "0002")

    with open_database(location) as again:
        before = _rows(again)
        for version in _versions():
            copy = replace(
                version, id=VersionId(f"c-{version.id}"), image=ImageName(f"c-{version.image}")
            )
            SqlVersionStore(again).add(copy)

        assert _rows(again) == before


def test_downgrade_when_a_version_was_copied_then_only_that_is_forgotten(
    location: str | Path, database: Database
) -> None:
    source = a_version("base@1.0.0/1")
    copy = a_version("web@1.0.0/1", copied_from=source.id)
    for version in (source, copy):
        SqlVersionStore(database).add(version)
    with database.migrating() as connection:
        migrations.downgrade(connection, "0002")

    with open_database(location) as again:
        assert SqlVersionStore(again).get(copy.id) == replace(copy, copied_from=None)
