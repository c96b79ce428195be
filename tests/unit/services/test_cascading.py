from dataclasses import replace
from typing import Any

from imagebuilder.domain.ids import ImageName
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.pipeline import Trigger
from imagebuilder.domain.run import RunState
from imagebuilder.ports.pipelines import Pause
from imagebuilder.services.cascading import CascadeDesk, Cascading
from imagebuilder.services.triggering import StartOrder
from tests.build import SOME_DAY, a_parent, a_pipeline, a_run, a_version, an_applied, an_order
from tests.fakes.audit import FakeAuditLog
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.runs import FakeRunStore


class CountingAudit(FakeAuditLog):
    """An audit that only counts."""

    changes = 0

    def count(self) -> int:
        return self.changes


class Scene:
    """A base image, and pipelines on it."""

    def __init__(self) -> None:
        self.pipelines = FakePipelineStore()
        self.versions = FakeVersionStore()
        self.runs = FakeRunStore()
        self.audit = CountingAudit()
        self.clock = FakeClock(SOME_DAY)
        self.started: list[StartOrder] = []
        desk = CascadeDesk(
            pipelines=self.pipelines,
            versions=self.versions,
            runs=self.runs,
            audit=self.audit,
            clock=self.clock,
            start=self.start,
        )
        self.cascading = Cascading(desk)

    def start(self, order: StartOrder) -> None:
        self.started.append(order)
        asked = an_order(order.pipeline, trigger=order.trigger, parent=order.parent)
        name = f"run-{len(self.runs.runs) + 1}"
        self.runs.add(a_run(name, state=RunState.QUEUED, order=asked))

    def pipeline(self, name: str, image: str, parent: str = "image:base", **more: Any) -> None:
        made = a_pipeline(name, image=ImageName(image), parent=parent, **more)
        self.pipelines.put(an_applied(made))

    def publish(self, reference: str, parent: ImageVersion | None = None) -> ImageVersion:
        version = a_version(reference, parent=a_parent(parent.id if parent else None))
        self.versions.add(version)
        self.audit.changes += 1
        return version

    def end_runs(self, state: RunState = RunState.SUCCEEDED) -> None:
        for run in list(self.runs.runs.values()):
            self.runs.save(replace(run, state=state, ended_at=SOME_DAY))

    def tick(self) -> list[str]:
        """Look, and give which pipelines were started by that."""
        before = len(self.started)
        self.cascading.tick()
        return [order.pipeline for order in self.started[before:]]


def test_child_when_its_parent_is_published_then_it_runs_once_with_the_reason() -> None:
    scene = Scene()
    first = scene.publish("base@1.0.0/1")
    scene.publish("web@1.0.0/1", first)
    scene.pipeline("nightly-web", "web")
    before = scene.tick()
    second = scene.publish("base@1.0.0/2")

    assert before == []
    assert scene.tick() == ["nightly-web"]
    assert scene.tick() == []
    (order,) = scene.started
    assert order.trigger is Trigger.PARENT
    assert order.parent == second.id
    assert (order.by, order.why) == ("image:base", "it is base@1.0.0/2 now")


def test_child_when_its_run_for_that_parent_is_over_then_it_does_not_run_again() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.pipeline("nightly-web", "web")
    scene.publish("base@1.0.0/2")
    scene.tick()
    scene.end_runs(RunState.FAILED)
    scene.audit.changes += 1

    assert scene.tick() == []


def test_child_when_nobody_was_there_to_see_it_published_then_it_runs_at_the_first_look() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.publish("base@1.0.0/2")
    scene.pipeline("nightly-web", "web")

    assert scene.tick() == ["nightly-web"]


def test_grandchildren_when_the_base_is_published_then_they_run_after_their_own_parents() -> None:
    scene = Scene()
    first = scene.publish("base@1.0.0/1")
    web = scene.publish("web@1.0.0/1", first)
    scene.publish("shop@1.0.0/1", web)
    scene.pipeline("nightly-web", "web")
    scene.pipeline("nightly-shop", "shop", "image:web")
    second = scene.publish("base@1.0.0/2")

    early = scene.tick()
    scene.end_runs()
    scene.publish("web@1.0.0/2", second)

    assert early == ["nightly-web"]
    assert scene.tick() == ["nightly-shop"]


def test_child_when_a_run_is_under_way_then_it_is_waited_for() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.pipeline("nightly-web", "web")
    scene.runs.add(a_run("run-of-a-person", order=an_order("nightly-web")))
    scene.publish("base@1.0.0/2")

    early = scene.tick()
    scene.end_runs()

    assert early == []
    assert scene.tick() == ["nightly-web"]


def test_child_when_the_run_under_way_built_on_the_new_parent_then_nothing_more_runs() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.pipeline("nightly-web", "web")
    scene.runs.add(a_run("run-of-a-person", order=an_order("nightly-web")))
    second = scene.publish("base@1.0.0/2")
    scene.tick()
    scene.end_runs()
    scene.publish("web@1.0.0/2", second)

    assert scene.tick() == []


def test_child_when_it_was_never_built_then_only_what_is_published_from_now_on_starts_it() -> None:
    scene = Scene()
    scene.publish("base@1.0.0/1")
    scene.pipeline("nightly-web", "web")
    early = scene.tick()
    scene.publish("base@1.0.0/2")

    assert early == []
    assert scene.tick() == ["nightly-web"]


def test_child_when_it_is_paused_or_does_not_follow_then_it_does_not_run() -> None:
    scene = Scene()
    first = scene.publish("base@1.0.0/1")
    scene.publish("web@1.0.0/1", first)
    scene.publish("shop@1.0.0/1", first)
    scene.pipeline("nightly-web", "web")
    scene.pipeline("nightly-shop", "shop", follows_parent=False)
    name = next(iter(scene.pipelines.pipelines.values())).pipeline.name
    scene.pipelines.set_pause(name, Pause(at=SOME_DAY, actor="eva"))
    scene.publish("base@1.0.0/2")

    assert scene.tick() == []


def test_paused_child_when_it_is_resumed_then_it_runs() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.pipeline("nightly-web", "web")
    (applied,) = scene.pipelines.all()
    scene.pipelines.set_pause(applied.pipeline.name, Pause(at=SOME_DAY, actor="eva"))
    scene.publish("base@1.0.0/2")
    early = scene.tick()
    scene.pipelines.set_pause(applied.pipeline.name, None)

    assert early == []
    assert scene.tick() == ["nightly-web"]


def test_look_when_nothing_changed_then_versions_are_not_asked_for() -> None:
    scene = Scene()
    scene.publish("web@1.0.0/1", scene.publish("base@1.0.0/1"))
    scene.pipeline("nightly-web", "web")
    scene.tick()
    scene.versions.versions.append(a_version("base@1.0.0/2"))

    early = scene.tick()
    scene.clock.advance(61)

    assert early == []
    assert scene.tick() == ["nightly-web"]


def test_parent_when_there_is_none_yet_then_nothing_is_started() -> None:
    scene = Scene()
    scene.pipeline("nightly-web", "web")

    assert scene.tick() == []
