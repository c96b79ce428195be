"""What is taken over from statements of others, and what is left."""

import pytest

from imagebuilder.domain.finding import FindingKind
from imagebuilder.domain.waiver import Accepted
from imagebuilder.formats.openvex import VexStatement, VexStatus
from imagebuilder.services.accepting import Taken, WaiverWish, wishes_of
from tests.build import SOME_DAY

OPENSSL = "pkg:deb/debian/openssl@3.0?arch=source"


def taken(
    *products: str, parts: tuple[str, ...] = (), name: str = "CVE-2026-1", package: str = ""
) -> Taken:
    statement = VexStatement(
        vulnerability=name,
        status=VexStatus.NOT_AFFECTED,
        products=products,
        subcomponents=parts,
        impact="nobody calls it",
    )
    common = WaiverWish(
        accepted=Accepted(kind=FindingKind.VULNERABILITY, id="", within=package),
        image="web-*",
        reason="",
        ticket="SEC-1",
        owner="ann",
        expires_at=SOME_DAY,
    )
    return wishes_of([statement], common)


def within(found: Taken) -> list[str]:
    assert {wish.accepted.kind for wish in found.wishes} <= {FindingKind.VULNERABILITY}
    return [wish.accepted.within for wish in found.wishes]


@pytest.mark.parametrize(
    ("products", "parts"),
    [
        (("pkg:pypi/requests@2.0",), ()),
        (("PKG:pypi/requests@2.0",), ()),
        (("pkg:rpm/fedora/openssl@3.0",), ()),
        (("pkg:oci/web@sha256%3Aab",), ()),
        (("pkg:deb/",), ()),
        (("pkg:generic/openssl@3.0",), ()),
        (("pkg:generic/web-a@1.0.0%2F1",), ("pkg:pypi/requests@2.0",)),
        (("web",), ("log4j",)),
    ],
)
def test_statement_when_of_what_is_no_debian_package_then_is_left(
    products: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    found = taken(*products, parts=parts)

    assert found.wishes == ()
    assert "which is no Debian package" in found.left[0]


@pytest.mark.parametrize("products", [(), ("pkg:generic/web-a@1.0.0%2F1",), ("our web",)])
def test_statement_when_of_the_image_then_is_of_all_that_it_has(products: tuple[str, ...]) -> None:
    assert within(taken(*products)) == [""]
    assert within(taken(*products, package="openssl")) == ["openssl"]


def test_statement_when_of_packages_in_a_container_then_is_of_those() -> None:
    found = taken("pkg:oci/web@sha256%3Aab", parts=(OPENSSL, "pkg:pypi/requests@2.0"))

    assert (within(found), found.left) == (["openssl"], ())


def test_statement_when_one_package_is_asked_for_then_others_are_left() -> None:
    found = taken(OPENSSL, "pkg:deb/debian/zlib", package="zlib")

    assert within(found) == ["zlib"]
    assert found.left == ("CVE-2026-1 is of openssl",)


@pytest.mark.parametrize("name", ["pack:x::y", "*", "https://nvd/CVE-2026-1", "openssl"])
def test_statement_when_its_name_is_no_vulnerabilitys_then_is_left(name: str) -> None:
    for package in ("", "openssl"):
        found = taken(OPENSSL, name=name, package=package)

        assert (found.wishes, found.left) == ((), (f"{name} is no CVE or advisory",))
