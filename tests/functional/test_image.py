"""`imagebuilder image` in text and JSON."""

from pathlib import Path

import pytest

from imagebuilder.domain.evidence import Outcome, Stage, TestReport, TestResult
from tests.build import a_draft, a_report
from tests.functional.conftest import DISK, Catalogue, Cli


def test_list_when_nothing_was_built_then_prints_nothing(cli: Cli) -> None:
    result = cli("image", "list")

    assert (result.exit_code, result.stdout) == (0, "")


def test_list_in_a_pipe_then_gives_tab_separated_rows_last_built_first(
    cli: Cli, catalogue: Catalogue
) -> None:
    rows = [line.split("\t") for line in cli("image", "list").stdout.splitlines()]

    assert [row[0] for row in rows] == [
        "debian-base@1.0.0/1",
        "debian-web@1.2.1/1",
        "debian-web@1.2.0/1",
    ]
    assert rows[1][2:] == ["image:debian-base@1.x", "2", "5.7 MiB", "active", "latest"]


def test_list_as_json_when_an_image_is_named_then_gives_its_versions_only(
    cli: Cli, catalogue: Catalogue
) -> None:
    listed = cli.json("image", "list", "debian-base")

    assert listed == [
        {
            "reference": "debian-base@1.0.0/1",
            "id": catalogue.base.id,
            "image": "debian-base",
            "version": "1.0.0/1",
            "created_at": catalogue.base.created_at.isoformat(),
            "parent": "debian:bookworm",
            "package_count": 2,
            "size_bytes": len(DISK),
            "state": "active",
            "channels": ["latest"],
            "labels": {},
            "description": "",
            "matched": [],
        }
    ]


def test_list_when_the_image_is_unknown_then_exits_with_3(cli: Cli, catalogue: Catalogue) -> None:
    error = cli.error("image", "list", "debian-wed")

    assert (error["exit"], error["code"]) == (3, "version-not-found")


def test_show_then_tells_version_parent_artifacts_layers_and_tests(
    cli: Cli, catalogue: Catalogue
) -> None:
    shown = cli("image", "show", "debian-web").stdout

    assert "debian-web@1.2.1/1" in shown
    assert "image:debian-base@1.x, which was debian-base@1.0.0/1" in shown
    assert f"qcow2\t2.9 MiB\t8.0 GiB\t{catalogue.disk}" in shown
    assert "nginx\t1.0.1\t4.7 GiB" in shown
    assert "offline\t1 passed\t1.5 s" in shown


def test_show_as_json_then_holds_what_the_catalogue_holds(cli: Cli, catalogue: Catalogue) -> None:
    shown = cli.json("image", "show", "debian-web@1.2.1/1")

    assert shown["id"] == catalogue.new.id
    assert shown["run"] == catalogue.new.run_id
    assert shown["parent"]["reference"] == "debian-base@1.0.0/1"
    assert shown["plan_digest"] == str(catalogue.new.plan_digest)
    assert [a["format"] for a in shown["artifacts"]] == ["qcow2", "raw"]
    assert shown["artifacts"][0]["digest"] == str(catalogue.disk)
    assert [(x["name"], x["component_version"]) for x in shown["layers"]] == [
        ("root", "1.0.0"),
        ("nginx", "1.0.1"),
    ]
    assert shown["layers"][1]["parameters"] == {"port": "8080"}
    assert [(t["stage"], t["passed"], t["failed"]) for t in shown["tests"]] == [("offline", 1, 0)]
    assert shown["package_count"] == 2


