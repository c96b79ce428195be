"""`imagebuilder image copy`."""

import pytest

from imagebuilder.domain.audit import Act, AuditAction, AuditQuery
from imagebuilder.domain.standing import Revocation
from tests.build import SOME_DAY, a_draft, an_assessment
from tests.functional.conftest import Catalogue, Cli


def test_copy_then_has_the_bits_under_its_own_name(cli: Cli, catalogue: Catalogue) -> None:
    copied = cli.json("image", "copy", "debian-web", "--as", "mine")

    assert (copied["reference"], copied["copied_from"]) == ("mine@1.2.1/1", catalogue.new.id)
    versions = cli.application().versions
    copy = versions.get(copied["id"])
    assert (copy.artifacts, copy.layers, copy.packages, copy.reports, copy.documents) == (
        catalogue.new.artifacts,
        catalogue.new.layers,
        catalogue.new.packages,
        catalogue.new.reports,
        catalogue.new.documents,
    )
    assert copy.parent == catalogue.new.parent


def test_copy_when_its_source_was_scanned_then_was_too(cli: Cli) -> None:
    scanned = (an_assessment(), an_assessment(profile="own"))
    cli.application().cataloguing.record(a_draft("web", "1.2.0", assessments=scanned))

    copied = cli.json("image", "copy", "web", "--as", "mine")

    assert cli.application().versions.get(copied["id"]).assessments == scanned


def test_copy_when_made_again_then_takes_the_next_build(cli: Cli, catalogue: Catalogue) -> None:
    cli("image", "copy", "debian-web", "--as", "mine")

    assert cli("image", "copy", "debian-web", "--as", "mine").stdout == "mine@1.2.1/2\n"


def test_copy_then_is_audited_and_drawn_on_its_source(cli: Cli, catalogue: Catalogue) -> None:
    cli("image", "copy", "debian-web", "--as", "mine", "--why", "upstream may go")

    (entry,) = cli.application().audit.entries(AuditQuery(action=AuditAction.VERSION_COPIED))
    assert (entry.subject, entry.act.why) == ("mine@1.2.1/1", "upstream may go")
    assert "mine@1.2.1/1 [latest] (a copy) <--" in cli("image", "lineage", "mine").stdout
    edges = cli.json("image", "lineage", "debian-web")["edges"]
    assert [e["parent"] for e in edges if e["kind"] == "copied-from"] == [catalogue.new.id]


def test_copy_when_its_source_is_revoked_later_then_inherits_it(
    cli: Cli, catalogue: Catalogue
) -> None:
    cli("image", "copy", "debian-web", "--as", "mine")
    revoke(cli, catalogue)

    told = cli("image", "lineage", "mine").stdout

    assert "mine@1.2.1/1 revoked (inherited from debian-web@1.2.1/1)" in told


def revoke(cli: Cli, catalogue: Catalogue) -> None:
    act = Act(actor="eva", at=SOME_DAY, why="a key leaked")
    cli.application().standings.revoke(
        Revocation(id="r", version_id=catalogue.new.id, in_force_at=SOME_DAY, act=act)
    )


def test_copy_of_a_revoked_version_then_is_refused_with_the_reason(
    cli: Cli, catalogue: Catalogue
) -> None:
    revoke(cli, catalogue)

    error = cli.error("image", "copy", "debian-web@1.2.1", "--as", "mine")

    assert (error["exit"], error["code"]) == (4, "source-unusable")
    assert "a key leaked" in error["context"]
    assert cli.error("image", "show", "mine")["code"] == "version-not-found"


@pytest.mark.parametrize("name", ["debian-web", "Mine", "", "../x", "a@1.x"])
def test_copy_when_the_name_cannot_be_then_is_refused(
    cli: Cli, catalogue: Catalogue, name: str
) -> None:
    error = cli.error("image", "copy", "debian-web", "--as", name)

    assert (error["exit"], error["code"]) == (2, "copy-misnamed")


def test_copy_when_the_number_is_taken_by_a_build_then_counts_on(
    cli: Cli, catalogue: Catalogue
) -> None:
    record = cli.application().cataloguing.record
    record(a_draft("mine", "1.2.1"))

    assert cli("image", "copy", "debian-web", "--as", "mine").stdout == "mine@1.2.1/2\n"
