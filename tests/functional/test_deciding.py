"""Must we build? Night by night, over a signed archive of the test's own."""

from collections.abc import Iterator

import pytest

from imagebuilder.domain.errors import Unavailable
from imagebuilder.domain.need import Decision, Move, ReasonKind, Verdict
from imagebuilder.ports.building import SignatureRefused
from imagebuilder.services.pipelines.deciding import DecisionAsked
from imagebuilder.services.pipelines.planning import BuildRequest
from tests.functional.conftest import Cli
from tests.recorded import PAGE, PATCHES, record_as_built
from tests.signed_archives import SignedArchive, SigningKey, signed_archive, signing_key

BASE = """\
kind: Recipe
name: base
version: 1.0.x
parent: {from: debian:bookworm, mirror: "%(url)s", keyring: own.gpg}
components: [patches, page]
repositories: [{url: "%(url)s", suites: [bookworm-security], keyring: own.gpg}]
artifacts: [tar]
"""
WEB = """\
kind: Recipe
name: web
version: 1.0.x
parent: image:base@1.x
components: [page]
artifacts: [tar]
"""
PACKAGES = {"openssl": "3.0.14-1", "tzdata": "2024a-0", "nginx": "1.22-1"}


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    with signing_key() as made:
        yield made


class Nights:
    """A base image and one on it, recorded, over an archive with a security part."""

    def __init__(self, cli: Cli, main: SignedArchive, security: SignedArchive) -> None:
        self.cli = cli
        self.main = main
        self.security = security

    def record(self, recipe: str = "base.yaml") -> str:
        application = self.cli.application()
        return record_as_built(application, recipe, PACKAGES, above="nginx").reference

    def decide(self, recipe: str = "base.yaml") -> Decision:
        """Decide as a process of its own, and see that a build would find the same."""
        decision = self.cli.application().deciding.decide(DecisionAsked(recipe_path=recipe))
        prepared = self.cli.application().building.plan(BuildRequest(recipe_path=recipe))
        assert prepared.is_unchanged == (decision.verdict is Verdict.SKIP)
        assert prepared.reasons == decision.reasons
        return decision

    def lists_fetched(self) -> int:
        return sum(self.main.served.count(part.list_path) for part in (self.main, self.security))


@pytest.fixture
def nights(cli: Cli, key: SigningKey) -> Iterator[Nights]:
    with signed_archive(key, **PACKAGES) as main:
        security = SignedArchive(key, main.served, "bookworm-security", "Debian-Security")
        security.publish()
        cli.write("components/patches.yaml", PATCHES)
        cli.write("components/page.yaml", PAGE)
        cli.write("base.yaml", BASE % {"url": main.url})
        cli.write("web.yaml", WEB)
        (cli.folder / "own.gpg").write_bytes(key.public)
        yield Nights(cli, main, security)


def test_decide_when_it_was_never_built_then_builds(nights: Nights) -> None:
    assert [reason.kind for reason in nights.decide().reasons] == [ReasonKind.NEVER_BUILT]


def test_decide_when_nothing_changed_then_skips_and_no_list_is_read(nights: Nights) -> None:
    reference = nights.record()

    decision = nights.decide()

    assert decision.verdict is Verdict.SKIP
    assert decision.text == f"nothing changed since {reference}"
    assert nights.lists_fetched() == 0


def test_decide_when_the_index_was_signed_anew_then_skips_and_lists_are_read_once(
    nights: Nights,
) -> None:
    nights.record()
    nights.main.publish()

    assert nights.decide().verdict is Verdict.SKIP
    fetched = nights.lists_fetched()
    assert nights.decide().verdict is Verdict.SKIP
    assert nights.lists_fetched() == fetched == 2


def test_decide_when_there_is_a_security_update_then_names_package_and_versions(
    nights: Nights,
) -> None:
    nights.record()
    nights.security.packages["openssl"] = "3.0.15-1"
    nights.security.publish()

    (reason,) = nights.decide().reasons

    assert reason.kind is ReasonKind.SECURITY_UPDATES
    assert reason.text == "1 security update: openssl 3.0.14-1 to 3.0.15-1"
    assert reason.moves == (Move(name="openssl", before="3.0.14-1", now="3.0.15-1"),)
    told = nights.cli("build", "base.yaml", "--dry-run").stdout
    assert told.splitlines()[-1] == f"to build: {reason.text}"


def test_decide_when_what_changed_is_not_what_updates_then_skips(nights: Nights) -> None:
    nights.record()
    nights.main.packages |= {"nginx": "9", "other": "1"}
    nights.main.publish()

    assert nights.decide().verdict is Verdict.SKIP


def test_decide_when_only_security_counts_then_other_updates_wait(nights: Nights) -> None:
    nights.record()
    nights.main.packages["tzdata"] = "2024b-0"
    nights.main.publish()
    asked = DecisionAsked(recipe_path="base.yaml", security_only=True)

    decision = nights.cli.application().deciding.decide(asked)

    assert decision.verdict is Verdict.SKIP
    assert [str(reason) for reason in decision.passed_over] == [
        "1 update: tzdata 2024a-0 to 2024b-0"
    ]


def test_decide_when_the_parent_has_a_newer_version_then_the_child_follows(
    nights: Nights,
) -> None:
    first = nights.record()
    nights.record("web.yaml")
    assert nights.decide("web.yaml").verdict is Verdict.SKIP
    nights.cli.write("components/page.yaml", PAGE.replace('"true"', '"true x"'))
    second = nights.record()
    nights.cli.write("components/page.yaml", PAGE)

    (reason,) = nights.decide("web.yaml").reasons

    assert reason.kind is ReasonKind.PARENT_CHANGED
    assert reason.text == f"its parent image:base@1.x was {first} and is {second}"


def test_decide_when_the_index_was_tampered_with_then_is_refused_and_says_why(
    nights: Nights,
) -> None:
    nights.record()
    signed = nights.main.served.answers[nights.main.in_release]
    signed.content = signed.content.replace(b"Label: Debian", b"Label: Foreign")
    asked = DecisionAsked(recipe_path="base.yaml")

    with pytest.raises(SignatureRefused) as refused:
        nights.cli.application().deciding.decide(asked)

    assert nights.main.in_release in refused.value.message
    assert "BADSIG" in refused.value.context
    assert nights.cli.error("build", "base.yaml", "--dry-run")["exit"] == 4


def test_decide_when_the_mirror_is_down_then_it_is_unavailable(nights: Nights) -> None:
    nights.record()
    nights.main.served.answers.clear()

    with pytest.raises(Unavailable):
        nights.cli.application().deciding.decide(DecisionAsked(recipe_path="base.yaml"))


def test_decide_when_many_are_due_then_each_index_is_asked_for_once(nights: Nights) -> None:
    base, web = nights.record(), nights.record("web.yaml")
    nights.main.publish()
    before = nights.main.served.count(nights.main.in_release)
    decisions = nights.cli.application().deciding.opened()

    asked = [DecisionAsked(recipe_path=path) for path in ("base.yaml", "web.yaml") * 5]
    texts = {decisions.decide(each).text for each in asked}

    assert texts == {f"nothing changed since {each}" for each in (base, web)}
    assert nights.main.served.count(nights.main.in_release) == before + 1
    assert nights.lists_fetched() == 2
