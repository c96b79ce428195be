"""Numbers of the work: now, and since somebody began to look."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.measurement import Durations, Measurements, PoolLoad
from imagebuilder.domain.run import RunState, StepState
from imagebuilder.ports.measuring import SeenVersion
from imagebuilder.ports.pipelines import AppliedPipeline, Pause
from imagebuilder.services.measuring import Instruments, Measuring
from tests.build import SOME_DAY, a_pipeline, a_revocation, a_run, a_version, an_order
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeaseStore
from tests.fakes.measuring import FakeMeasures
from tests.fakes.notices import FakeNoticeStore
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.runs import FakeRunStore
from tests.fakes.standings import FakeStandingStore

WEB = "nightly-web"


@dataclass(slots=True)
class Plant:
    """What is measured."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(SOME_DAY))
    runs: FakeRunStore = field(default_factory=FakeRunStore)
    pipelines: FakePipelineStore = field(default_factory=FakePipelineStore)
    notices: FakeNoticeStore = field(default_factory=FakeNoticeStore)
    versions: FakeVersionStore = field(default_factory=FakeVersionStore)
    measures: FakeMeasures = field(default_factory=FakeMeasures)
    leases: FakeLeaseStore = field(init=False)
    standings: FakeStandingStore = field(init=False)
    measuring: Measuring = field(init=False)

    def __post_init__(self) -> None:
        self.leases = FakeLeaseStore(self.clock)
        self.standings = FakeStandingStore(self.versions)
        self.measuring = Measuring(
            Instruments(
                runs=self.runs,
                pipelines=self.pipelines,
                leases=self.leases,
                notices=self.notices,
                standings=self.standings,
                measures=self.measures,
                clock=self.clock,
            )
        )

    def measure(self) -> Measurements:
        return self.measuring.measure()

    def has(self, run_id: str, state: RunState, seconds: float = 0, **more: Any) -> None:
        """Keep a run that began now, or so many seconds before it ended now."""
        now = self.clock.now()
        values = {
            "order": an_order(pool="build.amd64"),
            "started_at": now - timedelta(seconds=seconds),
            "ended_at": now if state.is_final else None,
        } | more
        self.runs.save(a_run(run_id, state=state, **values))

    def applies(self, name: str, **more: Any) -> None:
        applied = AppliedPipeline(
            pipeline=a_pipeline(name, **more),
            first_applied_at=SOME_DAY,
            applied_at=SOME_DAY,
            applied_by="eva",
            cursor_at=SOME_DAY,
        )
        self.pipelines.put(applied)

    def records(self, reference: str, number: int, days: float) -> None:
        """Record a version so many days ago."""
        version = replace(a_version(reference), created_at=SOME_DAY - timedelta(days=days))
        self.versions.add(version)
        seen = SeenVersion(id=version.id, number=number, created_at=version.created_at)
        self.measures.versions[version.image] = [
            *self.measures.versions.get(version.image, ()),
            seen,
        ]


@pytest.fixture
def plant() -> Plant:
    return Plant()


def counts(taken: Measurements) -> dict[tuple[str, str], int]:
    return {(p, s.value): durations.count for (p, s), durations in taken.ended.items()}


def test_runs_that_are_not_over_are_counted_as_they_stand_now(plant: Plant) -> None:
    plant.has("run-1", RunState.RUNNING)
    plant.has("run-2", RunState.QUEUED)
    plant.has("run-3", RunState.QUEUED)
    plant.has("run-4", RunState.RUNNING, order=None)
    plant.has("run-5", RunState.FAILED)

    assert plant.measure().open_runs == {
        (WEB, RunState.RUNNING): 1,
        (WEB, RunState.QUEUED): 2,
        ("", RunState.RUNNING): 1,
    }


def test_runs_that_end_are_counted_once_and_only_from_the_first_look_on(plant: Plant) -> None:
    plant.has("run-1", RunState.FAILED, 10)
    plant.has("run-2", RunState.RUNNING)
    assert plant.measure().ended == {}

    plant.clock.advance(100)
    plant.has("run-2", RunState.SUCCEEDED, 100)
    plant.has("run-3", RunState.SKIPPED)

    for _ in range(3):
        assert counts(plant.measure()) == {(WEB, "succeeded"): 1, (WEB, "skipped"): 1}
        plant.clock.advance(400)


def test_run_that_is_retried_then_each_of_its_ends_is_counted(plant: Plant) -> None:
    plant.measure()
    plant.has("run-1", RunState.FAILED)
    plant.measure()
    plant.has("run-1", RunState.RUNNING, attempt=2)
    plant.measure()
    plant.clock.advance(3600)
    plant.has("run-1", RunState.FAILED, attempt=2)

    assert counts(plant.measure()) == {(WEB, "failed"): 2}


def test_durations_then_fall_into_their_buckets(plant: Plant) -> None:
    plant.measure()
    for number, seconds in enumerate((0.5, 1, 59, 61, 99_999)):
        plant.has(f"run-{number}", RunState.RUNNING, seconds)
    plant.measure()
    for number, seconds in enumerate((0.5, 1, 59, 61, 99_999)):
        plant.has(f"run-{number}", RunState.SUCCEEDED, seconds)

    taken = plant.measure().ended[WEB, RunState.SUCCEEDED]

    assert taken.counts == [2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1]
    assert taken.total_seconds == 100_120.5


