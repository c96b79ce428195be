"""Importing advisories from files, hostile ones too, and asking for them."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from imagebuilder.adapters.advisories import files as advisory_files
from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary
from imagebuilder.domain.advisory import AdvisoryState, Dates, Feed, FixState
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.advisories import (
    AdvisoriesDamaged,
    AdvisoriesEmpty,
    AdvisoryFileMalformed,
    AdvisoryFileUnreadable,
    AdvisoryUpdateRuns,
)
from tests.advisory_files import (
    epss,
    kev,
    osv,
    resolved,
    tracker,
    unfixed,
    within,
    write_gzip,
    write_json,
    write_zip,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = {"introduced": "0"}
TRACKER = tracker(
    openssl={"CVE_2026_1001": {"bookworm": resolved("3.0.16-1"), "trixie": resolved("0")}},
    zlib={"CVE_2026_1002": {"bookworm": unfixed()}},
)
VECTOR = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
OSV = osv(
    "DEBIAN-CVE-2026-1002",
    within("Debian:12", "zlib", START),
    within("Debian:11", "zlib", START, {"fixed": "1.2"}),
    upstream=["CVE-2026-1002"],
    severity=[VECTOR],
)


@pytest.fixture
def library(tmp_path: Path) -> FileAdvisoryLibrary:
    return FileAdvisoryLibrary(tmp_path / "home")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    write_json(folder / "debian.json", TRACKER)
    write_json(folder / "osv/DEBIAN-CVE-2026-1002.json", OSV)
    write_json(folder / "kev.json", kev("CVE-2026-1001"))
    write_gzip(folder / "epss.csv.gz", epss(CVE_2026_1001=0.5))
    (folder / "README").write_text("not looked at")
    for file in folder.rglob("*"):
        os.utime(file, (1_770_000_000, 1_770_000_000))
    return folder


def update(
    library: FileAdvisoryLibrary, *paths: Path, at: datetime = NOW, keeps_others: bool = True
) -> AdvisoryState:
    return library.update(paths, at, lambda *_: None, keeps_others=keeps_others)


def test_update_then_says_what_came_from_where_and_of_when_it_is(
    library: FileAdvisoryLibrary, mirror: Path
) -> None:
    assert library.state() is None

    state = update(library, mirror)

    told = {s.feed: (s.count, f"{s.dated_at:%m-%d}", s.is_dated_by_itself) for s in state.sources}
    assert told == {
        Feed.DEBIAN_TRACKER: (3, "02-02", False),
        Feed.OSV_DEBIAN: (2, "02-20", True),
        Feed.KNOWN_EXPLOITED: (1, "02-25", True),
        Feed.EPSS: (1, "02-27", True),
    }
    assert state.releases == {"debian:bookworm": 3, "debian:bullseye": 1, "debian:trixie": 1}
    # Of bookworm OSV speaks, too, and later; but the tracker decides, so that its age counts.
    tracker_at = datetime.fromtimestamp(1_770_000_000, tz=UTC)
    assert state.dates("debian:bookworm").said_at == tracker_at
    assert state.dates("debian:trixie").said_at == tracker_at
    assert state.dates("debian:bullseye").said_at == datetime(2026, 2, 20, 10, tzinfo=UTC)
    assert state.dates("ubuntu:noble") == Dates(exploited_at=datetime(2026, 2, 25, 15, tzinfo=UTC))
    assert library.state() == state


def test_said_of_then_gives_all_that_feeds_say_of_sources_in_a_release(
    library: FileAdvisoryLibrary, mirror: Path
) -> None:
    update(library, mirror)

    said = library.said_of("debian:bookworm", {"zlib", "openssl", "bash"})

    assert set(said) == {"zlib", "openssl"}
    assert [advisory.affected.fixed for advisory in said["openssl"]] == ["3.0.16-1"]
    assert {(a.feed, a.state) for a in said["zlib"]} == {
        (Feed.DEBIAN_TRACKER, FixState.OPEN),
        (Feed.OSV_DEBIAN, FixState.OPEN),
    }
    assert library.said_of("debian:sid", {"zlib"}) == {}


def test_of_cve_then_gives_all_that_is_known_of_it(
    library: FileAdvisoryLibrary, mirror: Path
) -> None:
    assert not library.of_cve("CVE-2026-1001")
    update(library, mirror)

    one, two = library.of_cve("CVE-2026-1001"), library.of_cve("CVE-2026-1002")

    assert [(a.release, a.state) for a in one.advisories] == [
        ("debian:bookworm", FixState.FIXED),
        ("debian:trixie", FixState.NOT_AFFECTED),
    ]
    assert one.notes is not None
    assert (one.notes.exploited_on, one.notes.is_ransomware, one.notes.epss) == (
        "2026-02-24",
        True,
        0.5,
    )
    assert two.notes is not None
    assert two.notes.severity is Severity.CRITICAL
    assert not library.of_cve("CVE-2000-0001")


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_update_when_several_records_speak_of_a_cve_then_the_worst_severity_is_kept_in_any_order(
    library: FileAdvisoryLibrary, tmp_path: Path, order: str
) -> None:
    zlib = within("Debian:12", "zlib", START, {"fixed": "1.2"})
    medium = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"}
    records = {
        "a": osv("DSA-5000-1", zlib, upstream=["CVE-2026-1002"], summary="zlib - update"),
        "b": OSV,
        "c": osv("DSA-5001-1", zlib, upstream=["CVE-2026-1002"], severity=[medium]),
    }
    archive = write_zip(tmp_path / "all.zip", **{name: records[name] for name in order})

    update(library, archive)

    notes = library.notes(["CVE-2026-1002"])["CVE-2026-1002"]
    assert (notes.severity, notes.title) == (Severity.CRITICAL, "zlib - update")


def test_update_of_one_feed_then_the_others_stay_unless_all_is_to_be_fresh(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path
) -> None:
    before = update(library, mirror)
    newer = write_json(tmp_path / "kev.json", kev("CVE-2026-1002"))

    state = update(library, newer)

    assert {source.feed for source in state.sources} == {s.feed for s in before.sources}
    assert state.digest != before.digest
    notes = library.notes(["CVE-2026-1001", "CVE-2026-1002"])
    assert [notes[cve].is_known_exploited for cve in sorted(notes)] == [False, True]
    assert notes["CVE-2026-1001"].epss == 0.5
    assert library.said_of("debian:bookworm", ["zlib"])["zlib"]
    assert update(library, newer, keeps_others=False).releases == {}


def test_update_with_the_same_files_then_the_digest_is_the_same_anywhere(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path
) -> None:
    other = FileAdvisoryLibrary(tmp_path / "elsewhere")

    first = update(library, mirror)

    assert update(library, mirror, at=NOW + timedelta(days=1)).digest == first.digest
    assert update(other, mirror).digest == first.digest


def test_update_from_an_archive_then_reads_its_records_and_counts_what_is_left_out(
    library: FileAdvisoryLibrary, tmp_path: Path
) -> None:
    archive = write_zip(
        tmp_path / "all.zip",
        a=OSV,
        b=osv("PYSEC-2026-1", within("PyPI", "django", START)),
        c=osv("UBUNTU-CVE-2026-1002", within("Ubuntu:24.04:LTS", "zlib", START)),
    )

    state = update(library, archive)

    assert {source.feed: source.count for source in state.sources} == {
        Feed.OSV_DEBIAN: 2,
        Feed.OSV_UBUNTU: 1,
    }
    assert all(dict(s.left_out) == {"packages of other ecosystems": 1} for s in state.sources)


def test_update_when_data_says_it_is_of_the_future_then_it_is_of_now(
    library: FileAdvisoryLibrary, tmp_path: Path
) -> None:
    file = write_json(tmp_path / "kev.json", kev("CVE-2026-1001", released="2099-01-01T00:00:00Z"))

    (source,) = update(library, file).sources

    assert source.dated_at == NOW


def deep(levels: int) -> str:
    return '{"openssl": {"CVE-2026-1": ' + "[" * levels + "]" * levels + "}}"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"", "its beginning"),
        (b"<html>", "its beginning"),
        (b'{"openssl": {"CVE-2026-1001": {"releases": {', "the document, line 1, column 45"),
        (b'{"openssl": NaN}', "the document"),
        (b'{"openssl": ' + b"9" * 5000 + b"}", "the document"),
        (b'{"openssl": [1]}', "openssl"),
        (b'{"op\xff": {}}', "the document"),
        (deep(100_000).encode(), "the document"),
        (b"\x1f\x8b\x08\x00broken", "what it is packed as"),
        (b"PK\x03\x04broken", "the archive"),
        (json.dumps(kev("CVE-1")).encode(), "vulnerability 0"),
        (b"#model_version:v1,score_date:x\ncve,epss,percentile\n", "line 1, score_date"),
        (b"cve,epss,percentile\nCVE-2026-1001,2,1\n", "line 2"),
        (b"cve,epss,percentile\n" + b"x" * 3_000_000, "a line"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_update_when_a_file_is_hostile_or_broken_then_names_the_place_and_changes_nothing(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path, content: bytes, where: str
) -> None:
    before = update(library, mirror)
    file = tmp_path / "foreign.json"
    file.write_bytes(content)

    with pytest.raises(AdvisoryFileMalformed) as caught:
        update(library, file, mirror / "kev.json")

    assert str(caught.value) == f"{file} is malformed: {where}."
    assert library.state() == before
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["advisories.db", "lock"]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (json.dumps(TRACKER), None),
        ('{"openssl": {"CVE-2026-1001": {"releases": {}}}', "character 47"),
        ('{"openssl": {}} x', "character 16"),
        ('{"openssl": {}, 7: {}}', "character 16"),
        ('{"openssl": [', "the entry of 'openssl'"),
        ('{"openssl": {"x"}}', "the entry of 'openssl', character 16"),
        (deep(100_000), "the entry of 'openssl'"),
        ('{"openssl": {"CVE-2026-1": ' + "9" * 5000 + "}}", "the entry of 'openssl'"),
        ("{}", "empty"),
    ],
)
def test_update_when_a_tracker_is_large_then_it_is_read_entry_by_entry(
    library: FileAdvisoryLibrary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    where: str | None,
) -> None:
    monkeypatch.setattr(advisory_files, "LARGEST_DOCUMENT_BYTES", 1)
    monkeypatch.setattr(advisory_files, "_CHUNK_BYTES", 7)
    file = tmp_path / "debian.json"
    file.write_text(content)

    if where is None:
        assert update(library, file).releases == {"debian:bookworm": 2, "debian:trixie": 1}
        return
    error = AdvisoriesEmpty if where == "empty" else AdvisoryFileMalformed
    with pytest.raises(error) as caught:
        update(library, file)
    assert where == "empty" or str(caught.value) == f"{file} is malformed: {where}."


@pytest.mark.parametrize(
    "limit", ["LARGEST_DOCUMENT_BYTES", "LARGEST_ARCHIVE_BYTES", "MOST_MEMBERS"]
)
def test_update_when_an_archive_is_a_bomb_then_it_is_refused(
    library: FileAdvisoryLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    archive = write_zip(tmp_path / "all.zip", a=OSV, b=OSV)
    monkeypatch.setattr(advisory_files, limit, 1)

    with pytest.raises(AdvisoryFileMalformed):
        update(library, archive)

    assert library.state() is None


def test_update_when_packed_text_never_ends_then_it_is_refused(
    library: FileAdvisoryLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_files, "LARGEST_FILE_BYTES", 100_000)
    file = write_gzip(tmp_path / "epss.csv.gz", epss() + "\n" * 1_000_000)

    with pytest.raises(AdvisoryFileMalformed, match=r"its size\.$"):
        update(library, file)


def test_update_when_members_have_names_with_tricks_then_nothing_is_written_elsewhere(
    library: FileAdvisoryLibrary, tmp_path: Path
) -> None:
    with ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("../../escaped.json", json.dumps(OSV))
        archive.writestr("/etc/escaped.json", json.dumps(osv("x\x1b[31m")))

    with pytest.raises(AdvisoryFileMalformed) as caught:
        update(library, tmp_path / "all.zip")

    assert r"x\x1b[31m" in caught.value.context
    assert "\x1b" not in f"{caught.value}{caught.value.context}"
    assert not list(tmp_path.parent.rglob("escaped*"))


def test_update_when_a_folder_has_links_then_none_is_followed(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path
) -> None:
    secret = write_json(tmp_path / "elsewhere/secret.json", {"not": "ours"})
    (mirror / "link.json").symlink_to(secret)
    (mirror / "folder").symlink_to(secret.parent)

    assert update(library, mirror).releases


@pytest.mark.parametrize("name", ["missing.json", "empty", "pipe"])
def test_update_when_there_is_no_such_file_then_says_so(
    library: FileAdvisoryLibrary, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(AdvisoryFileUnreadable):
        update(library, tmp_path / name)


@pytest.mark.parametrize(
    "document",
    [{}, kev(), osv("PYSEC-2026-1", within("PyPI", "django", START))],
    ids=["tracker", "kev", "osv"],
)
def test_update_when_nothing_of_use_comes_then_what_was_there_stays(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path, document: Any
) -> None:
    before = update(library, mirror)

    with pytest.raises(AdvisoriesEmpty):
        update(library, write_json(tmp_path / "empty.json", document))

    assert library.state() == before


def test_update_when_another_runs_then_says_so(library: FileAdvisoryLibrary, mirror: Path) -> None:
    def again(*_: object) -> None:
        with pytest.raises(AdvisoryUpdateRuns):
            update(library, mirror)

    library.update([mirror], NOW, again, keeps_others=True)


KILLED = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary

def wait(*_):
    print("importing", flush=True)
    sys.stdin.read()

library = FileAdvisoryLibrary(Path(sys.argv[1]))
library.update([Path(sys.argv[2])], datetime.now(UTC), wait, keeps_others=True)
"""


