"""`imagebuilder image report`, and the assurance card of `image show`."""

from pathlib import Path

from imagebuilder.cli.image_report import page_of
from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from imagebuilder.formats.report import Section
from tests.build import a_draft, a_package
from tests.functional.conftest import Catalogue, Cli

HOSTILE = "x</td><script>alert(1)</script>"


def test_report_then_has_every_section(cli: Cli, catalogue: Catalogue) -> None:
    page = cli("image", "report", "debian-web", "--html").stdout

    for name in (
        *("What stands in its way", "Findings", "Waivers", "Controls", "Tests"),
        *("Provenance and signatures", "Lineage", "Changes", "Made of", "Packages"),
    ):
        assert f">{name}" in page
    assert "debian-base@1.0.0/1" in page
    assert "Since debian-web@1.2.0/1" in page


def test_report_when_names_are_hostile_then_they_are_text(cli: Cli) -> None:
    result = TestResult(name=HOSTILE, outcome=Outcome.SKIPPED, seconds=1, detail=HOSTILE)
    report = TestReport(stage=Stage.OFFLINE, results=(result,), seconds=1)
    draft = a_draft("evil", packages=(a_package(HOSTILE),), reports=(report,))
    cli.application().cataloguing.record(draft)

    page = cli("image", "report", "evil").stdout

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3


def test_report_when_written_then_replaces_none_unasked(
    cli: Cli, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    asked = ("image", "report", "debian-web", "--output", str(file))

    assert cli.json(*asked)["size_bytes"] == file.stat().st_size
    assert cli.error(*asked)["code"] == "file-there"


def test_report_of_an_unknown_version_then_exits_with_3(cli: Cli, catalogue: Catalogue) -> None:
    error = cli.error("image", "report", "nope")

    assert (error["exit"], error["code"]) == (3, "version-not-found")


def test_show_then_has_a_card_of_what_is_known(cli: Cli, catalogue: Catalogue) -> None:
    text = cli("image", "show", "debian-web").stdout
    card = cli.json("image", "show", "debian-web")["assurance"]

    assert "bill      none; 2 packages are listed" in text
    assert "no advisories were imported" in text
    assert card["bill"] is None
    assert card["keys"] == []
    assert card["advisories"]["data_at"] is None
    assert "no advisories were imported" in card["advisories"]["unknown"]


def test_sections_when_nothing_is_known_then_each_says_so(cli: Cli, catalogue: Catalogue) -> None:
    page = page_of(cli.application(), "debian-base")

    for section in page.sections:
        assert isinstance(section, Section)
        assert section.rows or section.notes, section.name
        assert all(len(row) == len(section.headings) for row in section.rows)