def test_steps_of_runs_that_end_are_counted_with_them(plant: Plant) -> None:
    plant.measure()
    plant.has("run-1", RunState.SUCCEEDED)
    plant.measures.steps[RunId("run-1")] = [StepState.CACHED, StepState.CACHED, StepState.SUCCEEDED]

    assert plant.measure().steps == {StepState.CACHED: 2, StepState.SUCCEEDED: 1}
    assert plant.measure().steps == {StepState.CACHED: 2, StepState.SUCCEEDED: 1}


def test_decisions_are_counted_from_the_first_look_on(plant: Plant) -> None:
    assert plant.measure().decisions == {}
    plant.measures.verdicts += ["skip"]
    assert plant.measure().decisions == {"skip": 1}
    plant.measures.verdicts += ["build", "skip"]
    assert plant.measure().decisions == {"skip": 2, "build": 1}


def test_pools_then_tell_what_waits_and_what_is_free(plant: Plant) -> None:
    both = {"build.amd64": 2, "build.arm64": 1}
    plant.leases.take("executor/a", "a", 30, {"controls": True, "pools": both})
    plant.leases.take("executor/b", "b", 30, {"pools": {"build.amd64": 1}})
    plant.leases.take("executor/dead", "dead", 1, {"pools": {"build.amd64": 8}})
    plant.leases.take("scheduler", "a", 30, {"pools": {"build.amd64": 8}})
    plant.clock.advance(10)
    plant.has("run-1", RunState.RUNNING)
    plant.has("run-2", RunState.QUEUED, queued_at=SOME_DAY)
    plant.has("run-3", RunState.QUEUED, queued_at=SOME_DAY + timedelta(seconds=4))
    plant.has("run-4", RunState.AWAITING_APPROVAL)
    plant.has("run-5", RunState.QUEUED, order=an_order(pool="nobody"))

    taken = plant.measure()

    assert taken.executors == 2
    assert taken.pools == {
        "build.amd64": PoolLoad(queued=2, longest_seconds=10, slots=3, used=1),
        "build.arm64": PoolLoad(slots=1),
        "nobody": PoolLoad(queued=1),
    }
    assert taken.pools["build.amd64"].free == 2
    assert PoolLoad(slots=1, used=2).free == 0


def test_run_when_nothing_moves_for_long_then_counts_as_stuck(plant: Plant) -> None:
    for run_id in ("moves", "stands", "never"):
        plant.has(run_id, RunState.RUNNING)
    plant.has("waits", RunState.QUEUED)
    plant.measures.moves[RunId("stands")] = SOME_DAY + timedelta(seconds=60)
    plant.measures.moves[RunId("moves")] = SOME_DAY + timedelta(seconds=1000)
    assert plant.measure().stuck == {WEB: 0}

    plant.clock.advance(1800)
    assert plant.measure().stuck == {WEB: 1}
    plant.clock.advance(60)
    assert plant.measure().stuck == {WEB: 2}


def test_age_of_the_newest_good_version_passes_over_those_that_were_revoked(plant: Plant) -> None:
    plant.applies(WEB)
    plant.applies("never", image=ImageName("never"))
    for number in (1, 2, 3):
        plant.records(f"debian-web@1.0.{number}/1", number, 10 - number)
    for number in (2, 3):
        plant.standings.revoke(a_revocation(f"version-debian-web-1.0.{number}-1"))

    day = 24 * 3600
    assert plant.measure().good_version_ages == {PipelineName(WEB): 9 * day}
    plant.clock.advance(30)
    assert plant.measure().good_version_ages == {PipelineName(WEB): 9 * day + 30}
    assert plant.measures.looked == 1
    plant.clock.advance(31)
    plant.measure()
    assert plant.measures.looked == 2


def test_age_of_a_pipeline_with_variants_is_that_of_the_oldest(plant: Plant) -> None:
    plant.applies(WEB, matrix=Matrix(axes={"size": ("a", "b")}))
    names = [product.image for product in plant.pipelines.all()[0].pipeline.products]
    plant.records(f"{names[0]}@1.0.0/1", 1, 5)
    assert plant.measure().good_version_ages == {}

    plant.records(f"{names[1]}@1.0.0/1", 2, 2)
    plant.clock.advance(60)

    assert plant.measure().good_version_ages == {PipelineName(WEB): 5 * 24 * 3600 + 60}


def test_pipelines_and_notices_are_counted(plant: Plant) -> None:
    plant.applies(WEB)
    plant.applies("other")
    assert (plant.measure().pipelines, plant.measure().paused) == (2, 0)

    plant.pipelines.set_pause(PipelineName(WEB), Pause(at=SOME_DAY, actor="eva"))

    taken = plant.measure()
    assert (taken.pipelines, taken.paused, taken.notices_waiting) == (2, 1, 0)


def test_durations_that_were_given_do_not_change_any_more(plant: Plant) -> None:
    plant.measure()
    plant.has("run-1", RunState.FAILED)
    before = plant.measure().ended[WEB, RunState.FAILED]
    plant.has("run-2", RunState.FAILED)
    plant.measure()

    assert before == Durations(counts=[1] + [0] * 10)
