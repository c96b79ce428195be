"""What is read of a list that dpkg, or somebody hostile, wrote."""

import pytest

from imagebuilder.domain.bill import PackageListMalformed
from imagebuilder.formats.dpkg_status import installed_in
from tests.build import a_package

PATH = "/var/lib/dpkg/status"
BASH = (
    b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n"
    b"Description: a shell\n for people\n .\n"
)


def test_installed_in_when_a_source_has_a_version_then_it_is_told() -> None:
    content = BASH + b"Source: bash-signed (5.2)\n"

    expected = a_package("bash", "5.2-1", source="bash-signed", source_version="5.2")
    assert installed_in(content, PATH) == (expected,)


@pytest.mark.parametrize(
    "state",
    [
        *("half-installed", "unpacked", "half-configured"),
        *("triggers-awaited", "triggers-pending", "installed"),
    ],
)
def test_installed_in_when_its_files_are_there_then_it_counts_configured_or_not(state: str) -> None:
    other = BASH.replace(b"bash", b"there").replace(b"ok installed", b"ok " + state.encode())

    assert installed_in(BASH + b"\n" + other, PATH) == (
        a_package("bash", "5.2-1"),
        a_package("there", "5.2-1"),
    )


@pytest.mark.parametrize(
    ("status", "version"),
    [
        (b"deinstall ok config-files", b"Version: 5.2-1\n"),
        (b"unknown ok not-installed", b""),
        (b"install reinstreq half-installed", b""),
    ],
)
def test_installed_in_when_its_files_are_not_there_then_is_left_out(
    status: bytes, version: bytes
) -> None:
    other = BASH.replace(b"bash", b"gone").replace(b"install ok installed", status)
    other = other.replace(b"Version: 5.2-1\n", version)

    assert installed_in(BASH + b"\n" + other, PATH) == (a_package("bash", "5.2-1"),)


def test_installed_in_when_a_list_has_no_states_then_all_count() -> None:
    content = BASH.replace(b"Status: install ok installed\n", b"")

    assert installed_in(content, PATH) == ()
    assert len(installed_in(content, PATH, is_always_installed=True)) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"\0\1\2", "Line 1 is no field", id="no text"),
        pytest.param(b" x\n", "Line 1 is no field", id="begins in the middle"),
        pytest.param(BASH + b"Package: sh\n", "says Package a second time", id="two names"),
        pytest.param(BASH.replace(b"bash", b"../x"), "has the package '../x'", id="a path"),
        pytest.param(BASH.replace(b"bash", b""), "has no package", id="no name"),
        pytest.param(BASH.replace(b"5.2-1", b"5 2"), "has the version '5 2'", id="no version"),
        pytest.param(BASH.replace(b"amd64", b"<b>"), "the architecture '<b>'", id="markup"),
        pytest.param(BASH + b"Source: a (b) c\n", "has the source", id="no source"),
        pytest.param(BASH.replace(b"5.2-1", b"5" * 2000), "is longer than", id="too long"),
        pytest.param(BASH.replace(b"ok installed", b"ok inst"), "the status", id="no state"),
        pytest.param(BASH.rstrip(b"\n"), "cut short", id="no end"),
    ],
)
def test_installed_in_when_malformed_then_says_what_and_where(content: bytes, reason: str) -> None:
    with pytest.raises(PackageListMalformed) as caught:
        installed_in(content, PATH)

    assert reason in caught.value.context
    assert PATH in caught.value.message
