"""Staffing: runs that are due together share a look at the world, and never one that is older."""

from datetime import timedelta

from imagebuilder.domain.need import Decision, Verdict
from imagebuilder.services.pipelines.deciding import Deciding, DecisionAsked
from imagebuilder.services.pipelines.staffing import Offices, PipelineStaff
from tests.build import an_order
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock


class Looks:
    """Counts how often somebody began to look, and decides nothing."""

    def __init__(self) -> None:
        self.begun = 0

    def opened(self) -> "Looks":
        self.begun += 1
        return self

    def decide(self, _: DecisionAsked) -> Decision:
        return Decision(verdict=Verdict.SKIP)


class Scene:
    """A staff, and how often it looked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.looks = Looks()
        deciding = Deciding(self.looks.opened)  # type: ignore[arg-type]
        self.staff = PipelineStaff(
            Offices(
                deciding=deciding,
                promoting=lambda _: None,  # type: ignore[arg-type, return-value]
                gating=lambda: None,  # type: ignore[arg-type, return-value]  # never asked
                ended=lambda _: None,
                versions=FakeVersionStore(),
                clock=self.clock,
            )
        )

    def decide(self, waited_seconds: float = 0.0) -> None:
        wanted_at = self.clock.now() - timedelta(seconds=waited_seconds)
        self.staff.decide(an_order(), wanted_at)


def test_decide_when_runs_were_wanted_before_the_look_then_one_is_enough() -> None:
    scene = Scene()
    scene.decide()
    scene.clock.advance(10)

    scene.decide(waited_seconds=10)

    assert scene.looks.begun == 1


def test_decide_when_a_run_was_wanted_after_the_look_then_looks_again() -> None:
    scene = Scene()
    scene.decide()
    scene.clock.advance(1)

    scene.decide()

    assert scene.looks.begun == 2


def test_decide_when_the_look_is_long_ago_then_looks_again() -> None:
    scene = Scene()
    scene.decide()
    scene.clock.advance(16)

    scene.decide(waited_seconds=60)

    assert scene.looks.begun == 2
