"""Several schedulers, one killed or stopped: each slot has one run, and none is forgotten."""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
from imagebuilder.adapters.system.presence import ProcessPresence
from imagebuilder.bootstrap import Application
from imagebuilder.domain.ids import PipelineName
from imagebuilder.domain.lease import SCHEDULER_LEASE
from imagebuilder.domain.run import Run, RunQuery
from imagebuilder.domain.schedule import RateSchedule
from imagebuilder.ports.pipelines import AppliedPipeline
from imagebuilder.services.leading import Chore, Leading, Watchword
from tests.build import a_pipeline, an_applied
from tests.databases import DATABASES
from tests.killing import FORKED, Site, Sites
from tests.roots import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

PIPELINES = 50
EVERY_SECONDS = 2
TOGETHER = timedelta(seconds=60)
TTL_SECONDS = 2.0
NAMES = [PipelineName(f"p{number:02d}") for number in range(PIPELINES)]
HURRIED = RateSchedule(text="2 seconds", interval_seconds=EVERY_SECONDS, zone=ZoneInfo("UTC"))


class HurriedPipelines(SqlPipelineStore):
    """Pipelines that are due more often than a document can say."""

    def _found(self, query: Any) -> Sequence[AppliedPipeline]:
        return [hurried(applied) for applied in super()._found(query)]


def hurried(applied: AppliedPipeline) -> AppliedPipeline:
    timing = replace(applied.pipeline.timing, schedule=HURRIED)
    return replace(applied, pipeline=replace(applied.pipeline, timing=timing))


def keep_time(site: Site, name: str, *, alone: bool) -> None:
    """Look at the clock as serve does, until killed; without waiting for a lease unless alone."""
    presence = ProcessPresence()
    with site.opened() as application:
        vars(application)["pipelines"] = HurriedPipelines(application._database)
        time = application.timekeeping(lambda error: None)
        if not alone:
            time.begin()
            while True:
                time.tick()
                presence.wait(0.5)
        chore = Chore(
            name="clock", every_seconds=0.5, do=time.tick, begin=time.begin, cease=time.cease
        )
        who = Watchword(
            holder=name,
            presence=presence,
            on_trouble=lambda what, trouble: None,
            ttl_seconds=TTL_SECONDS,
        )
        Leading(application.leases, application.clock, [chore], who).attend()


class Tower:
    """A site with pipelines, and processes that look at the clock for it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.processes = dict[str, Any]()
        self.began_at = datetime.now(UTC)
        with site.opened() as application:
            for name in NAMES:
                moments = dict.fromkeys(("first_applied_at", "cursor_at"), self.began_at)
                application.pipelines.put(an_applied(a_pipeline(name), **moments))

    def start(self, name: str, *, alone: bool = True) -> None:
        process = FORKED.Process(
            target=keep_time, args=(self.site, name), kwargs={"alone": alone}, daemon=True
        )
        process.start()
        self.processes[name] = process

    def signal(self, name: str, number: signal.Signals) -> None:
        pid = self.processes[name].pid
        assert pid is not None
        os.kill(pid, number)

    def kill_all(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.join()

    def asked(self, question: Callable[[Application], Any]) -> Any:
        with self.site.opened() as application:
            return question(application)

    def leader(self) -> str | None:
        found = self.asked(lambda application: application.leases.leases(SCHEDULER_LEASE))
        return found[0].holder if found and not found[0].is_expired else None

    def leads(self, name: str) -> bool:
        return self.leader() == name

    def seen_to_at(self) -> datetime:
        """Give up to when all pipelines were seen to."""
        every = self.asked(lambda application: application.pipelines.all())
        moment: datetime = min(applied.cursor_at for applied in every)
        return moment

    def wait_for(self, moment: datetime) -> None:
        wait_until(lambda: self.seen_to_at() >= moment, f"slots up to {moment}", seconds=200)

    def runs(self, name: PipelineName) -> Sequence[Run]:
        query = RunQuery(pipeline=name, limit=1000)
        found: Sequence[Run] = self.asked(lambda application: application.runs.find(query))
        return found

    def require_each_slot_once(self) -> None:
        """See that of each pipeline every slot has its run, or is counted by a later one's."""
        for name in NAMES:
            runs = self.runs(name)
            slots = [run.order.slot_at for run in runs if run.order and run.order.slot_at]
            assert len(slots) == len(set(slots))
            passed = (max(slots) - self.began_at) // timedelta(seconds=EVERY_SECONDS)
            assert len(slots) + sum(map(missed, runs)) == passed, (name, sorted(slots))


def missed(run: Run) -> int:
    """Give how many slots before its own a run stands for."""
    assert run.order is not None
    found = re.search(r"; (\d+) earlier", run.order.why)
    return int(found[1]) if found else 0


@pytest.fixture(params=DATABASES)
def tower(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tower]:
    is_server = request.param == "postgresql"
    server = request.getfixturevalue("postgres") if is_server else None
    sites = Sites(request.param, tmp_path, server)
    tower = Tower(sites.new("tower"))
    yield tower
    tower.kill_all()
    sites.drop(tower.site)


def test_two_schedulers_when_neither_waits_for_the_other_then_each_slot_has_one_run(
    tower: Tower,
) -> None:
    tower.start("one", alone=False)
    tower.start("two", alone=False)

    tower.wait_for(tower.began_at + TOGETHER)
    tower.kill_all()

    tower.require_each_slot_once()


def test_leader_when_killed_then_another_leads_and_no_slot_is_lost(tower: Tower) -> None:
    tower.start("one")
    wait_until(lambda: tower.leader() == "one", "a leader")
    tower.start("two")
    tower.wait_for(tower.began_at + timedelta(seconds=6))

    tower.signal("one", signal.SIGKILL)
    killed_at = datetime.now(UTC)
    wait_until(lambda: tower.leader() == "two", "another leader")
    taken_over_at = datetime.now(UTC)
    tower.wait_for(killed_at + timedelta(seconds=8))
    tower.kill_all()

    assert (taken_over_at - killed_at).total_seconds() < TTL_SECONDS + 10
    tower.require_each_slot_once()


def test_leaders_when_killed_one_after_the_other_then_no_slot_is_lost(tower: Tower) -> None:
    for number in range(4):
        tower.start(str(number))
        wait_until(partial(tower.leads, str(number)), "a leader")
        tower.wait_for(tower.seen_to_at() + timedelta(seconds=EVERY_SECONDS))
        tower.signal(str(number), signal.SIGKILL)
    tower.start("last")
    tower.wait_for(datetime.now(UTC))
    tower.kill_all()

    tower.require_each_slot_once()


def test_leader_when_stopped_for_longer_than_its_lease_then_what_it_does_later_does_no_harm(
    tower: Tower,
) -> None:
    tower.start("one")
    wait_until(lambda: tower.leader() == "one", "a leader")
    tower.start("two")
    tower.wait_for(tower.began_at + timedelta(seconds=4))

    tower.signal("one", signal.SIGSTOP)
    wait_until(lambda: tower.leader() == "two", "another leader")
    tower.wait_for(datetime.now(UTC) + timedelta(seconds=4))
    tower.signal("one", signal.SIGCONT)
    tower.wait_for(datetime.now(UTC) + timedelta(seconds=6))

    assert tower.leader() == "two"
    tower.kill_all()
    tower.require_each_slot_once()