def test_show_then_tells_how_the_version_stands_and_what_was_said_of_it(
    cli: Cli, catalogue: Catalogue
) -> None:
    cli("image", "label", "debian-web", "team=web", "--of-image")
    cli("image", "describe", "debian-web", "The public\nweb servers.")
    cli("placement", "add", "debian-web", "--target", "aws:1/eu", "--id", "ami-1")

    told = cli("image", "show", "debian-web").stdout

    assert "\nstate     active\n" in told
    assert "\nchannels  latest\n" in told
    assert "\nlabels    team=web\nabout     The public web servers.\n" in told
    assert "\nplaced    ami-1 at aws:1/eu\n" in told
    shown = cli.json("image", "show", "debian-web")
    assert (shown["state"], shown["channels"], shown["labels"]) == (
        "active",
        ["latest"],
        {"team": "web"},
    )
    (placement,) = shown["placements"]
    assert placement == {
        "target": "aws:1/eu",
        "id": "ami-1",
        "state": "placed",
        "is_withdrawn": False,
        "traits": {},
    }


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("debian-web", "debian-web@1.2.1/1"),
        ("debian-web@1.x", "debian-web@1.2.1/1"),
        ("debian-web@1.2.0", "debian-web@1.2.0/1"),
        ("debian-web@1.2.0/1", "debian-web@1.2.0/1"),
    ],
)
def test_show_when_asked_in_any_form_then_finds_the_version(
    cli: Cli, catalogue: Catalogue, reference: str, meant: str
) -> None:
    assert cli.json("image", "show", reference)["reference"] == meant


def test_show_when_asked_by_the_start_of_an_id_then_finds_the_version(
    cli: Cli, catalogue: Catalogue
) -> None:
    assert cli.json("image", "show", catalogue.old.id[:-2])["reference"] == "debian-web@1.2.0/1"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("debian-web@9.x", (3, "version-not-found")),
        ("nothing", (3, "version-not-found")),
        ("version-", (3, "reference-ambiguous")),
        ("debian-web@", (2, "reference-malformed")),
        ("debian-web@nowhere", (3, "channel-not-found")),
        ("@1.x", (2, "reference-malformed")),
        ("", (2, "reference-malformed")),
    ],
)
@pytest.mark.parametrize("command", ["show", "packages", "lineage", "diff"])
def test_commands_when_the_reference_is_bad_then_say_so(
    cli: Cli, catalogue: Catalogue, command: str, reference: str, expected: tuple[int, str]
) -> None:
    error = cli.error("image", command, reference)

    assert (error["exit"], error["code"]) == expected
    assert error["hint"]


def test_packages_then_lists_them_sorted(cli: Cli, catalogue: Catalogue) -> None:
    assert cli("image", "packages", "debian-web").stdout == (
        "bash\t5.2-2\tamd64\tbash\t5.2-2\ncurl\t8.0\tamd64\tcurl\t8.0\n"
    )
    assert cli.json("image", "packages", "debian-web")[1] == {
        "name": "curl",
        "version": "8.0",
        "architecture": "amd64",
        "source": "curl",
        "source_version": "8.0",
    }


def test_export_then_writes_the_file_with_holes_and_prints_path_and_digest(
    cli: Cli, catalogue: Catalogue
) -> None:
    result = cli("image", "export", "debian-web", "--output", "web.qcow2")

    made = cli.folder / "web.qcow2"
    assert result.stdout == f"web.qcow2\n{catalogue.disk}\n"
    assert made.read_bytes() == DISK
    assert made.stat().st_blocks * 512 < len(DISK) // 2


def test_export_as_json_then_tells_what_was_written(cli: Cli, catalogue: Catalogue) -> None:
    told = cli.json("image", "export", "debian-web", "--format", "raw", "-o", "web.raw")

    assert told == {
        "reference": "debian-web@1.2.1/1",
        "format": "raw",
        "path": str(cli.folder / "web.raw"),
        "digest": str(catalogue.disk),
        "size_bytes": len(DISK),
        "bundle": None,
    }


def test_export_when_the_file_is_there_then_refuses_and_leaves_it(
    cli: Cli, catalogue: Catalogue
) -> None:
    there = cli.write("web.qcow2", "mine")

    error = cli.error("image", "export", "debian-web", "-o", there)

    assert (error["exit"], error["code"]) == (4, "file-there")
    assert there.read_text() == "mine"


def test_export_when_forced_then_replaces_the_file(cli: Cli, catalogue: Catalogue) -> None:
    there = cli.write("web.qcow2", "mine")

    assert cli("image", "export", "debian-web", "-o", there, "--force").exit_code == 0
    assert there.read_bytes() == DISK


