"""What happened is kept for whoever wants to know, and told until it arrived or a day is over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest

from imagebuilder.domain.ids import PipelineName, VersionId
from imagebuilder.domain.notice import Event
from imagebuilder.domain.pipeline import NoticeKind, NoticeTarget
from imagebuilder.domain.run import RunState
from imagebuilder.ports.notices import KeptNotice
from imagebuilder.services.notifying import Mailroom, Notifying
from tests.build import SOME_DAY, a_run, a_version, an_order
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.notices import FakeNoticeStore, FakeNotifier

NIGHTLY = PipelineName("nightly-web")
HOOK = NoticeTarget(kind=NoticeKind.WEBHOOK, to="https://hooks.example.org/a", secret="env:KEY")
MAIL = NoticeTarget(kind=NoticeKind.EMAIL, to="ops@example.org", events=("failed", "paused"))
HOUR = 3600


@dataclass(slots=True)
class Post:
    """Notifying, and all that it stands on."""

    targets: tuple[NoticeTarget, ...] = (HOOK, MAIL)
    store: FakeNoticeStore = field(default_factory=FakeNoticeStore)
    versions: FakeVersionStore = field(default_factory=FakeVersionStore)
    clock: FakeClock = field(default_factory=lambda: FakeClock(SOME_DAY))
    ways: dict[NoticeKind, FakeNotifier] = field(
        default_factory=lambda: {kind: FakeNotifier() for kind in NoticeKind}
    )

    @property
    def notifying(self) -> Notifying:
        return Notifying(
            Mailroom(
                notices=self.store,
                targets=self.targets_of,
                notifiers=self.ways,
                versions=self.versions,
                clock=self.clock,
                ids=FakeIds(),
            )
        )

    def targets_of(self, pipeline: PipelineName) -> Sequence[NoticeTarget]:
        return self.targets if pipeline == NIGHTLY else ()

    @property
    def hooks(self) -> FakeNotifier:
        return self.ways[NoticeKind.WEBHOOK]

    @property
    def kept(self) -> list[KeptNotice]:
        return list(self.store.kept.values())


@pytest.fixture
def post() -> Post:
    return Post()


def test_tell_then_keeps_a_notice_for_each_who_wants_it(post: Post) -> None:
    post.notifying.tell(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))
    post.notifying.tell(a_run(state=RunState.FAILED, ended_at=SOME_DAY, order=an_order()))

    assert [(n.target, n.event) for n in post.kept] == [
        (HOOK, "succeeded"),
        (HOOK, "failed"),
        (MAIL, "failed"),
    ]
    assert {n.next_at for n in post.kept} == {SOME_DAY}
    assert post.kept[1].payload == post.kept[2].payload
    assert post.hooks.asked == []


def test_tell_when_there_is_a_version_then_names_it_as_people_do(post: Post) -> None:
    version = a_version("debian-web@1.2.0/1")
    post.versions.add(version)
    run = a_run(state=RunState.SUCCEEDED, version_id=version.id, order=an_order())

    post.notifying.tell(run)

    told = post.kept[0].payload["run"]
    assert isinstance(told, dict)
    assert (told["version"], told["version_id"]) == ("debian-web@1.2.0/1", version.id)


def test_tell_when_the_version_is_gone_then_only_its_id_is_told(post: Post) -> None:
    run = a_run(state=RunState.SUCCEEDED, version_id=VersionId("gone"), order=an_order())

    post.notifying.tell(run)

    told = post.kept[0].payload["run"]
    assert isinstance(told, dict)
    assert (told["version"], told["version_id"]) == (None, "gone")


@pytest.mark.parametrize("order", [None, an_order("another")], ids=["none", "another"])
def test_tell_when_nobody_wants_to_know_then_keeps_nothing(post: Post, order: object) -> None:
    post.notifying.tell(a_run(state=RunState.FAILED, order=order))

    assert post.kept == []


def test_tell_of_pipeline_then_goes_to_its_targets_or_the_given(post: Post) -> None:
    post.notifying.tell_of_pipeline(NIGHTLY, Event.PAUSED, "3 runs failed")
    post.notifying.tell_of_pipeline(PipelineName("new"), Event.FAULTY, "line 3", [MAIL, HOOK])

    assert [(n.pipeline, n.event, n.target, n.run_id) for n in post.kept] == [
        (NIGHTLY, "paused", HOOK, None),
        (NIGHTLY, "paused", MAIL, None),
        ("new", "faulty", HOOK, None),
    ]


def test_deliver_then_sends_what_is_due_once(post: Post) -> None:
    post.notifying.tell(a_run(state=RunState.FAILED, ended_at=SOME_DAY, order=an_order()))

    delivery = post.notifying.deliver()

    assert [n.target for n in delivery.arrived] == [HOOK, MAIL]
    assert post.hooks.sent == [(HOOK.to, post.kept[0].payload)]
    assert [(n.attempts, n.next_at, n.delivered_at) for n in post.kept] == [(1, None, SOME_DAY)] * 2
    assert post.store.waiting() == 0
    post.clock.advance(HOUR)
    assert post.notifying.deliver().arrived == ()


def test_deliver_when_it_fails_then_waits_ever_longer_and_gives_up_after_a_day(post: Post) -> None:
    post.hooks.blocked.add(HOOK.to)
    post.notifying.tell(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))
    tried = []
    for minute in range(2 * 24 * 60):
        if post.notifying.deliver().failed:
            tried.append(minute)
        post.clock.advance(60)

    assert tried[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert {later - before for before, later in pairwise(tried[6:])} == {60}
    assert 23 * 60 <= tried[-1] <= 24 * 60
    (kept,) = post.kept
    assert (kept.next_at, kept.delivered_at) == (None, None)
    assert (kept.attempts, kept.error) == (len(tried), "It does not answer.")


def test_deliver_when_it_works_again_then_the_error_is_forgotten(post: Post) -> None:
    post.hooks.blocked.add(HOOK.to)
    post.notifying.tell(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))
    post.notifying.deliver()
    post.hooks.blocked.clear()

    post.clock.advance(60)

    assert len(post.notifying.deliver().arrived) == 1
    assert (post.kept[0].attempts, post.kept[0].error) == (2, "")


def test_deliver_when_one_hangs_then_the_others_need_not_wait_for_it_again(post: Post) -> None:
    other = NoticeTarget(kind=NoticeKind.WEBHOOK, to="https://hooks.example.org/b")
    post.targets = (HOOK, other)
    post.hooks.blocked.add(HOOK.to)
    for _ in range(3):
        post.notifying.tell(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))

    delivery = post.notifying.deliver()

    assert (len(delivery.arrived), len(delivery.failed)) == (3, 3)
    assert post.hooks.asked.count(HOOK.to) == 1


def test_deliver_when_it_breaks_within_one_then_goes_on_with_the_others_next_time(
    post: Post,
) -> None:
    class Broken(FakeNotifier):
        def send(self, target: NoticeTarget, payload: object) -> None:
            raise RuntimeError("a fault of ours")

    post.ways[NoticeKind.WEBHOOK] = Broken()
    post.notifying.tell(a_run(state=RunState.FAILED, ended_at=SOME_DAY, order=an_order()))

    with pytest.raises(RuntimeError):
        post.notifying.deliver()

    assert [n.target for n in post.notifying.deliver().arrived] == [MAIL]
    assert post.kept[0].next_at == SOME_DAY + timedelta(seconds=60)


def test_deliver_then_forgets_what_was_told_long_ago(post: Post) -> None:
    post.notifying.tell(a_run(state=RunState.SUCCEEDED, ended_at=SOME_DAY, order=an_order()))
    post.notifying.deliver()

    post.clock.advance(29 * 24 * HOUR)
    post.notifying.deliver()
    assert len(post.kept) == 1
    post.clock.advance(2 * 24 * HOUR)
    post.notifying.deliver()
    assert post.kept == []
