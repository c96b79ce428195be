"""`imagebuilder image find` and `image list`."""

from dataclasses import replace

import pytest

from imagebuilder.domain.audit import Act
from imagebuilder.domain.standing import Revocation
from imagebuilder.domain.updates import upgrades_document
from tests.build import SOME_DAY, a_draft, a_package, an_update, an_upgrade
from tests.functional.conftest import Catalogue, Cli

OPENSSL = "image", "find", "--package", "openssl<3.0.15"


def references(cli: Cli, *arguments: str) -> list[str]:
    return [found["reference"] for found in cli.json("image", "find", *arguments)]


@pytest.fixture
def vulnerable(cli: Cli, catalogue: Catalogue) -> Catalogue:
    cli.application().cataloguing.record(
        a_draft("shop", packages=(a_package("openssl", "3.0.9-1"),))
    )
    return catalogue


def test_find_by_package_then_shows_which_version_matched(cli: Cli, vulnerable: Catalogue) -> None:
    (row,) = cli(*OPENSSL).stdout.splitlines()

    assert row.split("\t")[0] == "shop@1.2.0/1"
    assert row.split("\t")[2:] == ["active", "latest", "openssl 3.0.9-1"]
    assert cli.json(*OPENSSL)[0]["matched"] == [
        {"name": "openssl", "version": "3.0.9-1", "architecture": "amd64"}
    ]


def test_find_then_everything_asked_must_fit(cli: Cli, catalogue: Catalogue) -> None:
    assert references(cli, "--image", "debian-*", "--package", "bash") == [
        "debian-base@1.0.0/1",
        "debian-web@1.2.1/1",
        "debian-web@1.2.0/1",
    ]
    assert references(cli, "--package", "bash", "--package", "curl>=8", "--channel", "latest") == [
        "debian-web@1.2.1/1"
    ]
    assert references(cli, "--component", "nginx@1.0.1") == ["debian-web@1.2.1/1"]
    assert references(cli, "--built-before", "2020-01-01") == []
    assert len(references(cli, "--built-after", "2020-01-01")) == 3
    assert references(cli, "--channel", "stable") == []


def test_find_by_state_then_tells_those_that_stand_so_now(cli: Cli, catalogue: Catalogue) -> None:
    act = Act(actor="eva", at=SOME_DAY, why="a key leaked")
    cli.application().standings.revoke(
        Revocation(id="r", version_id=catalogue.old.id, in_force_at=SOME_DAY, act=act)
    )

    assert references(cli, "--state", "revoked") == ["debian-web@1.2.0/1"]
    assert references(cli, "--state", "active", "--limit", "1", "--page", "2") == [
        "debian-web@1.2.1/1"
    ]
    assert len(references(cli, "--state", "active", "--state", "revoked")) == 3


def test_find_by_label_and_text_then_finds_what_people_noted(
    cli: Cli, catalogue: Catalogue
) -> None:
    cli("image", "label", "debian-web", "team=web", "--of-image")
    cli("image", "describe", "debian-base", "The ground of all.")

    assert len(references(cli, "--label", "team")) == 2
    assert references(cli, "--label", "team=db") == []
    assert references(cli, "--text", "GROUND all") == ["debian-base@1.0.0/1"]
    (shown,) = cli.json("image", "find", "--text", "ground")
    assert shown["description"] == "The ground of all."


def test_find_by_a_cve_nobody_knows_then_says_that_it_is_unknown(
    cli: Cli, catalogue: Catalogue
) -> None:
    error = cli.error("image", "find", "--cve", "CVE-2026-0001")

    assert (error["exit"], error["code"]) == (3, "cve-unknown")


def test_find_by_cve_then_gives_what_is_older_than_each_release_s_fix(
    cli: Cli, catalogue: Catalogue
) -> None:
    record = cli.application().cataloguing.record
    for number, version in enumerate(("3.0.15-1", "3.0.16-1", "3.5.0-1", "3.5.1-1")):
        mended = replace(an_upgrade(new=version), cves=("CVE-2026-1",))
        is_fix = version in ("3.0.16-1", "3.5.1-1")
        plan = {"upgrades": {"q": upgrades_document({"Update": an_update(mended)})}}
        packages = (a_package("openssl", version),)
        more = {"plan": plan} if is_fix else {}
        record(a_draft("shop", f"1.0.{number}", packages=packages, **more))

    assert references(cli, "--cve", "cve-2026-1") == ["shop@1.0.2/1", "shop@1.0.0/1"]
    matched = [found["matched"] for found in cli.json("image", "find", "--cve", "CVE-2026-1")]
    assert [each["version"] for (each,) in matched] == ["3.5.0-1", "3.0.15-1"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--package", "<3"), "package-query-malformed"),
        (("--component", "nginx@"), "component-query-malformed"),
        (("--component", "@1.x"), "component-query-malformed"),
        (("--channel", "1.x"), "channel-malformed"),
        (("--label", "=x"), "label-malformed"),
        (("--state", "broken"), "state-unknown"),
        (("--built-before", "soon"), "moment-malformed"),
        (("--columns", "version,colour"), "column-unknown"),
    ],
)
def test_find_when_a_question_cannot_be_then_says_why(
    cli: Cli, catalogue: Catalogue, arguments: tuple[str, ...], code: str
) -> None:
    error = cli.error("image", "find", *arguments)

    assert (error["exit"], error["code"]) == (2, code)


def test_list_in_pages_then_tells_how_many_are_left(cli: Cli, catalogue: Catalogue) -> None:
    first = cli("image", "list", "--limit", "2", "--columns", "version, state")

    assert first.stdout == "debian-base@1.0.0/1\tactive\ndebian-web@1.2.1/1\tactive\n"
    assert first.stderr == "2 of 3; the next ones: --page 2, all: --limit 0\n"
    second = cli("image", "list", "--limit", "2", "--page", "2", "--columns", "version")
    assert (second.stdout, second.stderr) == ("debian-web@1.2.0/1\n", "")
    third = cli("image", "list", "--limit", "2", "--page", "3")
    assert (third.stdout, third.stderr) == ("", "there is no page 3: 3 were found\n")


def test_list_when_sorted_then_in_that_order(cli: Cli, catalogue: Catalogue) -> None:
    told = cli(
        "image", "list", "debian-web", "--sort", "version", "--reverse", "--columns", "version"
    )

    assert told.stdout.split() == ["debian-web@1.2.0/1", "debian-web@1.2.1/1"]


@pytest.mark.parametrize(
    "command",
    [
        ("image", "list", "debian-wed"),
        ("channel", "list", "debian-wed"),
        ("channel", "show", "debian-wed@stable"),
        ("channel", "promote", "debian-wed", "--from", "candidate", "--to", "stable"),
        ("image", "label", "debian-wed", "team=web", "--of-image"),
    ],
)
def test_image_when_there_is_none_of_the_name_then_says_which_there_are(
    cli: Cli, catalogue: Catalogue, command: tuple[str, ...]
) -> None:
    error = cli.error(*command)

    assert (error["exit"], error["code"]) == (3, "version-not-found")
    assert error["context"] == "There are debian-base, debian-web."
    assert error["hint"].startswith("Did you mean debian-web? ")
