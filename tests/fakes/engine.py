"""An engine that only remembers, work that is only counted, and a process that only waits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunStage
from imagebuilder.ports.engine import Begin, Duty, EngineOrder, GoOn, RunEngine, RunWork, StageEnd


@dataclass(slots=True)
class FakeRunEngine:
    """Keeps what it is handed, call by call; raises `trouble` instead when there is some."""

    calls: list[list[EngineOrder]] = field(default_factory=list)
    trouble: Unavailable | None = None
    dropped: list[Begin] = field(default_factory=list)

    @property
    def orders(self) -> list[EngineOrder]:
        """All that was handed over, in order."""
        return [order for call in self.calls for order in call]

    def hand_over(self, orders: Sequence[EngineOrder]) -> None:
        """See that runs get done."""
        if self.trouble is not None:
            raise self.trouble
        self.calls.append(list(orders))

    def drop(self, begins: Sequence[Begin]) -> None:
        """Do nothing more of what was handed over."""
        self.dropped += begins


@dataclass(slots=True)
class FakeEngineRoom:
    """Where a fake engine runs."""

    engine: FakeRunEngine = field(default_factory=FakeRunEngine)
    duties: list[Duty] = field(default_factory=list)

    @contextmanager
    def running(self, duty: Duty, work: RunWork) -> Iterator[RunEngine]:
        """Give the engine."""
        self.duties.append(duty)
        yield self.engine


@dataclass(slots=True)
class FakeRunWork:
    """Stages that do nothing but be counted, or what a test lets them do."""

    log: list[tuple[str, RunStage]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    away_when_given_up: int = 0
    act: Callable[[str, RunStage], StageEnd | None] = lambda _run, _stage: None

    def do(self, run_id: RunId, stage: RunStage, worker: str) -> StageEnd:
        """Do a stage."""
        self.log.append((run_id, stage))
        end = self.act(run_id, stage)
        return end or StageEnd(go_on=GoOn.OVER if stage is RunStage.PROMOTE else GoOn.NEXT)

    def give_up(self, run_id: RunId, reason: str) -> None:
        """Remember that a run was given up; so many times first, there is no way to."""
        if self.away_when_given_up > 0:
            self.away_when_given_up -= 1
            raise Unavailable("The catalogue is away.")
        self.given_up.append(run_id)

    def of(self, run_id: str) -> list[RunStage]:
        """Give the stages of a run that were asked for."""
        return [stage for run, stage in self.log if run == run_id]


@dataclass(slots=True)
class FakePresence:
    """A process that stays until a test says otherwise, and never really waits."""

    is_here: bool = True
    is_staying: bool = True
    waits: int = 0

    def wait(self, seconds: float) -> None:
        """Count that somebody waited."""
        self.waits += 1
