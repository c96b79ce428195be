"""Machines that give each other layers and files, and go on when they cannot."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.digest import Digest, DigestMismatch
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.layer_record import LayerRecord, key_name, record_text
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Suite, SuiteParent
from imagebuilder.domain.run import RunState
from imagebuilder.ports.blobs import BlobMissing
from imagebuilder.ports.building import LayerDamaged, LayerMissing, LayerStore, NewLayer
from imagebuilder.ports.process import ProgramMissing
from imagebuilder.ports.sharing import SharedKind, SharedName, SharedStoreUnavailable
from imagebuilder.services.sharing.blobs import SharedBlobs
from imagebuilder.services.sharing.exchange import Exchange
from imagebuilder.services.sharing.giving import Giving
from imagebuilder.services.sharing.layers import SharedLayers
from imagebuilder.services.sharing.shelf import SharedStoreShelf
from tests.build import a_digest, a_run
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.building import FakeLayerStore, FakeRoots
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRunStore
from tests.fakes.sharing import FakeLayerArchives, FakeSharedStore, a_scratch_folder

KEY = a_digest("key of nginx")
DAY = timedelta(days=1)


class Machine:
    """A machine with stores of its own, and one in common."""

    def __init__(self, shared: FakeSharedStore, clock: FakeClock) -> None:
        self.local = FakeLayerStore()
        self.archives = FakeLayerArchives(self.local)
        self.own_blobs = FakeBlobStore()
        self.exchange = Exchange(shared, clock)
        self.giving = Giving(self.exchange, lambda: self.archives, self.own_blobs, a_scratch_folder)
        self.layers: LayerStore = SharedLayers(
            self.local, self.archives, self.giving, self.exchange
        )
        self.blobs = SharedBlobs(self.own_blobs, self.giving, self.exchange)
        self.roots = FakeRoots(self.local, clock)

    def built(self, key: Digest = KEY, *, evidence: dict[str, Digest] | None = None) -> Layer:
        """Make a layer, and settle it."""
        layer = self.made(key, evidence=evidence)
        self.layers.settle()
        return layer

    def made(self, key: Digest = KEY, *, evidence: dict[str, Digest] | None = None) -> Layer:
        parent = PlannedParent(
            asked="debian:x", identity="x", source=SuiteParent(suite=Suite.BOOKWORM)
        )
        with self.roots.parent(parent, None) as root:
            layer = root.seal(NewLayer(key=key, name="base", evidence=evidence or {}))
        self.layers.publish(layer)
        return layer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shared(clock: FakeClock) -> FakeSharedStore:
    return FakeSharedStore(clock)


@pytest.fixture
def one(shared: FakeSharedStore, clock: FakeClock) -> Machine:
    return Machine(shared, clock)


@pytest.fixture
def two(shared: FakeSharedStore, clock: FakeClock) -> Machine:
    return Machine(shared, clock)


def files(shared: FakeSharedStore) -> list[SharedName]:
    return [name for name in shared.contents if name.kind is SharedKind.FILE]


def contents(machine: Machine, layer: Layer) -> dict[str, Digest | None]:
    """Give what a machine says that a layer's files hold."""
    tree = machine.layers.tree([layer.content])
    return {path: entry.content for path, entry in tree.items()}