def test_export_when_the_format_was_not_built_then_names_those_that_were(
    cli: Cli, catalogue: Catalogue
) -> None:
    error = cli.error("image", "export", "debian-web", "--format", "vmdk", "-o", "web.vmdk")

    assert (error["exit"], error["code"]) == (2, "artifact-not-made")
    assert "qcow2, raw" in error["context"]


def test_export_when_the_folder_is_missing_then_exits_with_6(
    cli: Cli, catalogue: Catalogue
) -> None:
    error = cli.error("image", "export", "debian-web", "-o", "no/such/web.qcow2")

    assert (error["exit"], error["code"]) == (6, "copy-failed")


def _blob(cli: Cli, catalogue: Catalogue) -> Path:
    return Path(cli.application().blobs.path(catalogue.disk))


def test_export_when_the_blob_is_damaged_then_exits_with_70_and_leaves_no_file(
    cli: Cli, catalogue: Catalogue
) -> None:
    blob = _blob(cli, catalogue)
    blob.chmod(0o644)
    blob.write_bytes(DISK[:-1] + b"X")

    error = cli.error("image", "export", "debian-web", "-o", "web.qcow2")

    assert (error["exit"], error["code"]) == (70, "digest-mismatch")
    assert list(cli.folder.iterdir()) == []


def test_export_when_the_blob_is_gone_then_exits_with_3(cli: Cli, catalogue: Catalogue) -> None:
    _blob(cli, catalogue).unlink()

    error = cli.error("image", "export", "debian-web", "-o", "web.qcow2")

    assert (error["exit"], error["code"]) == (3, "blob-missing")


@pytest.mark.parametrize("forward", ["80", "80:", "a:b", "0:80", "80:65536", "1:2:3"])
def test_boot_when_a_forward_is_malformed_then_exits_with_2(
    cli: Cli, catalogue: Catalogue, forward: str
) -> None:
    result = cli("image", "boot", "debian-web", "--forward", forward)

    assert result.exit_code == 2
    assert "forward-malformed" in result.stderr


def test_boot_when_the_disk_is_damaged_then_exits_with_70(cli: Cli, catalogue: Catalogue) -> None:
    blob = _blob(cli, catalogue)
    blob.chmod(0o644)
    blob.write_bytes(b"not this")

    result = cli("image", "boot", "debian-web")

    assert result.exit_code == 70
    assert "digest-mismatch" in result.stderr


def test_tests_then_tells_each_as_recorded_in_every_format(cli: Cli) -> None:
    results = (
        TestResult(name="web/test_a.py::test_a", outcome=Outcome.PASSED, seconds=1.0, attempts=2),
        TestResult(name="web/test_a.py::test_b", outcome=Outcome.SKIPPED, seconds=0, detail="no"),
    )
    report = TestReport(stage=Stage.BOOTED, results=results, seconds=2.0)
    cli.application().cataloguing.record(a_draft("web", "1.0.x", reports=(a_report(), report)))
    rows = cli("image", "tests", "web", "--stage", "booted").stdout.splitlines()
    assert [row.split("\t")[1::2] for row in rows] == [
        ["passed on try 2", "web/test_a.py::test_a"],
        ["skipped", "web/test_a.py::test_b"],
    ]
    told = cli.json("image", "tests", "web")
    assert [r["stage"] for r in told["reports"]] == ["offline", "booted"]
    assert told["reports"][1]["tests"][0]["attempts"] == 2
    written = cli("image", "tests", "web", "--format", "junit").stdout
    assert '<testsuite name="web@1.0.0/1 booted" tests="2"' in written
    assert '<property name="attempts" value="2" />' in written


def test_tests_when_the_stage_has_none_then_says_so_and_no_more(
    cli: Cli, catalogue: Catalogue
) -> None:
    result = cli("image", "tests", "debian-web", "--stage", "machine")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no tests of stage machine" in result.stderr