def test_update_when_killed_in_the_middle_then_the_old_ones_are_there_and_it_can_be_repeated(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path
) -> None:
    before = update(library, mirror)
    newer = write_json(tmp_path / "kev.json", kev("CVE-2026-1002"))
    argv = [sys.executable, "-c", KILLED, str(tmp_path / "home"), str(newer)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGKILL)

    assert (tmp_path / "home/incoming.db").exists()
    assert library.state() == before
    assert update(library, newer).digest != before.digest
    assert not (tmp_path / "home/incoming.db").exists()


@pytest.mark.parametrize("damage", ["cut", "garbage", "other", "form"])
def test_state_when_the_file_is_damaged_then_says_how_to_make_it_anew(
    library: FileAdvisoryLibrary, mirror: Path, tmp_path: Path, damage: str
) -> None:
    import sqlite3  # noqa: PLC0415 - only here

    before = update(library, mirror)
    file = tmp_path / "home/advisories.db"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "garbage":
        file.write_bytes(b"no database" * 1000)
    else:
        pragma = "application_id" if damage == "other" else "user_version"
        with sqlite3.connect(file) as connection:
            connection.execute(f"PRAGMA {pragma} = 7")
        connection.close()

    with pytest.raises(AdvisoriesDamaged) as caught:
        library.state()

    assert "--fresh" in caught.value.hint
    with pytest.raises(AdvisoriesDamaged):
        update(library, mirror)
    assert update(library, mirror, keeps_others=False).digest == before.digest