class TestLayers:
    def test_what_one_built_then_another_finds_and_keeps(self, one: Machine, two: Machine) -> None:
        layer = one.built()

        found = two.layers.find(KEY, ())

        assert (found.layer, found.source) == (layer, "fake://store")
        assert two.local.find(KEY, ()).layer == layer
        assert two.layers.find(KEY, ()).source == ""
        assert contents(two, layer) == contents(one, layer)

    def test_what_nobody_built_is_not_found_for_the_reason_of_this_machine(
        self, two: Machine
    ) -> None:
        assert two.layers.find(KEY, ()).reason == "never built"
        assert two.exchange.complaints() == ()

    def test_what_lies_on_another_layer_is_not_found(self, one: Machine, two: Machine) -> None:
        below = one.built(a_digest("below"))
        one.built()

        assert two.layers.find(KEY, (below,)).layer is None

    def test_machines_with_different_layers_below_each_find_their_own(
        self, one: Machine, two: Machine
    ) -> None:
        below = one.built(a_digest("below"))
        lowest = one.built()
        with one.roots.scratch([below]) as root:
            upper = root.seal(NewLayer(key=KEY, name="nginx"))
        one.layers.publish(upper)
        one.layers.settle()

        assert two.layers.find(KEY, ()).layer == lowest
        assert two.layers.find(KEY, (below,)).layer == upper

    def test_what_is_older_than_asked_for_is_not_found(
        self, one: Machine, two: Machine, clock: FakeClock
    ) -> None:
        one.built()
        clock.advance(10)

        found = two.layers.find(KEY, (), clock.now())

        assert (found.layer, found.reason) == (None, "never built")
        assert two.local.files == set()

    def test_get_and_has_of_a_parent_that_another_made(self, one: Machine, two: Machine) -> None:
        layer = one.built()

        assert two.layers.has(layer.content)
        assert two.layers.get(layer.content) == layer
        assert two.local.has(layer.content)

    def test_get_of_what_is_damaged_here_takes_it_from_there(self, one: Machine) -> None:
        layer = one.built()
        one.local.damaged.add(layer.content)

        assert one.layers.get(layer.content) == layer

    def test_get_of_what_is_damaged_here_and_missing_there_says_damaged(
        self, one: Machine, shared: FakeSharedStore
    ) -> None:
        layer = one.built()
        shared.contents.clear()
        one.local.damaged.add(layer.content)

        with pytest.raises(LayerDamaged):
            one.layers.get(layer.content)

    def test_get_of_what_is_nowhere_is_missing(self, two: Machine) -> None:
        with pytest.raises(LayerMissing):
            two.layers.get(a_digest("lost"))
        assert not two.layers.has(a_digest("lost"))

    def test_get_when_nobody_answers_may_be_tried_again(
        self, two: Machine, shared: FakeSharedStore
    ) -> None:
        shared.silent = True

        with pytest.raises(SharedStoreUnavailable):
            two.layers.get(a_digest("parent"))

    def test_tree_of_what_another_made_takes_only_what_is_written_of_it(
        self, one: Machine, two: Machine
    ) -> None:
        layer = one.built()

        assert contents(two, layer) == contents(one, layer)
        assert not two.local.has(layer.content)

    def test_tree_of_what_is_nowhere_is_missing(
        self, two: Machine, shared: FakeSharedStore
    ) -> None:
        with pytest.raises(LayerMissing):
            two.layers.tree([a_digest("lost")])
        shared.silent = True
        with pytest.raises(LayerMissing):
            two.layers.tree([a_digest("lost")])

    def test_building_is_for_this_machine_to_say(self, one: Machine) -> None:
        with one.layers.building(KEY):
            assert one.local.waited_for == [KEY]

    def test_afterwards_is_for_this_machine_to_do(self, one: Machine) -> None:
        done: list[str] = []

        one.layers.afterwards(lambda: done.append("done"))

        assert done == ["done"]


