"""`imagebuilder image label` and `describe`."""

import pytest

from imagebuilder.domain.audit import AuditAction, AuditQuery
from tests.functional.conftest import Catalogue, Cli


def test_label_then_sets_and_removes_and_shows_what_is_on(cli: Cli, catalogue: Catalogue) -> None:
    cli.json("image", "label", "debian-web", "team=web", "a=1")

    result = cli("image", "label", "debian-web", "team=db", "--remove", "a", "z=x=y")

    assert result.stdout == "team=db\nz=x=y\n"
    told = cli.json("image", "label", "debian-web")
    assert told == {
        "subject": "debian-web@1.2.1/1",
        "labels": {"team": "db", "z": "x=y"},
        "description": "",
    }


def test_label_of_the_image_then_is_on_none_of_its_versions(cli: Cli, catalogue: Catalogue) -> None:
    cli.json("image", "label", "debian-web", "team=web", "--of-image")

    assert cli.json("image", "label", "debian-web")["labels"] == {}
    of_image = cli.json("image", "label", "debian-web@1.x", "--of-image")
    assert (of_image["subject"], of_image["labels"]) == ("debian-web", {"team": "web"})


def test_label_then_is_audited_when_it_changes_something(cli: Cli, catalogue: Catalogue) -> None:
    for _ in range(2):
        cli.json("image", "label", "debian-web", "team=web")

    (entry,) = cli.application().audit.entries(AuditQuery(action=AuditAction.LABELS_CHANGED))
    assert entry.subject == "debian-web@1.2.1/1"
    assert (entry.before, entry.after) == ({}, {"team": "web"})


def test_describe_then_keeps_labels_and_is_audited(cli: Cli, catalogue: Catalogue) -> None:
    cli.json("image", "label", "debian-web", "team=web")

    told = cli("image", "describe", "debian-web", "  Two\nlines. ü ")

    assert told.stdout == "debian-web@1.2.1/1: Two\nlines. ü\n"
    assert cli.json("image", "label", "debian-web")["labels"] == {"team": "web"}
    assert cli("image", "describe", "debian-web", "").stdout.endswith("no description\n")
    entries = cli.application().audit.entries(AuditQuery(action=AuditAction.DESCRIPTION_CHANGED))
    assert [entry.after for entry in entries] == [None, "Two\nlines. ü"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("team",), (2, "label-malformed")),
        (("=web",), (2, "label-malformed")),
        (("Team=web",), (2, "label-malformed")),
        (("team-=web",), (2, "label-malformed")),
        (("t" * 64 + "=1",), (2, "label-malformed")),
        (("team=" + "x" * 257,), (2, "label-malformed")),
        (("team=a\nb",), (2, "label-malformed")),
        (("team=\x1b[2J",), (2, "label-malformed")),
        (("team=a", "team=b"), (2, "label-malformed")),
        (tuple(f"n{number}=1" for number in range(65)), (2, "label-malformed")),
        (("--remove", "team"), (2, "label-unknown")),
    ],
)
def test_label_when_it_cannot_be_then_says_why_and_changes_nothing(
    cli: Cli, catalogue: Catalogue, arguments: tuple[str, ...], expected: tuple[int, str]
) -> None:
    error = cli.error("image", "label", "debian-web", "kept=1", *arguments)

    assert (error["exit"], error["code"]) == expected
    assert cli.json("image", "label", "debian-web")["labels"] == {}


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "x" * 4097], ids=["control", "long"])
def test_describe_when_the_text_cannot_be_kept_then_is_refused(
    cli: Cli, catalogue: Catalogue, text: str
) -> None:
    error = cli.error("image", "describe", "debian-web", text)

    assert (error["exit"], error["code"]) == (2, "description-refused")


@pytest.mark.parametrize("of_image", [(), ("--of-image",)])
def test_label_when_the_image_is_unknown_then_exits_with_3(
    cli: Cli, catalogue: Catalogue, of_image: tuple[str, ...]
) -> None:
    error = cli.error("image", "label", "debian-wed", "a=1", *of_image)

    assert (error["exit"], error["code"]) == (3, "version-not-found")
