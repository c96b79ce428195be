"""Looking for what advisories say of versions."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from imagebuilder.domain.advisory import Advisory, Feed, FixState
from imagebuilder.domain.bill import UNKNOWN_RELEASE
from imagebuilder.domain.image import ImageVersion, VersionNotFound
from imagebuilder.ports.advisories import AdvisoriesMissing, AdvisoryFileUnreadable
from imagebuilder.services.matching import MatchDesk, Matching, Rescan
from tests.build import SOME_DAY, a_bill, a_package, a_parent, a_version, an_advisory
from tests.fakes.advisories import FakeAdvisoryLibrary
from tests.fakes.catalogue import FakeVersionStore
from tests.fakes.clock import FakeClock
from tests.fakes.vulnerabilities import FakeVulnerabilityStore

NGINX = (a_package("nginx", "1.0-1"),)


@dataclass
class Bench:
    versions: FakeVersionStore = field(default_factory=FakeVersionStore)
    library: FakeAdvisoryLibrary = field(default_factory=FakeAdvisoryLibrary)
    clock: FakeClock = field(default_factory=lambda: FakeClock(SOME_DAY))

    def __post_init__(self) -> None:
        self.found = FakeVulnerabilityStore(self.versions)
        desk = MatchDesk(
            library=self.library,
            vulnerabilities=self.found,
            versions=self.versions,
            clock=self.clock,
        )
        self.matching = Matching(desk)
        self.looks: list[tuple[int, int]] = []

    def record(self, reference: str = "web@1.0.0/1", **more: Any) -> ImageVersion:
        values = {"packages": NGINX, "bill": a_bill()} | more
        self.versions.add(a_version(reference, **values))
        return self.versions.versions[-1]

    def advise(self, *advisories: Advisory, days_old: float = 0, fresh: bool = False) -> None:
        self.library.files["mirror"] = advisories
        self.library.dated_at = self.clock.now() - timedelta(days=days_old)
        self.matching.update(["mirror"], lambda *_: None, keeps_others=not fresh)

    def rescan(self, image: str | None = None, *, only_look: bool = False) -> Rescan:
        def looked(done: int, of: int) -> None:
            self.looks.append((done, of))

        return self.matching.rescan(looked, image, only_look=only_look)

    def trouble(self, version: ImageVersion) -> str:
        standing = self.matching.known(version.id).standing
        trouble = standing.trouble(self.clock.now(), 7 * 86400)
        return "" if trouble is None else trouble.reason.rpartition(": ")[2]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def new(found: Rescan) -> list[tuple[str, ...]]:
    return [
        (
            *change.versions,
            *(f"+{v.cve}" for v in change.change.new),
            *(f"-{v.cve}" for v in change.change.gone),
        )
        for change in found.changes
    ]


def test_rescan_when_an_advisory_comes_then_tells_which_versions_have_it_descendants_too(
    bench: Bench,
) -> None:
    base = bench.record("base@1.0.0/1")
    more = (*NGINX, a_package("curl", "8"))
    child = bench.record("web@1.0.0/1", parent=a_parent(base.id), packages=more)
    bench.advise(an_advisory("CVE-2026-9", "bash"))
    assert bench.rescan().changes == ()
    assert bench.matching.known(child.id).findings == ()
    assert bench.trouble(child) == ""

    bench.advise(an_advisory("CVE-2026-1"))

    assert bench.trouble(child) == "it was not matched with the newest advisories."
    assert new(bench.rescan()) == [("base@1.0.0/1", "+CVE-2026-1"), ("web@1.0.0/1", "+CVE-2026-1")]
    (finding,) = bench.matching.known(child.id).findings
    assert (finding.id, finding.scope, finding.installed_version) == (
        "CVE-2026-1",
        "nginx",
        "1.0-1",
    )
    assert bench.matching.found_in(child.id)[0].first_seen_at == SOME_DAY
    bench.advise(an_advisory("CVE-2026-2"))
    assert new(bench.rescan())[0] == ("base@1.0.0/1", "+CVE-2026-2", "-CVE-2026-1")


def test_rescan_then_each_set_of_packages_is_looked_at_once(bench: Bench) -> None:
    for build in range(1, 251):
        bench.record(f"web@1.0.0/{build}", packages=(a_package("nginx", f"1.{build % 125}"),))
    bench.advise(an_advisory())

    first, second = bench.rescan(), bench.rescan()

    assert (first.matched, first.skipped) == (125, 0)
    assert bench.looks == [(100, 125), (125, 125)]
    assert {len(change.versions) for change in first.changes} == {2}
    assert all(change.is_first for change in first.changes)
    assert (second.matched, second.skipped, second.changes) == (0, 125, ())


def test_rescan_when_broken_off_then_goes_on_where_it_was(bench: Bench) -> None:
    for build in range(1, 151):
        bench.record(f"web@1.0.0/{build}", packages=(a_package("nginx", f"1.{build}"),))
    bench.advise(an_advisory())

    def interrupt(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.matching.rescan(interrupt)

    found = bench.rescan()
    assert (found.matched, found.skipped, len(found.changes)) == (50, 100, 50)


def test_rescan_when_only_to_look_then_keeps_nothing(bench: Bench) -> None:
    version = bench.record()
    bench.advise(an_advisory())

    assert new(bench.rescan(only_look=True)) == [("web@1.0.0/1", "+CVE-2026-1")]
    assert bench.found.found == {}
    assert bench.trouble(version) == "it was not matched with the newest advisories."


def test_rescan_of_an_image_then_only_its_versions_are_looked_at_and_told(bench: Bench) -> None:
    bench.record("base@1.0.0/1")
    bench.record("web@1.0.0/1")
    bench.record("db@1.0.0/1", packages=(a_package("nginx", "2"),))
    bench.advise(an_advisory())

    assert new(bench.rescan("web")) == [("web@1.0.0/1", "+CVE-2026-1")]
    assert bench.rescan().matched == 1
    with pytest.raises(VersionNotFound):
        bench.rescan("wed")


def test_rescan_when_the_same_advisories_are_published_again_then_they_are_young_again(
    bench: Bench,
) -> None:
    version = bench.record()
    bench.advise(an_advisory())
    bench.rescan()
    bench.clock.advance(timedelta(days=8).total_seconds())
    assert bench.trouble(version) == "the advisories are 8.0 days old, and 7d is allowed."

    bench.advise(an_advisory())
    found = bench.rescan()

    assert (found.matched, found.changes) == (0, ())
    assert bench.trouble(version) == ""


def test_known_when_the_feed_that_decides_is_old_then_a_new_one_does_not_make_it_young(
    bench: Bench,
) -> None:
    version = bench.record()
    bench.advise(an_advisory(state=FixState.NOT_AFFECTED), days_old=400)
    bench.advise(an_advisory(feed=Feed.OSV_DEBIAN))
    bench.rescan()

    assert bench.matching.known(version.id).findings == ()
    assert bench.trouble(version) == "the advisories are 400.0 days old, and 7d is allowed."


@pytest.mark.parametrize(
    ("release", "problem"),
    [
        ("debian:trixie", "the imported advisories say nothing of debian:trixie."),
        (UNKNOWN_RELEASE, "it does not say which distribution and release it is."),
    ],
)
def test_known_when_nobody_speaks_of_its_release_then_it_is_unknown_and_never_clean(
    bench: Bench, release: str, problem: str
) -> None:
    version = bench.record(bill=a_bill(release))
    bench.advise(an_advisory())
    found = bench.rescan()

    assert found.unspoken == {release: 1}
    assert bench.trouble(version) == problem
    assert bench.matching.unchecked() == 1


def test_known_when_there_is_no_bill_then_it_is_unknown(bench: Bench) -> None:
    version = bench.record(bill=None)
    assert bench.trouble(version) == "no advisories were imported."
    bench.advise(an_advisory())

    assert bench.rescan().unbilled == ("web@1.0.0/1",)
    assert bench.trouble(version) == "it has no bill, which would tell its release."


def test_known_when_it_has_no_packages_then_it_is_unknown(bench: Bench) -> None:
    version = bench.record(packages=())
    bench.advise(an_advisory())
    bench.rescan()

    assert bench.trouble(version).startswith("no package of it is known")


def test_match_version_then_it_is_known_from_the_beginning(bench: Bench) -> None:
    version = bench.record()
    bench.matching.match_version(version.id)
    assert bench.trouble(version) == "no advisories were imported."
    bench.advise(an_advisory(state=FixState.OPEN))

    for _ in range(2):
        bench.matching.match_version(version.id)

    assert len(bench.matching.known(version.id).findings) == 1
    assert bench.rescan().skipped == 1


def test_state_when_nothing_was_imported_then_says_what_to_do(bench: Bench) -> None:
    for ask in (bench.matching.state, bench.rescan, lambda: bench.matching.said_of("CVE-2026-1")):
        with pytest.raises(AdvisoriesMissing):
            ask()


def test_update_from_an_address_then_says_that_nothing_is_fetched(bench: Bench) -> None:
    with pytest.raises(AdvisoryFileUnreadable, match="https://example"):
        bench.matching.update(["https://example.org/json"], lambda *_: None)


def test_knows_then_counts_what_was_said_and_what_was_found(bench: Bench) -> None:
    bench.record()
    assert not bench.matching.knows("CVE-2026-1")
    bench.advise(an_advisory("CVE-2026-1"), an_advisory("CVE-2026-2", "bash"))
    bench.rescan()
    bench.advise(replace(an_advisory("CVE-2026-3"), feed=Feed.OSV_DEBIAN), fresh=True)

    assert [bench.matching.knows(f"CVE-2026-{n}") for n in (1, 2, 3)] == [True, False, True]