class TestNothingIsBelieved:
    def test_a_record_that_names_another_key_is_refused_and_told(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        one.built(a_digest("another key"))
        name = SharedName(kind=SharedKind.KEY, digest=key_name(a_digest("another key"), None))
        wrong = SharedName(kind=SharedKind.KEY, digest=key_name(KEY, None))
        shared.contents[wrong] = shared.contents[name]

        found = two.layers.find(KEY, ())

        assert found.layer is None
        assert "made for another key" in found.reason
        assert "made for another key" in two.exchange.complaints()[0]

    def test_a_record_of_another_content_is_refused(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        layer = one.built()
        asked = a_digest("asked for")
        there = SharedName(kind=SharedKind.LAYER, digest=layer.content)
        shared.contents[SharedName(kind=SharedKind.LAYER, digest=asked)] = shared.contents[there]

        with pytest.raises(LayerMissing):
            two.layers.get(asked)
        assert "another layer" in two.exchange.complaints()[0]

    def test_an_archive_of_another_layer_is_refused(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        layer = one.built()
        other = b"files of another"
        shared.write(SharedName(kind=SharedKind.FILE, digest=Digest.of_bytes(other)), other)
        record = LayerRecord(layer=layer, archive=Digest.of_bytes(other))
        name = SharedName(kind=SharedKind.KEY, digest=key_name(KEY, None))
        shared.contents[name] = record_text(record)

        found = two.layers.find(KEY, ())

        assert (found.layer, two.local.files) == (None, set())
        assert "another layer" in found.reason

    @pytest.mark.parametrize("kind", list(SharedKind))
    def test_damage_is_told_built_anew_and_mended(
        self,
        one: Machine,
        two: Machine,
        shared: FakeSharedStore,
        clock: FakeClock,
        kind: SharedKind,
    ) -> None:
        layer = one.built()
        for name in shared.contents:
            if name.kind is kind:
                shared.contents[name] += b"x"

        found = two.layers.find(KEY, ())
        if found.layer is None:
            two.made()
        two.layers.settle()

        third = Machine(shared, clock)
        assert third.layers.find(KEY, ()).layer == layer
        assert third.layers.get(layer.content) == layer
        assert third.exchange.complaints() == ()
        assert "is damaged" in two.exchange.complaints()[0]


class TestGiving:
    def test_what_is_there_is_not_put_again(self, one: Machine, shared: FakeSharedStore) -> None:
        one.built()
        shared.puts.clear()

        assert one.layers.find(KEY, ()).layer is not None
        one.layers.settle()

        assert shared.puts == []

    def test_what_was_found_here_and_is_not_there_is_given_when_it_is_settled(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        layer = one.built()
        shared.contents.clear()

        one.layers.find(KEY, ())
        assert shared.contents == {}
        one.layers.settle()

        assert two.layers.find(KEY, ()).layer == layer

    def test_what_is_used_again_is_renewed_once_it_is_half_a_day_old(
        self, one: Machine, shared: FakeSharedStore, clock: FakeClock
    ) -> None:
        one.built()
        clock.advance(13 * 3600)
        one.layers.find(KEY, ())
        one.layers.settle()

        assert set(shared.stored_at.values()) == {clock.now()}

    def test_evidence_is_given_with_its_layer(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        # As if it was kept before there was a shared store.
        evidence = one.own_blobs.put(b"list of upgrades")
        one.built(evidence={"upgrades": evidence})

        found = two.layers.find(KEY, ()).layer

        assert found is not None
        assert two.blobs.read(found.evidence["upgrades"]) == b"list of upgrades"

    @pytest.mark.parametrize(
        "failure", [ProgramMissing("zstd"), OSError("disk on fire")], ids=["told", "unforeseen"]
    )
    def test_a_failure_is_told_and_fails_nothing(
        self, one: Machine, shared: FakeSharedStore, failure: Exception
    ) -> None:
        one.archives.fails = failure

        one.built()

        (complaint,) = one.exchange.complaints()
        assert complaint.startswith("Layer base was not given to other machines: ")
        assert one.local.find(KEY, ()).layer is not None

    def test_a_store_that_does_not_answer_is_told_once_and_asked_once(
        self, one: Machine, shared: FakeSharedStore
    ) -> None:
        shared.silent = True

        first = one.layers.find(KEY, ())
        second = one.layers.find(a_digest("other"), ())
        one.made()
        one.blobs.put(b"file")
        one.layers.settle()

        assert "does not answer" in first.reason
        assert second.reason == "never built"
        assert one.exchange.complaints() == (
            "The shared store fake://store does not answer. Connection refused.",
            "2 layers and files were not given to other machines.",
        )
        assert shared.asked_in_vain == 1

    def test_a_store_that_answers_again_is_asked_again_after_a_minute(
        self, one: Machine, two: Machine, shared: FakeSharedStore, clock: FakeClock
    ) -> None:
        one.built()
        shared.silent = True
        assert not two.layers.has(a_digest("x"))
        shared.silent = False

        assert two.layers.find(KEY, ()).layer is None
        clock.advance(61)
        assert two.layers.find(KEY, ()).layer is not None

    def test_complaints_when_given_are_gone(self, one: Machine) -> None:
        one.exchange.tell("something")
        one.exchange.tell("something")

        assert one.exchange.complaints() == ("something",)
        assert one.exchange.complaints() == ()


class TestBlobs:
    def test_what_one_put_another_reads_and_keeps(self, one: Machine, two: Machine) -> None:
        digest = one.blobs.put(b"report")
        one.layers.settle()

        assert two.blobs.has(digest)
        assert two.blobs.has(digest, 6)
        assert not two.blobs.has(digest, 7)
        assert not two.own_blobs.has(digest)
        assert two.blobs.read(digest) == b"report"
        assert two.own_blobs.has(digest)
        assert list(two.blobs.digests()) == [digest]

    def test_each_way_to_a_blob_takes_it_from_there(
        self, one: Machine, shared: FakeSharedStore, clock: FakeClock, tmp_path: Path
    ) -> None:
        file = tmp_path / "artifact"
        file.write_bytes(b"artifact")
        digest = one.blobs.adopt(file)
        one.layers.settle()

        assert Machine(shared, clock).blobs.size_bytes(digest) == 8
        Machine(shared, clock).blobs.verify(digest)
        Machine(shared, clock).blobs.copy_to(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"artifact"
        assert Machine(shared, clock).blobs.path(digest).name == digest.hex

    def test_what_is_nowhere_is_missing(self, two: Machine) -> None:
        with pytest.raises(BlobMissing):
            two.blobs.read(a_digest("lost"))

    def test_what_may_be_there_when_nobody_answers_is_missing_and_says_why(
        self, two: Machine, shared: FakeSharedStore
    ) -> None:
        shared.silent = True

        with pytest.raises(BlobMissing) as missing:
            two.blobs.read(a_digest("somewhere"))
        assert "does not answer" in missing.value.context
        assert not two.blobs.has(a_digest("somewhere"))

    def test_what_is_damaged_there_is_missing_told_and_put_again(
        self, one: Machine, two: Machine, shared: FakeSharedStore
    ) -> None:
        digest = one.blobs.put(b"report")
        one.layers.settle()
        shared.contents[files(shared)[0]] = b"repoRt"

        with pytest.raises(BlobMissing):
            two.blobs.read(digest)
        assert "is damaged" in two.exchange.complaints()[0]

        two.blobs.put(b"report")
        two.layers.settle()
        assert shared.contents[files(shared)[0]] == b"report"

    def test_what_is_damaged_here_is_taken_from_there(
        self, one: Machine, shared: FakeSharedStore
    ) -> None:
        digest = one.blobs.put(b"report")
        one.layers.settle()
        one.own_blobs.contents[digest] = b"repoRt"

        assert one.blobs.read(digest) == b"report"

    def test_what_is_damaged_here_and_not_there_is_damaged(
        self, one: Machine, shared: FakeSharedStore
    ) -> None:
        digest = one.blobs.put(b"report")
        one.layers.settle()
        shared.contents.clear()
        one.own_blobs.contents[digest] = b"repoRt"

        with pytest.raises(DigestMismatch):
            one.blobs.verify(digest)


class TestFreeing:
    @pytest.fixture
    def runs(self) -> FakeRunStore:
        return FakeRunStore()

    @pytest.fixture
    def shelf(self, one: Machine, runs: FakeRunStore, clock: FakeClock) -> SharedStoreShelf:
        return SharedStoreShelf(one.exchange, runs, clock)

    def test_what_no_version_needs_goes_once_it_is_a_day_old(
        self, one: Machine, shared: FakeSharedStore, shelf: SharedStoreShelf, clock: FakeClock
    ) -> None:
        one.built()
        one.blobs.put(b"report")
        one.layers.settle()
        count = len(shared.contents)

        young = shelf.remove((), (), clock.now(), only_look=False)
        clock.advance(DAY.total_seconds() + 1)
        looked = shelf.remove((), (), clock.now(), only_look=True)
        assert len(shared.contents) == count
        old = shelf.remove((), (), clock.now(), only_look=False)

        assert (young.count, looked.count, old.count) == (0, count, count)
        assert shared.contents == {}
        assert old.size_bytes == looked.size_bytes > 0

    def test_what_is_asked_to_stay_longer_stays(
        self, one: Machine, shared: FakeSharedStore, shelf: SharedStoreShelf, clock: FakeClock
    ) -> None:
        one.built()
        began = clock.now()
        clock.advance(10 * DAY.total_seconds())

        assert shelf.remove((), (), began - DAY, only_look=False).count == 0

    def test_what_versions_need_stays_with_all_that_it_is_made_of(
        self,
        one: Machine,
        two: Machine,
        shelf: SharedStoreShelf,
        clock: FakeClock,
    ) -> None:
        evidence = one.blobs.put(b"list")
        layer = one.built(evidence={"upgrades": evidence})
        report, other = one.blobs.put(b"report"), one.blobs.put(b"other")
        one.layers.settle()
        clock.advance(9 * DAY.total_seconds())

        gone = shelf.remove([layer.content], [report], clock.now(), only_look=False)

        assert gone.count == 1
        assert two.layers.get(layer.content) == layer
        assert two.layers.find(KEY, ()).layer == layer
        assert two.blobs.read(evidence) == b"list"
        assert two.blobs.has(report)
        assert not two.blobs.has(other)

    def test_what_came_since_a_run_under_way_began_stays(
        self,
        one: Machine,
        shared: FakeSharedStore,
        runs: FakeRunStore,
        shelf: SharedStoreShelf,
        clock: FakeClock,
    ) -> None:
        runs.save(a_run(started_at=clock.now()))
        one.built()
        clock.advance(3 * DAY.total_seconds())

        assert shelf.remove((), (), clock.now(), only_look=False).count == 0
        runs.save(a_run(started_at=clock.now(), state=RunState.SUCCEEDED))
        assert shelf.remove((), (), clock.now(), only_look=False).count > 0

    def test_what_was_used_again_stays(
        self, one: Machine, shared: FakeSharedStore, shelf: SharedStoreShelf, clock: FakeClock
    ) -> None:
        layer = one.built()
        clock.advance(3 * DAY.total_seconds())
        one.layers.find(KEY, ())
        one.layers.settle()

        assert shelf.remove((), (), clock.now(), only_look=False).count == 0
        assert one.exchange.has(SharedName(kind=SharedKind.LAYER, digest=layer.content))

    def test_damaged_records_go_like_what_nobody_needs(
        self, one: Machine, shared: FakeSharedStore, shelf: SharedStoreShelf, clock: FakeClock
    ) -> None:
        name = SharedName(kind=SharedKind.KEY, digest=KEY)
        shared.write(name, b"no record")
        clock.advance(2 * DAY.total_seconds())

        shelf.remove((), (), clock.now(), only_look=False)

        assert shared.contents == {}


def test_a_layer_found_twice_under_two_keys_keeps_both(one: Machine, two: Machine) -> None:
    first = one.built()
    second = replace(first, key=a_digest("second key"))
    one.layers.publish(second)
    one.layers.settle()

    assert two.layers.find(KEY, ()).layer == first
    assert two.layers.find(second.key, ()).layer == second
