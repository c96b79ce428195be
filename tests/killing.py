"""Processes that end themselves with SIGKILL in the middle of writing to a catalogue.

What a process passes on its way is counted: each statement before it is sent, each commit before it
is asked for, and each connection when it is given back, which is right behind the commit.
"""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Pool, event

from imagebuilder.adapters.sql import neutral_rows
from imagebuilder.bootstrap import Application
from imagebuilder.domain.ids import ImageName
from imagebuilder.settings import Settings, read_settings
from tests.fakes.clock import FakeClock, FakeIds
from tests.postgres import Server

POINTS = 12
"""A write that passes more moments is killed at so many of them, the last ones among them."""
STATEMENT, COMMIT, GIVEN_BACK = "statement", "commit", "given back"
# The listeners stay in the child; and what is imported here need not be imported there again.
FORKED = multiprocessing.get_context("fork")

Write = Callable[[Application], object]
Rows = Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True)
class Doing:
    """A write, at a moment. When it makes the catalogue too, that is counted with it."""

    write: Write
    at: datetime
    makes: bool = False


class _MomentsIds(FakeIds):
    """Ids that count, and that no other moment gives."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def new(self, prefix: str) -> str:
        return super().new(f"{prefix}-{self._at.timestamp():.0f}")


class Predictable(Application):
    """The services, at a moment that stands still and with ids that count."""

    def __init__(self, settings: Settings, at: datetime) -> None:
        super().__init__(settings)
        self._at = at

    @cached_property
    def clock(self) -> Any:
        return FakeClock(self._at)

    @cached_property
    def _ids(self) -> Any:
        return _MomentsIds(self._at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A catalogue and the home it belongs to. Nothing of it is open outside of `opened`."""

    home: Path
    url: str

    @contextmanager
    def opened(self, at: datetime | None = None) -> Iterator[Application]:
        """Give the services on it; with a moment, what they write can be foreseen."""
        named = {"HOME": str(self.home), "CATALOGUE_URL": self.url, "ACTOR": "ada"}
        settings = read_settings({f"IMAGEBUILDER_{name}": value for name, value in named.items()})
        application = Application(settings) if at is None else Predictable(settings, at)
        try:
            yield application
        finally:
            application._database.close()

    def rows(self) -> Rows:
        """Give all that the catalogue holds."""
        with self.opened() as application:
            return rows_of(application)

    def faults(self) -> list[str]:
        """Give what `imagebuilder catalogue check` says."""
        with self.opened() as application:
            return faults_of(application)

    def told(self, doing: Doing) -> list[str]:
        """Let a process do it to its end and give the moments it passes."""
        reading, writing = FORKED.Pipe(duplex=False)
        process = FORKED.Process(target=_run, args=(self, doing, 0, writing))
        process.start()
        writing.close()
        with reading:
            moments: list[str] = reading.recv()
        process.join()
        assert process.exitcode == 0
        return moments

    def kill(self, doing: Doing, moment: int) -> None:
        """Let a process begin it that kills itself at a moment."""
        process = FORKED.Process(target=_run, args=(self, doing, moment, None))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL


def rows_of(application: Application) -> Rows:
    """Give all that a catalogue holds. Shape: table -> its rows in order.

    Of the audit, only what has no part in where the catalogue is.
    """
    with application._database.reading() as connection:
        rows = {
            table.name: list(neutral_rows.rows_of(connection, table))
            for table in neutral_rows.own_tables()
        }
    return rows | {"audit": [row[:4] for row in rows["audit"]]}


def faults_of(application: Application) -> list[str]:
    """Give what `imagebuilder catalogue check` says of a catalogue."""
    found = application.caring.faults(lambda *_: None, is_deep=False)
    return [f"{fault.where}: {fault.what}" for fault in found]


@dataclass(frozen=True, slots=True)
class Sites:
    """Makes copies of a site that nobody has open, so that each kill meets the same state."""

    kind: str
    folder: Path
    server: Server | None

    def new(self, name: str) -> Site:
        """Give a site whose catalogue is not there yet."""
        home = self.folder / name
        return Site(home=home, url=self._fresh(home))

    def copy(self, site: Site, name: str) -> Site:
        """Give a site that is as another one."""
        home = self.folder / name
        shutil.copytree(site.home, home, symlinks=True)
        if self.server is None:
            return Site(home=home, url=str(home / "catalogue.db"))
        template = site.url.rpartition("/")[2].partition("?")[0]
        return Site(home=home, url=self.server.url_of(self.server.new_database(template)))

    def drop(self, site: Site) -> None:
        """Take a site away."""
        shutil.rmtree(site.home, ignore_errors=True)
        if self.server is not None:
            self.server.drop(site.url.rpartition("/")[2].partition("?")[0])

    def _fresh(self, home: Path) -> str:
        if self.server is None:
            return str(home / "catalogue.db")
        return self.server.url_of(self.server.new_database())


def points(moments: Sequence[str]) -> list[int]:
    """Give the moments to be killed at, counted from 1: all, or some of many with the last."""
    count = len(moments)
    if count <= POINTS:
        return list(range(1, count + 1))
    last_commit = count - list(reversed(moments)).index(COMMIT)
    spread = {1 + round(n * (count - 1) / (POINTS - 1)) for n in range(POINTS)}
    return sorted(spread | {last_commit - 1, last_commit, min(last_commit + 1, count)})


def _run(site: Site, doing: Doing, fatal: int, told_to: Any) -> None:
    with site.opened(doing.at) as application:
        if not doing.makes:
            application.versions.newest(ImageName("web"))
        passed = _watched(fatal)
        doing.write(application)
    if told_to is not None:
        told_to.send(passed)


def _watched(fatal: int) -> list[str]:
    passed: list[str] = []

    def passing(moment: str) -> Callable[..., None]:
        def listener(*_: object) -> None:
            passed.append(moment)
            if len(passed) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        return listener

    event.listen(Engine, "before_cursor_execute", passing(STATEMENT))
    event.listen(Engine, "commit", passing(COMMIT))
    event.listen(Pool, "checkin", passing(GIVEN_BACK))
    return passed
