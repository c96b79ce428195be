"""Killed while importing advisories: all of the old ones are there or all of the new ones."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from imagebuilder.adapters.advisories.library import FileAdvisoryLibrary
from imagebuilder.domain.advisory import AdvisoryState
from tests.advisory_files import kev, resolved, tracker, write_json
from tests.killing import FORKED

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CVES = ("CVE-2026-1001", "CVE-2026-1002")
# Whatever changes a file, or lets others see that it did.
TOUCHING = ("open", "fsync", "replace", "chmod", "unlink", "execute", "executescript", "close")


def _imported(home: Path, *files: Path) -> AdvisoryState:
    return FileAdvisoryLibrary(home).update(files, NOW, lambda *_: None, keeps_others=True)


def _seen(home: Path) -> object:
    """Give all that whoever asks is told."""
    library = FileAdvisoryLibrary(home)
    said = library.said_of("debian:bookworm", {"openssl", "zlib"})
    return library.state(), dict(said), library.notes(CVES), [library.of_cve(cve) for cve in CVES]


def _import_watched(home: Path, file: Path, fatal: int, told_to: Any) -> None:
    """Import a file, and end at a moment: before or behind a call that touches the disk."""
    passed = 0

    def passing(_: FrameType, what: str, called: Any) -> None:
        nonlocal passed
        if what in ("c_call", "c_return") and called.__name__ in TOUCHING:
            passed += 1
            if passed == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(passing)
    _imported(home, file)
    sys.setprofile(None)
    if told_to is not None:
        told_to.send(passed)


def _killed_at(home: Path, file: Path, moment: int) -> int | None:
    process = FORKED.Process(target=_import_watched, args=(home, file, moment, None))
    process.start()
    process.join()
    return process.exitcode


def test_import_when_killed_anywhere_then_the_old_ones_or_the_new_ones_are_whole(
    tmp_path: Path,
) -> None:
    openssl = {"CVE_2026_1001": {"bookworm": resolved("3.0.16-1")}}
    old = write_json(tmp_path / "old/debian.json", tracker(openssl=openssl))
    zlib = {"CVE_2026_1002": {"bookworm": resolved("1.3")}}
    new = write_json(tmp_path / "new/debian.json", tracker(openssl=openssl, zlib=zlib))
    exploited = write_json(tmp_path / "old/kev.json", kev(*CVES))
    _imported(tmp_path / "model", old, exploited)
    before = _seen(tmp_path / "model")
    reading, writing = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_import_watched, args=(tmp_path / "model", new, 0, writing))
    process.start()
    moments: int = reading.recv()
    process.join()
    after, seen = _seen(tmp_path / "model"), []
    assert after != before

    for moment in range(1, moments + 1):
        home = tmp_path / f"killed-{moment}"
        _imported(home, old, exploited)

        assert _killed_at(home, new, moment) == -signal.SIGKILL

        found = _seen(home)
        assert found in (before, after), moment
        seen.append(found == after)
        _imported(home, new)
        assert _seen(home) == after
        assert sorted(path.name for path in home.iterdir()) == ["advisories.db", "lock"]

    assert not seen[0]
    assert seen[-1]
    assert seen == sorted(seen)
