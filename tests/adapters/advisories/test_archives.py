"""Archives of OSV as strangers may make them, and files as large as the real ones."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest

from imagebuilder.adapters.advisories import files as advisory_files
from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary
from imagebuilder.domain.advisory import AdvisoryState, Feed
from imagebuilder.ports.advisories import AdvisoryFileMalformed
from tests.advisory_files import osv, resolved, unfixed, within

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MIB = 2**20
GOOD = json.dumps(
    osv("DEBIAN-CVE-2026-1", within("Debian:12", "zlib", {"introduced": "0"}), details="é\u202e")
).encode()


@pytest.fixture
def library(tmp_path: Path) -> FileAdvisoryLibrary:
    return FileAdvisoryLibrary(tmp_path / "home")


def an_archive(folder: Path, *members: tuple[str, bytes], kind: int = ZIP_DEFLATED) -> Path:
    with ZipFile(folder / "all.zip", "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return folder / "all.zip"


def update(library: FileAdvisoryLibrary, path: Path) -> AdvisoryState:
    return library.update([path], NOW, lambda *_: None, keeps_others=True)


def refusal(library: FileAdvisoryLibrary, path: Path) -> AdvisoryFileMalformed:
    with pytest.raises(AdvisoryFileMalformed) as caught:
        update(library, path)
    assert library.state() is None
    assert not list(library._folder.glob("incoming*"))
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        *("../../up.json", "/etc/cron.d/it.json", "C:\\it.json", "a/b/../c.json"),
        *("new\nline.json", "bell\x07\x1b[2J.json", "\u202exslj.json", "🐛" * 90 + ".json"),
        ".json",
    ],
)
def test_archive_when_a_member_has_a_hostile_name_then_only_its_record_counts(
    library: FileAdvisoryLibrary, tmp_path: Path, name: str
) -> None:
    before = set(tmp_path.parent.rglob("*"))

    state = update(library, an_archive(tmp_path, (name, GOOD), ("README", b"\xff")))

    assert [(source.feed, source.count) for source in state.sources] == [(Feed.OSV_DEBIAN, 1)]
    new = {path.name for path in set(tmp_path.parent.rglob("*")) - before}
    assert new == {"all.zip", "home", "advisories.db", "lock"}


@pytest.mark.parametrize(
    ("content", "where", "why"),
    [
        (b"\xff\xfe{}", "member 'bad.json'", "It is no UTF-8"),
        (GOOD.decode().encode("utf-16"), "member 'bad.json'", "It is no UTF-8"),
        (b"\x00" * 100, "member 'bad.json', line 1", "Expecting value"),
        (b'{"id": ' + b"[" * 200_000, "member 'bad.json'", "nested too deeply"),
        (b'{"id": ' * 200_000, "member 'bad.json'", "nested too deeply"),
        (b'{"id": Infinity}', "member 'bad.json'", "Infinity"),
        (b'{"id": ' + b"9" * 10_000 + b"}", "member 'bad.json'", "limit"),
        (GOOD[:-20], "member 'bad.json', line 1", ""),
        (b"[]", "bad.json", ""),
        (b'{"id": "DEBIAN-1", "affected": {"a": 1}}', "bad.json", ""),
        (b'{"id": ["x"], "affected": []}', "bad.json", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archive_when_a_member_is_no_record_then_it_is_named_and_nothing_is_imported(
    library: FileAdvisoryLibrary, tmp_path: Path, content: bytes, where: str, why: str
) -> None:
    error = refusal(library, an_archive(tmp_path, ("good.json", GOOD), ("bad.json", content)))

    assert where in error.message
    assert why in error.context


def test_archive_when_a_member_is_a_bomb_then_it_is_refused_before_it_is_whole(
    library: FileAdvisoryLibrary, tmp_path: Path
) -> None:
    bomb = an_archive(tmp_path, ("bomb.json", b" " * (64 * MIB)))
    assert bomb.stat().st_size < MIB

    assert "member 'bomb.json'" in refusal(library, bomb).message


def test_archive_when_all_of_it_unpacks_to_too_many_times_its_size_then_it_is_refused(
    library: FileAdvisoryLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [(f"{number}.json", GOOD + b" " * MIB) for number in range(12)]
    bomb = an_archive(tmp_path, *members)
    monkeypatch.setattr(advisory_files, "ALLOWED_ARCHIVE_BYTES", 8 * MIB)

    assert "too much" in refusal(library, bomb).context
    stored = an_archive(tmp_path, *members, kind=ZIP_STORED)
    assert update(library, stored).sources[0].count == 12


@pytest.mark.parametrize("damage", ["cut", "flipped", "encrypted"])
def test_archive_when_damaged_then_it_is_refused(
    library: FileAdvisoryLibrary, tmp_path: Path, damage: str
) -> None:
    archive = an_archive(tmp_path, ("a.json", GOOD), kind=ZIP_STORED)
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flipped":
        content[content.index(b"zlib")] ^= 1
    else:
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)

    refusal(library, archive)


# A tracker as large as the real one: 2,500 source packages, 50,000 CVEs in five releases each.
_SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid")
_IMPORT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary

library = FileAdvisoryLibrary(Path(sys.argv[1]))
library.update([Path(sys.argv[2])], datetime.now(UTC), lambda *_: None, keeps_others=True)
peak = next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def _entry(number: int) -> dict[str, Any]:
    said = [resolved(f"1.{number}-1"), unfixed(nodsa="Minor issue"), resolved("0")]
    return {
        "scope": "remote",
        "description": "A flaw in how it reads what strangers send lets them do much. " * 4,
        "releases": {suite: said[(number + n) % 3] for n, suite in enumerate(_SUITES)},
    }


def _write_tracker(path: Path, packages: int) -> int:
    count = 0
    with path.open("w") as file:
        file.write("{")
        for number in range(packages):
            # One in a hundred is a kernel or a browser.
            some = 14 if number % 100 else 600
            cves = {f"CVE-2026-{count + n:06d}": _entry(count + n) for n in range(some)}
            count += some
            file.write(f'{"," if number else ""}"package{number}": {json.dumps(cves)}')
        file.write("}")
    return count


@pytest.mark.timeout(600)
def test_tracker_when_as_large_as_the_real_one_then_is_imported_within_little_memory(
    library: FileAdvisoryLibrary, tmp_path: Path
) -> None:
    path = tmp_path / "json"
    cves = _write_tracker(path, 2_500)
    assert cves > 48_000
    assert path.stat().st_size > 40 * MIB
    argv = [sys.executable, "-c", _IMPORT, str(library._folder), str(path)]
    busy = os.times()

    done = subprocess.run(argv, check=True, capture_output=True, text=True)

    now = os.times()
    # Of the processor, since others may work beside it: it took 10 s.
    assert now.children_user - busy.children_user < 60
    assert int(done.stdout) < 200
    state = library.state()
    assert state is not None
    assert state.sources[0].count == 5 * cves
    assert len(library.said_of("debian:bookworm", ["package100"])["package100"]) == 600
