"""What every PipelineStore keeps: in memory, in SQLite and in PostgreSQL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from imagebuilder.adapters.sql.database import open_database
from imagebuilder.adapters.sql.pipelines import SqlPipelineStore
from imagebuilder.domain.gate import AssuranceGate
from imagebuilder.domain.ids import ImageName, PipelineName, RunId
from imagebuilder.domain.matrix import Matrix
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget, Overlap
from imagebuilder.domain.severity import Severity
from imagebuilder.ports.pipelines import Pause, PipelineNotFound, PipelineStore
from tests.build import SOME_DAY, a_kept_decision, a_pipeline, an_applied
from tests.databases import DATABASES, FreshLocation
from tests.fakes.pipelines import FakePipelineStore

NAME = PipelineName("nightly-web")
HOUR = timedelta(hours=1)
PAUSE = Pause(at=SOME_DAY, actor="eva", why="freeze until März")


@pytest.fixture(params=["fake", *DATABASES])
def pipelines(
    request: pytest.FixtureRequest, fresh_location: FreshLocation
) -> Iterator[PipelineStore]:
    if request.param == "fake":
        yield FakePipelineStore()
        return
    with open_database(fresh_location(request.param)) as database:
        yield SqlPipelineStore(database)


def test_pipeline_when_put_then_comes_back_as_it_was(pipelines: PipelineStore) -> None:
    applied = an_applied(
        a_pipeline(
            gates=AssuranceGate(fail_on=Severity.HIGH, is_only_fixable=True, profile="cis"),
            matrix=Matrix(axes={"z.b": ("2", "1"), "a.c": ("ü",)}, exclude=({"z.b": "2"},)),
            overlap=Overlap.REPLACE,
            notify=(NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org", events=("failed",)),),
        ),
        failures=2,
        pause=PAUSE,
    )

    pipelines.put(applied)

    assert pipelines.get(NAME) == applied
    assert list(pipelines.all()) == [applied]


def test_pipeline_when_put_again_then_replaces_what_was_kept(pipelines: PipelineStore) -> None:
    pipelines.put(an_applied(pause=PAUSE, failures=3))
    later = an_applied(a_pipeline(priority=7), applied_at=SOME_DAY + HOUR)

    pipelines.put(later)

    assert list(pipelines.all()) == [later]


def test_cursor_when_put_or_set_never_goes_back(pipelines: PipelineStore) -> None:
    pipelines.put(an_applied(cursor_at=SOME_DAY + HOUR))

    pipelines.put(an_applied(cursor_at=SOME_DAY))
    pipelines.set_cursors({NAME: SOME_DAY - HOUR})
    before = pipelines.get(NAME).cursor_at
    pipelines.set_cursors({NAME: SOME_DAY + 2 * HOUR})
    pipelines.set_cursors({PipelineName("unknown"): SOME_DAY})

    assert before == SOME_DAY + HOUR
    assert pipelines.get(NAME).cursor_at == SOME_DAY + 2 * HOUR


def test_all_gives_pipelines_by_name(pipelines: PipelineStore) -> None:
    for name in ("b", "a.c", "a-c", "a", "a_c", "0"):
        pipelines.put(an_applied(name))

    names = [applied.pipeline.name for applied in pipelines.all()]

    assert names == sorted(names)
    assert len(names) == 6


def test_cursors_when_many_are_set_at_once_each_is_its_own(pipelines: PipelineStore) -> None:
    for number in range(20):
        pipelines.put(an_applied(f"p{number:02d}"))

    wanted = {PipelineName(f"p{number:02d}"): SOME_DAY + number * HOUR for number in range(15)}
    pipelines.set_cursors(wanted)
    pipelines.set_cursors({})

    found = {applied.pipeline.name: applied.cursor_at for applied in pipelines.all()}
    assert {name: found[name] for name in wanted} == wanted
    assert found[PipelineName("p19")] == SOME_DAY


def test_named_gives_those_that_are_there_by_name(pipelines: PipelineStore) -> None:
    for name in ("b", "a", "c"):
        pipelines.put(an_applied(name))

    found = pipelines.named({PipelineName("c"), PipelineName("a"), PipelineName("unknown")})

    assert [applied.pipeline.name for applied in found] == ["a", "c"]
    assert list(pipelines.named(())) == []


def test_following_gives_those_that_are_built_on_the_image_by_name(
    pipelines: PipelineStore,
) -> None:
    parents = {
        "c": "image:my_base@1.x",
        "b": "image:my_base",
        "a": "image:my_base@stable",
        "exact": "image:my_base@1.0.0/1",
        "longer": "image:my_base2@1.x",
        "other": "image:myXbase@1.x",
        "suite": "debian:bookworm",
    }
    for name, parent in parents.items():
        pipelines.put(an_applied(a_pipeline(name, parent=parent)))

    found = pipelines.following(ImageName("my_base"))

    assert [applied.pipeline.name for applied in found] == ["a", "b", "c"]


def test_pipeline_when_removed_is_gone_and_its_decisions_stay(pipelines: PipelineStore) -> None:
    pipelines.put(an_applied())
    pipelines.add_decision(a_kept_decision())

    pipelines.remove(NAME)

    assert list(pipelines.all()) == []
    assert list(pipelines.decisions(NAME, 5)) == [a_kept_decision()]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get("nightly-wep"),
        lambda store: store.remove("nightly-wep"),
        lambda store: store.set_pause("nightly-wep", PAUSE),
        lambda store: store.set_pause("nightly-wep", None),
    ],
    ids=["get", "remove", "pause", "resume"],
)
def test_pipeline_when_unknown_is_told_with_names_like_it(
    pipelines: PipelineStore, ask: Callable[[PipelineStore], object]
) -> None:
    pipelines.put(an_applied())

    with pytest.raises(PipelineNotFound) as caught:
        ask(pipelines)

    assert "Did you mean nightly-web?" in caught.value.hint


def test_pause_when_it_stands_so_already_says_no_and_keeps_the_first(
    pipelines: PipelineStore,
) -> None:
    pipelines.put(an_applied())

    answers = [
        pipelines.set_pause(NAME, None),
        pipelines.set_pause(NAME, PAUSE),
        pipelines.set_pause(NAME, replace(PAUSE, actor="max")),
    ]
    paused = pipelines.get(NAME).pause
    answers.append(pipelines.set_pause(NAME, None))

    assert answers == [False, True, False, True]
    assert paused == PAUSE
    assert pipelines.get(NAME).pause is None


def test_ends_are_counted_until_one_is_no_failure(pipelines: PipelineStore) -> None:
    pipelines.put(an_applied())

    counts = [
        pipelines.count_end(NAME, is_failure=is_failure)
        for is_failure in (True, True, False, False, True)
    ]

    assert counts == [1, 2, 0, 0, 1]
    assert pipelines.get(NAME).failures == 1
    assert pipelines.count_end(PipelineName("unknown"), is_failure=True) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.put(an_applied("b")),
        lambda store: store.put(an_applied(applied_at=SOME_DAY + HOUR)),
        lambda store: store.put(an_applied(applied_at=SOME_DAY - HOUR)),
        lambda store: store.remove("paused"),
        lambda store: store.set_pause(NAME, PAUSE),
        lambda store: store.set_pause(NAME, replace(PAUSE, at=SOME_DAY - HOUR)),
        lambda store: store.set_pause("paused", None),
    ],
    ids=["added", "later", "earlier", "removed", "paused", "paused-earlier", "resumed"],
)
def test_stamp_changes_with_any_pipeline(
    pipelines: PipelineStore, change: Callable[[PipelineStore], object]
) -> None:
    pipelines.put(an_applied())
    pipelines.put(an_applied("paused", pause=PAUSE))
    before = pipelines.stamp()

    change(pipelines)

    assert pipelines.stamp() != before


def test_stamp_stays_when_only_slots_and_ends_come(pipelines: PipelineStore) -> None:
    empty = pipelines.stamp()
    pipelines.put(an_applied())
    before = pipelines.stamp()

    pipelines.set_cursors({NAME: SOME_DAY + HOUR})
    pipelines.count_end(NAME, is_failure=True)
    pipelines.set_pause(NAME, None)
    pipelines.add_decision(a_kept_decision())

    assert pipelines.stamp() == before
    assert empty != before


def test_decision_when_said_again_of_the_same_run_replaces_the_first(
    pipelines: PipelineStore,
) -> None:
    pipelines.add_decision(a_kept_decision())
    second = a_kept_decision(verdict="build", document={"reasons": [{"text": "ü"}]}, slot_at=None)

    pipelines.add_decision(second)

    assert list(pipelines.decisions(NAME, 5)) == [second]


def test_decisions_are_given_newest_first_of_all_or_of_one(pipelines: PipelineStore) -> None:
    other = PipelineName("other")
    kept = [
        a_kept_decision("run-1", at=SOME_DAY + HOUR),
        a_kept_decision("run-2", at=SOME_DAY),
        a_kept_decision("run-3", at=SOME_DAY + 2 * HOUR, pipeline=other),
        a_kept_decision("run-4", at=SOME_DAY),
    ]
    for decision in kept:
        pipelines.add_decision(decision)

    def asked(name: PipelineName | None, limit: int = 9, run: str | None = None) -> list[str]:
        run_id = RunId(run) if run else None
        return [decision.run_id for decision in pipelines.decisions(name, limit, run_id)]

    assert asked(NAME) == ["run-1", "run-4", "run-2"]
    assert asked(None, 2) == ["run-3", "run-1"]
    assert asked(None, 9, "run-2") == ["run-2"]
    assert asked(other, 9, "run-2") == []
