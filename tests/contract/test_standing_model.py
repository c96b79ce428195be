"""States and channels equal a naive model's, whatever is recorded, revoked, moved and retired."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagebuilder.domain.channel import LATEST, MoveKind
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.ids import ChannelName, ImageName, VersionId
from imagebuilder.domain.lineage import Scope
from imagebuilder.domain.standing import Lifecycle
from imagebuilder.services.gating import GateDesk, Gating, KnownVulnerabilities
from imagebuilder.services.promoting import MoveOrder, Promoting, Switchboard
from imagebuilder.services.revoking import Register, RevocationOrder, Revoking
from tests.build import SOME_DAY, a_parent, a_version
from tests.catalogues import Catalogue, a_catalogue
from tests.databases import FreshLocation
from tests.fakes.audit import FakeAuditLog
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.pipelines import FakePipelineStore
from tests.fakes.placements import FakePlacementStore
from tests.fakes.transactions import FakeTransactions
from tests.fakes.waivers import FakeWaiverStore
from tests.standing_model import Model, ModelVersion

IMAGES, CHANNELS = ("a", "b"), ("candidate", "stable")

places = st.integers(0, 30)
images, names = st.sampled_from(IMAGES), st.sampled_from(CHANNELS)
steps = st.one_of(
    st.tuples(st.just("record"), images, st.none() | places, st.none() | places),
    st.tuples(st.just("revoke"), places, st.integers(0, 4), st.booleans(), st.booleans()),
    st.tuples(st.just("restore"), places),
    st.tuples(st.just("set"), places, names),
    st.tuples(st.just("promote"), images, st.permutations(CHANNELS)),
    st.tuples(st.just("rollback"), images, names),
    st.tuples(st.just("unset"), images, names),
    st.tuples(st.just("retire"), places, st.sampled_from(list(Lifecycle)[1:])),
)


class World:
    """A catalogue and its model, in which the same is done; each step takes a second."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Begin with two versions of each image."""
        self.catalogue, self.model = catalogue, Model()
        self.clock = FakeClock(SOME_DAY)
        stores: dict[str, Any] = {
            "versions": catalogue.versions,
            "standings": catalogue.standings,
            "channels": catalogue.channels,
            "audit": FakeAuditLog(),
            "transactions": FakeTransactions(),
            "clock": self.clock,
        }
        desk = GateDesk(
            **{name: stores[name] for name in ("versions", "standings", "channels", "clock")},
            pipelines=FakePipelineStore(),
            waivers=FakeWaiverStore(),
            vulnerabilities=lambda _: KnownVulnerabilities(),
        )
        self.promoting = Promoting(Switchboard(**stores, gating=Gating(desk)), "ann")
        placements = FakePlacementStore(catalogue.versions)
        register = Register(**stores, placements=placements, ids=FakeIds())
        self.revoking = Revoking(register, "ann")
        self.seen: list[tuple[float, dict[str, str], dict[tuple[str, str], str | None]]] = []
        for image in IMAGES * 2:
            self.do("record", image, None, None)

    def do(self, step: str, *values: Any) -> None:
        """Do a step in both, a second after the one before; both must allow or refuse it."""
        self.clock.advance(1)
        self.model.live_until(self.model.now + 1)
        getattr(self, f"_{step}")(*values)
        self.seen.append(
            (
                self.model.now,
                {name: self.model.state(name) for name in self.model.versions},
                {
                    **{key: channel.version for key, channel in self.model.channels.items()},
                    **{(image, LATEST): self.model.latest(image) for image in IMAGES},
                },
            )
        )

    def check(self) -> None:
        """See that the catalogue answers for every second as the model was at it."""
        for second, states, channels in self.seen:
            at = SOME_DAY + timedelta(seconds=second)
            standings = self.catalogue.standings.standings([VersionId(v) for v in states], at)
            assert {v: standing.state.value for v, standing in standings.items()} == states
            found = {
                key: self.catalogue.channels.channel(ImageName(key[0]), ChannelName(key[1]), at)
                for key in channels
            }
            assert {key: channel.version_id for key, channel in found.items()} == channels
            holding = self.catalogue.channels.holding([VersionId(v) for v in states], at)
            assert {version: list(held) for version, held in holding.items()} == {
                version: sorted(n for (_, n), v in channels.items() if v == version)
                for version in states
            }
        for (image, name), channel in self.model.channels.items():
            moves = self.catalogue.channels.moves(
                ImageName(image), ChannelName(name), self.clock.now()
            )
            assert [(move.kind, move.old, move.new) for move in moves] == channel.log
        self._check_that_lineage_has_no_circle()

    def _record(self, image: str, parent: int | None, copied: int | None) -> None:
        above = [None if place is None else self._at(place) for place in (parent, copied)]
        own = sum(1 for version in self.model.versions.values() if version.image == image)
        version = a_version(
            f"{image}@1.0.{own}/1",
            parent=a_parent(above[0]),
            copied_from=above[1],
            created_at=self.clock.now(),
        )
        self.catalogue.versions.add(version)
        known = tuple(each for each in above if each is not None)
        self.model.versions[version.id] = ModelVersion(image, own, known)

    def _revoke(self, place: int, after: int, reaches: bool, rolls: bool) -> None:  # noqa: FBT001
        # Half a second past, so that nothing else is done at that very moment.
        delay = after + 0.5 if after else 0
        order = RevocationOrder(
            message="it leaks",
            at=self.clock.now() + timedelta(seconds=delay),
            reaches_descendants=reaches,
            rolls_channels_back=rolls,
        )
        version = self._at(place)
        self._same(
            self.model.revoke(version, delay, reaches=reaches, rolls=rolls),
            lambda: self.revoking.revoke(version, order),
        )

    def _restore(self, place: int) -> None:
        version = self._at(place)
        self._same(
            self.model.restore(version), lambda: self.revoking.restore(version, "it is well")
        )

    def _set(self, place: int, name: str) -> None:
        version = self._at(place)
        self._same(
            self.model.enter(version, name), lambda: self.promoting.set(version, name, MoveOrder())
        )

    def _promote(self, image: str, between: list[str]) -> None:
        source, target = between
        self._same(
            self.model.promote(image, source, target),
            lambda: self.promoting.promote(image, source, target, MoveOrder()),
        )

    def _rollback(self, image: str, name: str) -> None:
        self._same(
            self.model.rollback(image, name),
            lambda: self.promoting.rollback(f"{image}@{name}", MoveOrder()),
        )

    def _unset(self, image: str, name: str) -> None:
        self._same(
            self.model.unset(image, name),
            lambda: self.promoting.unset(f"{image}@{name}", MoveOrder()),
        )

    def _retire(self, place: int, lifecycle: Lifecycle) -> None:
        version = self._at(place)
        self.model.retire(version, lifecycle)
        self.catalogue.standings.set_lifecycle(VersionId(version), lifecycle, self.clock.now())

    def _at(self, place: int) -> str:
        known = list(self.model.versions)
        return known[place % len(known)]

    @staticmethod
    def _same(is_allowed: bool, change: Callable[[], object]) -> None:  # noqa: FBT001
        if is_allowed:
            change()
            return
        with pytest.raises(ImageBuilderError):
            change()

    def _check_that_lineage_has_no_circle(self) -> None:
        recorded = {version: place for place, version in enumerate(self.model.versions)}
        for version, place in recorded.items():
            above = self.catalogue.versions.descent(VersionId(version), Scope(down=False)).kin
            assert all(recorded[kin.id] < place for kin in above if kin.distance)


@given(st.lists(steps, min_size=15, max_size=60))
@settings(max_examples=100)
def test_states_and_channels_in_memory_then_are_those_of_the_model(
    done: list[tuple[Any, ...]],
) -> None:
    with a_catalogue("fake", str) as catalogue:
        world = World(catalogue)
        for step in done:
            world.do(*step)
        world.check()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
@given(done=st.lists(steps, min_size=15, max_size=30))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_and_channels_in_a_database_then_are_those_of_the_model(
    kind: str, fresh_location: FreshLocation, done: list[tuple[Any, ...]]
) -> None:
    with a_catalogue(kind, fresh_location) as catalogue:
        world = World(catalogue)
        for step in done:
            world.do(*step)
        world.check()


def test_model_when_a_channel_falls_then_tells_it_itself() -> None:
    model = Model()
    for number in range(2):
        model.versions[str(number)] = ModelVersion("a", number, ())
        assert model.enter(str(number), "stable")
    assert model.revoke("1", 1.5, reaches=True, rolls=True)
    model.live_until(2)

    assert model.channels["a", "stable"].log[-1] == (MoveKind.FELL_BACK, "1", "0")
