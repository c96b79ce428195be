"""Which archives builds use, and what their signed indexes are."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.local.fetching import ArchiveFetcher
from imagebuilder.adapters.local.sources import (
    AptSources,
    Mirrors,
    NoMirror,
    address_of,
    one_line,
    sources_list,
    without_credentials,
)
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.recipe import Repository, Suite
from imagebuilder.ports.building import MirrorUnreachable
from tests.fakes.process import FakeCommandRunner, a_result
from tests.mirrors import Answer, Mirror, basic, mirror

INDEX = "/debian/dists/bookworm/InRelease"
TARGETS = (
    "bookworm contrib http://deb.example.org/debian/\n"
    "bookworm main http://deb.example.org/debian/\n"
    "bookworm-security main http://security.example.org/debian-security/\n"
)


@pytest.fixture
def etc_apt(tmp_path: Path) -> Path:
    folder = tmp_path / "etc/apt"
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list").write_text("deb http://deb.example.org/debian bookworm main\n")
    return folder


@pytest.fixture
def served() -> Iterator[Mirror]:
    with mirror() as archive:
        yield archive


def apt(targets: str) -> FakeCommandRunner:
    """Give a machine whose apt has these targets."""
    return FakeCommandRunner(
        {"apt-get": a_result(stdout=targets.encode()), "apt-config": a_result(stdout=b"")}
    )


def sources(
    commands: FakeCommandRunner,
    etc_apt: Path,
    mirrors: Mirrors | None = None,
    fetcher: ArchiveFetcher | None = None,
) -> AptSources:
    fetcher = fetcher or ArchiveFetcher()
    return AptSources(commands, mirrors or Mirrors(), etc_apt, known(etc_apt), fetcher)


def known(etc_apt: Path) -> Path:
    return etc_apt.parent / "cache/known.json"


def test_repositories_when_settings_name_none_then_are_the_machines_own(etc_apt: Path) -> None:
    found = sources(apt(TARGETS), etc_apt).repositories(Suite.BOOKWORM)

    assert found == (
        Repository(url="http://deb.example.org/debian/", suites=("bookworm", "bookworm-updates")),
        Repository(
            url="http://security.example.org/debian-security/", suites=("bookworm-security",)
        ),
    )


def test_repositories_of_sid_then_have_no_other_pockets(etc_apt: Path) -> None:
    found = sources(apt(TARGETS), etc_apt).repositories(Suite.SID)

    assert [repository.suites for repository in found] == [("sid",)]


def test_repositories_when_settings_name_a_mirror_then_apt_is_not_asked(etc_apt: Path) -> None:
    mirrors = Mirrors(main="http://mirror.example.org/debian")
    commands = apt(TARGETS)

    found = sources(commands, etc_apt, mirrors).repositories(Suite.BOOKWORM)

    assert [repository.url for repository in found] == ["http://mirror.example.org/debian"]
    assert commands.commands == []


def test_repositories_when_nobody_knows_any_then_says_what_to_set(etc_apt: Path) -> None:
    with pytest.raises(NoMirror) as unknown:
        sources(apt("jammy main http://ubuntu.example.org/\n"), etc_apt).repositories(Suite.SID)

    assert "IMAGEBUILDER_MIRROR" in unknown.value.hint


def test_repositories_when_asked_again_then_apt_is_asked_only_after_its_sources_changed(
    etc_apt: Path,
) -> None:
    commands = apt(TARGETS)
    asked = sources(commands, etc_apt)
    asked.repositories(Suite.BOOKWORM)
    asked.repositories(Suite.TRIXIE)
    before = len(commands.commands)
    asked.repositories(Suite.SID)
    assert len(commands.commands) == before

    (etc_apt / "sources.list.d/more.list").write_text("deb http://more.example.org/ x main\n")
    asked.repositories(Suite.BOOKWORM)

    assert len(commands.commands) == 2 * before


@pytest.mark.parametrize("content", ["", "null", "[]", "{", '{"version": 1}', '"x"'])
def test_repositories_when_what_was_remembered_is_garbage_then_apt_is_asked(
    etc_apt: Path, content: str
) -> None:
    known(etc_apt).parent.mkdir()
    known(etc_apt).write_text(content)

    assert len(sources(apt(TARGETS), etc_apt).repositories(Suite.BOOKWORM)) == 2


def test_repositories_when_the_machines_sources_hold_a_password_then_it_goes_nowhere(
    etc_apt: Path,
) -> None:
    commands = apt("bookworm main http://user:secret@deb.example.org/debian/\n")

    (found,) = sources(commands, etc_apt).repositories(Suite.BOOKWORM)

    assert found.url == "http://deb.example.org/debian/"
    assert "secret" not in known(etc_apt).read_text()
    assert json.loads(known(etc_apt).read_text())["main"] == found.url


class TestIndexes:
    def test_indexes_are_the_digests_of_what_is_signed(self, etc_apt: Path, served: Mirror) -> None:
        served.answers[INDEX] = Answer(b"signed")
        repository = Repository(url=f"{served.url}/debian/", suites=("bookworm",))

        found = sources(apt(""), etc_apt).indexes([repository])

        assert found == {f"{served.url}{INDEX}": Digest.of_bytes(b"signed")}

    def test_indexes_when_there_are_no_archives_then_none(self, etc_apt: Path) -> None:
        assert sources(apt(""), etc_apt).indexes([]) == {}

    def test_indexes_when_the_archive_wants_credentials_then_they_are_given(
        self, etc_apt: Path, served: Mirror
    ) -> None:
        served.answers[INDEX] = Answer(b"signed")
        fetcher = ArchiveFetcher({"127.0.0.1": "user:pass"})

        sources(apt(""), etc_apt, fetcher=fetcher).indexes(
            [Repository(url=f"{served.url}/debian", suites=("bookworm",))]
        )

        assert served.requests[0][2]["authorization"] == basic("user:pass")

    def test_indexes_when_looked_at_for_many_then_each_is_fetched_once(
        self, etc_apt: Path, served: Mirror
    ) -> None:
        served.answers[INDEX] = Answer(b"signed")
        asked = sources(apt(""), etc_apt, fetcher=ArchiveFetcher(is_lasting=True))
        repository = Repository(url=f"{served.url}/debian", suites=("bookworm",))

        found = [asked.indexes([repository]) for _ in range(3)]

        assert found[0] == found[2]
        assert served.count(INDEX) == 1

    def test_indexes_when_redirected_then_credentials_stay_behind(
        self, etc_apt: Path, served: Mirror
    ) -> None:
        with mirror() as other:
            served.answers[INDEX] = Answer(status=302, headers={"Location": other.url + INDEX})
            other.answers[INDEX] = Answer(b"signed")
            fetcher = ArchiveFetcher({"127.0.0.1": "user:pass"})
            sources(apt(""), etc_apt, fetcher=fetcher).indexes(
                [Repository(url=f"{served.url}/debian", suites=("bookworm",))]
            )
            assert "authorization" not in other.requests[0][2]

    @pytest.mark.parametrize(
        "answer", [Answer(status=404), Answer(status=503), Answer(b"x" * 1000, sent=10)]
    )
    def test_indexes_when_the_archive_does_not_give_one_then_it_is_unreachable(
        self, etc_apt: Path, served: Mirror, answer: Answer
    ) -> None:
        served.answers[INDEX] = answer
        repository = Repository(url=f"{served.url}/debian", suites=("bookworm",))

        with pytest.raises(MirrorUnreachable):
            sources(apt(""), etc_apt).indexes([repository])

    def test_indexes_when_nobody_listens_then_it_is_unreachable(self, etc_apt: Path) -> None:
        with mirror() as gone:
            url = gone.url

        with pytest.raises(MirrorUnreachable, match=INDEX):
            sources(apt(""), etc_apt).indexes(
                [Repository(url=f"{url}/debian", suites=("bookworm",))]
            )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://Deb.Example.org/debian", ("deb.example.org", 80)),
        ("https://deb.example.org/", ("deb.example.org", 443)),
        ("http://user:pass@deb.example.org:8080/debian", ("deb.example.org", 8080)),
        ("http://[::1]:81/", ("::1", 81)),
    ],
)
def test_address_of_gives_host_and_port(url: str, address: tuple[str, int]) -> None:
    assert address_of(url) == address


def test_without_credentials_takes_user_and_password_out() -> None:
    text = "http://user:p%40ss@deb.example.org:81/debian?x#y"

    assert without_credentials(text) == "http://deb.example.org:81/debian?x#y"


def test_one_line_writes_a_line_for_each_suite_without_credentials() -> None:
    repository = Repository(
        url="http://u:p@deb.example.org/",
        suites=("x", "x-updates"),
        components=("main", "contrib"),
        keyring="/keys/own.gpg",
    )

    assert one_line(repository) == [
        "deb [signed-by=/keys/own.gpg] http://deb.example.org/ x main contrib",
        "deb [signed-by=/keys/own.gpg] http://deb.example.org/ x-updates main contrib",
    ]


def test_sources_list_names_keyrings_where_they_will_be_inside() -> None:
    plain = Repository(url="http://deb.example.org/", suites=("x",))
    own = Repository(url="http://own.example.org/", suites=("y",), keyring="/keys/own.gpg")

    text, files = sources_list([plain, own], "/run/keys")

    assert text == (
        "deb http://deb.example.org/ x main\n"
        "deb [signed-by=/run/keys/1.gpg] http://own.example.org/ y main\n"
    )
    assert files == {"/run/keys/1.gpg": Path("/keys/own.gpg")}
