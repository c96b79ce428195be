"""What a build made elsewhere is known until it is a version's, or is taken away."""

from pathlib import Path

import pytest

from imagebuilder.domain.ids import RunId
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.live_builds import LivePlace, PlacesUnavailable
from tests.fakes.live_builds import FakeSourcePlaces
from tests.packers import Bench, a_source, an_order

WEB = a_source("amazon-ebs", "web", region="eu-central-1")
HERE = LivePlace(region="eu-central-1", id="ami-1")
FAR = LivePlace(region="us-east-1", id="ami-2")


@pytest.fixture
def places() -> FakeSourcePlaces:
    return FakeSourcePlaces()


@pytest.fixture
def bench(tmp_path: Path, places: FakeSourcePlaces) -> Bench:
    return Bench(tmp_path, places=places)


def make(bench: Bench, *made: LivePlace) -> None:
    """Make images in a build that ends well."""
    with bench.traces.kept(an_order(WEB), bench.said.append) as trace:
        for place in made:
            trace.made("web", place)


def fail(bench: Bench, recorded: set[str] | None) -> None:
    """Make an image in a build that is interrupted, before or after some were recorded."""
    with bench.traces.kept(an_order(WEB), bench.said.append) as trace:
        trace.made("web", HERE)
        if recorded is not None:
            bench.recorded["run-1"] = recorded
        raise RunInterrupted


def test_take_away_when_the_run_may_still_record_what_was_made_then_it_stays_and_is_known(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE)

    assert bench.traces.take_away() == []

    assert (places.withdrawn, bench.cleared) == ([], [])
    assert bench.left == [str(bench.traces.path_of(RunId("run-1")))]


def test_take_away_when_the_run_ended_without_a_version_then_all_that_was_made_goes(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE, FAR)
    bench.recorded["run-1"] = ()

    told = bench.traces.take_away()

    assert told == ["image ami-1 was deregistered", "image ami-2 was deregistered"]
    assert places.withdrawn == ["ami-1", "ami-2"]
    assert bench.left == []


def test_take_away_when_it_was_recorded_then_that_stays_and_what_an_earlier_try_made_goes(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE, FAR)
    bench.recorded["run-1"] = {"ami-2"}

    bench.traces.take_away()

    assert (places.withdrawn, bench.cleared) == (["ami-1"], [])
    assert bench.left == []


def test_take_away_when_the_place_does_not_answer_then_it_is_told_and_tried_again(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE)
    bench.recorded["run-1"] = ()
    places.is_away = True

    (line,) = bench.traces.take_away()

    assert "what run-1 left is still there" in line
    places.is_away = False
    assert bench.traces.take_away() == ["image ami-1 was deregistered"]


def test_kept_when_an_error_ends_it_then_what_was_made_is_taken_away_and_told(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    with pytest.raises(RunInterrupted):
        fail(bench, recorded=None)

    assert (places.withdrawn, bench.left) == (["ami-1"], [])
    assert bench.said == ["image ami-1 was deregistered"]


def test_kept_when_an_error_comes_after_it_was_recorded_then_the_versions_image_stays(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    with pytest.raises(RunInterrupted):
        fail(bench, recorded={"ami-1"})

    assert (places.withdrawn, bench.cleared, bench.left) == ([], [], [])


def test_kept_when_the_run_builds_again_then_what_it_made_before_goes_first(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE)

    make(bench, FAR)

    assert places.withdrawn == ["ami-1"]
    bench.recorded["run-1"] = ()
    assert bench.traces.take_away() == ["image ami-2 was deregistered"]


def test_kept_when_what_was_made_before_cannot_be_taken_away_then_nothing_is_begun(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE)
    bench.recorded["run-1"] = ()
    places.is_away = True

    with pytest.raises(PlacesUnavailable):
        make(bench, FAR)

    places.is_away = False
    assert bench.traces.take_away() == ["image ami-1 was deregistered"]


def test_kept_when_another_build_of_a_run_with_a_version_fails_then_no_image_is_taken_away(
    bench: Bench, places: FakeSourcePlaces
) -> None:
    make(bench, HERE)
    bench.recorded["run-1"] = {"ami-1"}

    with pytest.raises(RunInterrupted), bench.traces.kept(an_order(WEB), bench.said.append):
        raise RunInterrupted

    assert (places.withdrawn, bench.cleared) == ([], ["web but images"])
