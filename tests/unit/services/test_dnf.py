"""What dnf says, read."""

import shlex

import pytest

from imagebuilder.domain.updates import HeldPackage, HoldReason
from imagebuilder.services.provisioning import dnf
from imagebuilder.services.provisioning.packages import pending_of
from imagebuilder.services.provisioning.packages_wanted import wanted_packages
from tests.build import an_upgrade

TABLE = """\
Last metadata expiration check: 0:00:01 ago on Mon Nov 23 18:37:05 2026.
Dependencies resolved.

 Problem: cannot install the best update candidate for package epsilon-1.0-1.noarch
  - nothing provides nowhere needed by epsilon-1.0-2.noarch
=====================================================
 Package    Arch     Version          Repo       Size
=====================================================
Installing:
 kernel     x86_64   5.14.0-503.el9   baseos    2.0 M
Upgrading:
 alpha      noarch   1.0-2            local     5.5 k
 openssl    x86_64   1:3.2.2-6.el9    baseos    1.3 M
     replacing  old.noarch 1-1
Installing dependencies:
 gamma-with-a-very-long-name-that-lets-a-table-wrap
            noarch   20230101000000-1 local     5.6 k
Skipping packages with broken dependencies:
 epsilon    noarch   1.0-2            local     5.5 k

Transaction Summary
=====================================================
Install  2 Packages
Upgrade  2 Packages
Skip     1 Package

Total size: 17 k
Operation aborted.
"""
INSTALLED = """\
alpha noarch 1.0-1
openssl x86_64 1:3.2.2-1.el9
kernel x86_64 5.14.0-400.el9
epsilon noarch 1.0-1
beta noarch 1.0-1
locked noarch 1.0-1
"""
AVAILABLE = """\
alpha noarch 0:1.0-2

epsilon noarch 0:1.0-2
beta noarch 0:1.0-2
locked noarch 0:2.0-1
"""
ADVISORIES = """\
EX-2025:1 Important/Sec. alpha-1.0-2.noarch
EX-2025:2 bugfix openssl-3.2.2-6.el9.x86_64
"""
CVES = "CVE-2025-0002 Important/Sec. alpha-1.0-2.noarch"


def said(**parts: str) -> str:
    given = {
        "installed": INSTALLED,
        "available": AVAILABLE,
        "advisories": ADVISORIES,
        "cves": CVES,
        "plan": TABLE,
        **parts,
    }
    return "@@ dnf\n" + "".join(f"@@ {name}\n{text}\n" for name, text in given.items())


def test_pending_of_then_the_table_is_read_also_where_it_is_broken_into_lines() -> None:
    found = pending_of(said()).upgrades
    assert [(u.name, u.architecture, u.old_version, u.new_version, u.origin) for u in found] == [
        ("alpha", "noarch", "1.0-1", "1.0-2", "local"),
        (
            "gamma-with-a-very-long-name-that-lets-a-table-wrap",
            "noarch",
            "",
            "20230101000000-1",
            "local",
        ),
        ("kernel", "x86_64", "", "5.14.0-503.el9", "baseos"),
        ("openssl", "x86_64", "1:3.2.2-1.el9", "1:3.2.2-6.el9", "baseos"),
    ]


def test_pending_of_then_security_and_cves_are_those_of_the_advisories() -> None:
    found = {u.name: u for u in pending_of(said()).upgrades}
    assert (found["alpha"].is_security, found["alpha"].cves) == (True, ("CVE-2025-0002",))
    assert (found["openssl"].is_security, found["openssl"].cves) == (False, ())


def test_pending_of_then_what_stays_is_told_with_its_reason() -> None:
    held = pending_of(said(excluded="b*")).held
    assert held == (
        HeldPackage(name="beta", version="1.0-1", available="1.0-2", reason=HoldReason.EXCLUDED),
        HeldPackage(
            name="epsilon",
            version="1.0-1",
            available="1.0-2",
            reason=HoldReason.KEPT,
            detail="nothing provides nowhere needed by epsilon-1.0-2.noarch",
        ),
        HeldPackage(
            name="locked",
            version="1.0-1",
            available="2.0-1",
            reason=HoldReason.MARKED,
            detail="excluded or locked by dnf's own settings",
        ),
    )


@pytest.mark.parametrize("parts", [{"security": "only"}, {"included": "alpha"}])
def test_pending_of_when_only_some_are_asked_for_then_the_others_are_not_held(
    parts: dict[str, str],
) -> None:
    assert pending_of(said(**parts)).held == ()


def test_install_text_then_versions_are_written_as_dnf_takes_them() -> None:
    wanted = wanted_packages({"packages": ["nginx=1.22.*", "ImageMagick"], "recommends": "true"})
    words = shlex.split(dnf.install_text(wanted).splitlines()[-1])
    assert words[words.index("--") + 1 :] == ["nginx-1.22.*", "ImageMagick"]
    assert "--setopt=install_weak_deps=True" in words


def test_install_text_when_there_are_pins_then_says_what_to_write_instead() -> None:
    pins = [{"package": "nginx", "version": "1"}]
    text = dnf.install_text(wanted_packages({"packages": ["nginx"], "pins": pins}))
    assert text == (
        "echo 'pins are for apt; with dnf, name the version instead: name=version' >&2\nexit 2\n"
    )


def test_apply_text_then_new_packages_come_as_needs_of_the_others() -> None:
    moved, new = an_upgrade("a", old="1-1", new="2-1"), an_upgrade("b", old="", new="1-1")
    text = dnf.apply_text([moved, new])
    assert '"$dnf" $options upgrade -- a-2-1.amd64\nfor name in b-1-1.amd64; do\n' in text


def test_missing_in_then_a_version_is_told_from_the_name() -> None:
    wanted = wanted_packages({"packages": ["alpha=9", "alhpa"]})
    output = "No match for argument: alpha-9\nNo match for argument: alhpa\n"
    assert dnf.missing_in(output, wanted) == ("alpha", "alhpa")
    assert dnf.is_stale(output)
