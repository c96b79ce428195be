"""`imagebuilder content` and `imagebuilder compliance profiles`, and what gc leaves."""

import os
from pathlib import Path

from imagebuilder.domain.digest import Digest
from tests.build import a_draft, an_assessment
from tests.functional.conftest import Cli
from tests.scap import data_stream


def written(cli: Cli, name: str = "tests-ds.xml", **more: str) -> Path:
    return cli.write(name, data_stream(**more))


def test_content_when_added_then_is_listed_shown_and_its_profiles_are_told(cli: Cli) -> None:
    file = written(cli)

    (added,) = cli.json("content", "add", file)

    assert added["is_new"]
    assert added["digest"] == str(Digest.of_bytes(file.read_bytes()))
    listed = cli("content", "list")
    assert "ssg-tests\t1.2.3\tdebian:bookworm\t2" in listed.stdout
    assert "benchmark  TESTS-1@1.2.3" in cli("content", "show", "ssg-tests").stdout
    profiles = cli.json("compliance", "profiles", "--release", "debian:bookworm")
    assert [each["profile"] for each in profiles] == ["cis_words", "packages"]
    assert "cis_words" in cli("compliance", "profiles").stdout


def test_content_when_added_again_then_it_is_said_that_nothing_changed(cli: Cli) -> None:
    file = written(cli)
    cli("content", "add", file)

    again = cli("content", "add", file)

    assert again.exit_code == 0
    assert again.stdout.startswith("unchanged  ssg-tests 1.2.3")
    assert len(cli.json("content", "list")) == 1


def test_content_when_it_is_none_then_nothing_is_kept(cli: Cli) -> None:
    refused = cli.error("content", "add", written(cli, version="no version"))

    assert (refused["exit"], refused["code"]) == (2, "content-unreadable")
    assert cli.json("content", "list") == []
    missing = cli.error("compliance", "profiles", "--release", "debian:bookworm")
    assert (missing["exit"], missing["code"]) == (3, "content-missing")
    assert "imagebuilder content fetch" in missing["hint"]


def test_content_when_removed_then_first_only_told_and_gone_with_yes(cli: Cli) -> None:
    (added,) = cli.json("content", "add", written(cli))
    scan = an_assessment(content_digest=Digest.parse(added["digest"]))
    cli.application().cataloguing.record(a_draft("web", assessments=(scan,)))

    told = cli("content", "remove", "ssg-tests")
    assert told.stdout.startswith("would remove ssg-tests 1.2.3")
    assert "1 versions were judged by it" in told.stderr
    assert len(cli.json("content", "list")) == 1

    removed = cli.json("content", "remove", "ssg-tests", "--yes")
    assert (removed["is_removed"], removed["versions"]) == (True, 1)
    assert cli.json("content", "list") == []
    actions = [entry["action"] for entry in cli.json("audit", "list")]
    assert {"content-added", "content-removed"} <= set(actions)


def test_gc_when_content_was_added_or_judged_then_its_file_stays(cli: Cli) -> None:
    (judged,) = cli.json("content", "add", written(cli))
    (added,) = cli.json("content", "add", written(cli, "other-ds.xml", version="2.0.0"))
    (gone,) = cli.json("content", "add", written(cli, "gone-ds.xml", version="3.0.0"))
    scan = an_assessment(content_digest=Digest.parse(judged["digest"]), report=None, raw=None)
    cli.application().cataloguing.record(a_draft("web", assessments=(scan,)))
    for reference in ("ssg-tests@1.2.3", "ssg-tests@3.0.0"):
        cli("content", "remove", reference, "--yes")

    for blob in (cli.home / "blobs").rglob("*"):
        os.utime(blob, (0, 0))

    collected = cli("gc", "--unused", "1h")

    assert collected.exit_code == 0, collected.stderr
    blobs = cli.application().blobs
    kept = [blobs.has(Digest.parse(each["digest"])) for each in (judged, added, gone)]
    assert kept == [True, True, False]
