"""What apt says, read; and what it is told, taken apart again by a shell."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.updates import HeldPackage, HoldReason
from imagebuilder.services.provisioning import apt
from imagebuilder.services.provisioning.packages import pending_of
from imagebuilder.services.provisioning.packages_wanted import (
    Pin,
    wanted_packages,
    wanted_update,
)
from imagebuilder.services.provisioning.refusals import ActionRefusedError
from tests.build import an_upgrade

SAMPLE = """\
NOTE: This is only a simulation!
      apt-get needs root privileges for real execution.
Reading package lists...
Building dependency tree...
Calculating upgrade...
The following packages have been kept back:
   linux-headers-amd64 (6.1.148-1 => 6.1.153-1)
   libc6:i386 (2.36-9 => 2.36-10)
   sudo (1.9.13 => 1.9.14)
The following upgrades have been deferred due to phasing:
   systemd (252.1 => 252.2)
The following packages will be REMOVED:
   libold1 (1.0-1)
The following NEW packages will be installed:
   linux-image-6.1.0-40-amd64 (6.1.153-1)
Remv libold1 [1.0-1]
Inst login [1:4.13+dfsg1-1+deb12u1] (1:4.13+dfsg1-1+deb12u2 Debian:12.15/oldstable [amd64])
Inst libgcrypt20:i386 [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [i386]) []
Inst libgcrypt20 [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libpam-modules-bin [1.5.2-6+deb12u1] (1.5.2-6+deb12u2 Debian:12.15/oldstable [amd64]) [libpam-modules:amd64 on libpam-modules-bin:amd64] [libpam-modules:amd64 ]
Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Ubuntu:24.04/noble-security [amd64])
Inst tzdata [2024a-0+deb12u1] (2025b-0+deb12u2 Debian:12.15/oldstable [all])
Inst ours [1] (2 [all])
Conf login (1:4.13+dfsg1-1+deb12u2 Debian:12.15/oldstable [amd64])
Conf libgcrypt20 (1.10.1-3+deb12u1 Debian:12.15/oldstable [amd64])
"""  # noqa: E501 - as apt prints it


def test_parse_upgrades_when_apt_says_all_it_can_then_only_what_it_would_install() -> None:
    found = apt.parse_upgrades(SAMPLE)
    assert [(u.name, u.architecture, u.old_version, u.new_version) for u in found] == [
        ("libgcrypt20", "amd64", "1.10.1-3", "1.10.1-3+deb12u1"),
        ("libgcrypt20", "i386", "1.10.1-3", "1.10.1-3+deb12u1"),
        ("libpam-modules-bin", "amd64", "1.5.2-6+deb12u1", "1.5.2-6+deb12u2"),
        ("linux-image-6.1.0-40-amd64", "amd64", "", "6.1.153-1"),
        ("login", "amd64", "1:4.13+dfsg1-1+deb12u1", "1:4.13+dfsg1-1+deb12u2"),
        ("ours", "all", "1", "2"),
        ("tzdata", "all", "2024a-0+deb12u1", "2025b-0+deb12u2"),
    ]


def test_parse_upgrades_when_there_is_nothing_to_do_then_gives_nothing() -> None:
    said = "Reading package lists...\n0 upgraded, 0 newly installed, 0 to remove.\n"
    assert apt.parse_upgrades(said) == ()


@pytest.mark.parametrize(
    "origin",
    [
        "Debian:12.15/oldstable, Debian-Security:12/oldstable-security",
        "Debian-Security:12/oldstable-security",
        "Debian-Security:10/oldoldstable",
        "Ubuntu:24.04/noble-security",
        "UbuntuESM:22.04/jammy-infra-security",
    ],
)
def test_parse_upgrades_when_a_security_archive_has_it_then_is_security(origin: str) -> None:
    (found,) = apt.parse_upgrades(f"Inst a [1] (2 {origin} [all])\n")
    assert (found.origin, found.is_security) == (origin, True)


@pytest.mark.parametrize(
    "origin", ["Debian:12.15/oldstable", "Security Tools:1/stable", "Example:1/security-tools", ""]
)
def test_parse_upgrades_when_no_security_archive_has_it_then_is_not(origin: str) -> None:
    (found,) = apt.parse_upgrades(f"Inst a [1] (2 {origin} [all])\n")
    assert (found.origin, found.is_security) == (origin, False)


def test_pending_of_then_what_stays_is_told_with_its_reason() -> None:
    why = "The following packages have unmet dependencies:\n linux-headers-amd64 : Depends: x (= 2)"
    said = (
        f"@@ marked\nsudo\n@@ excluded\nlibc6\n@@ all\n{SAMPLE}"
        f"@@ why linux-headers-amd64\n{why} but it is not installable\n"
    )
    assert pending_of(said).held == (
        HeldPackage(
            name="libc6", version="2.36-9", available="2.36-10", reason=HoldReason.EXCLUDED
        ),
        HeldPackage(
            name="linux-headers-amd64",
            version="6.1.148-1",
            available="6.1.153-1",
            reason=HoldReason.KEPT,
            detail="linux-headers-amd64: Depends: x (= 2) but it is not installable",
        ),
        HeldPackage(name="sudo", version="1.9.13", available="1.9.14", reason=HoldReason.MARKED),
        HeldPackage(name="systemd", version="252.1", available="252.2", reason=HoldReason.PHASED),
    )


def test_pending_of_when_some_are_asked_for_then_only_these_and_their_plan() -> None:
    plan = "Inst tzdata [1] (2 Debian:12/stable [all])\n"
    found = pending_of(f"@@ all\n{SAMPLE}@@ included\nsudo\ntzdata\n@@ plan\n{plan}")
    assert [u.name for u in found.upgrades] == ["tzdata"]
    assert [h.name for h in found.held] == ["sudo"]


def test_cves_of_when_a_changelog_was_read_then_each_once_and_sorted() -> None:
    said = "read a all\nCVE-2025-2 a all\nCVE-2024-1 a all\nCVE-2025-2 a all\nCVE-2020-1 b all\n"
    assert apt.cves_of({"cves": said}, an_upgrade("a", arch="all")) == ("CVE-2024-1", "CVE-2025-2")


def test_cves_of_when_no_changelog_was_read_then_nobody_knows() -> None:
    assert apt.cves_of({"cves": "read b all\n"}, an_upgrade("a", arch="all")) is None


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("E: Unable to locate package ngnix\n", ("ngnix",)),
        ("E: Package 'gone' has no installation candidate\n", ("gone",)),
        ("E: Version '9' for 'nginx:amd64' was not found\n", ("nginx",)),
        ("E: Sub-process /usr/bin/dpkg returned an error code (1)\n", ()),
    ],
)
def test_missing_in_then_names_what_apt_does_not_have(said: str, missing: tuple[str, ...]) -> None:
    assert apt.missing_in(said) == missing
    assert apt.is_stale(said) == bool(missing)


@pytest.mark.parametrize("name", ["nginx", "libstdc++6", "php*", "a.b", "a_b"])
def test_pin_path_then_apt_reads_a_file_of_that_name(name: str) -> None:
    folder, _, file = apt.pin_path(Pin(package=name, version="1")).rpartition("/")
    assert folder == "/etc/apt/preferences.d"
    assert file.endswith(".pref")
    assert all(c.isalnum() or c in "-_." for c in file)


@given(st.sets(st.from_regex(r"[a-z*][a-z0-9+.*-]{0,8}", fullmatch=True), min_size=2))
def test_pin_path_then_two_packages_never_share_a_file(names: set[str]) -> None:
    assert len({apt.pin_path(Pin(package=name, version="1")) for name in names}) == len(names)


@given(st.text(max_size=20), st.text(max_size=20))
def test_install_text_then_a_shell_sees_just_what_was_written_or_it_was_refused(
    name: str, version: str
) -> None:
    try:
        wanted = wanted_packages({"packages": [f"{name}={version}"]})
    except ActionRefusedError:
        return
    words = shlex.split(apt.install_text(wanted).splitlines()[-1])
    assert words[words.index("--") + 1 :] == [f"{name}={version}"]
    assert not name.startswith("-")


@given(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["version", "release"]),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
def test_pin_text_then_is_three_lines_or_it_was_refused(package: str, by: str, what: str) -> None:
    inputs: Canonical = {"packages": ["a"], "pins": [{"package": package, by: what}]}
    try:
        (pin,) = wanted_packages(inputs).pins
    except ActionRefusedError:
        return
    assert apt.pin_text(pin).splitlines() == [
        f"Package: {package}",
        f"Pin: {by} {what}",
        "Pin-Priority: 1001",
    ]


@given(st.lists(st.text(max_size=10), min_size=1, max_size=3))
def test_pending_text_then_patterns_reach_dpkg_as_they_are(patterns: list[str]) -> None:
    try:
        wanted = wanted_update({"exclude": patterns})
    except ActionRefusedError:
        return
    text = apt.pending_text(wanted)
    (line,) = [line for line in text.splitlines() if line.startswith("excluded=$(")]
    assert shlex.split(line[len("excluded=$(installed ") : -1]) == patterns


@pytest.mark.parametrize(
    "inputs",
    [
        {"packages": []},
        {"packages": ["-odd"]},
        {"packages": ["nginx-"]},
        {"packages": ["a b"]},
        {"packages": ["a=1 2"]},
        {"packages": ["a"], "pins": [{"package": "a"}]},
        {"packages": ["a"], "pins": [{"package": "a", "version": "1", "release": "b"}]},
        {"packages": ["a"], "pins": [{"package": "a", "version": "1", "priority": "high"}]},
        {"packages": ["a"], "pins": [{"package": "a", "version": "1", "priority": 40000}]},
    ],
)
def test_wanted_packages_when_it_is_no_such_thing_then_is_refused(
    inputs: dict[str, Canonical],
) -> None:
    with pytest.raises(ActionRefusedError):
        wanted_packages(inputs)
