"""`imagebuilder image bill` in all its forms."""

import json
from pathlib import Path

from imagebuilder.domain.bill import (
    BilledPackage,
    Contents,
    RecordedBill,
    Release,
    Software,
    contents_document,
)
from imagebuilder.domain.digest import canonical_json
from tests.build import a_digest, a_draft, a_package
from tests.functional.conftest import Catalogue, Cli


def recorded(cli: Cli, gaps: tuple[str, ...] = ()) -> None:
    """Record a version of the image billed, with a bill."""
    application = cli.application()
    contents = Contents(
        release=Release(name="debian:bookworm", title="Debian 12"),
        packages=(BilledPackage(package=a_package("bash", "5.2-1"), archive=a_digest("deb")),),
        software=(
            Software(
                name="left-pad", version="1.3.0", url="pkg:npm/left-pad@1.3.0", path="/app/lock"
            ),
        ),
        gaps=gaps,
    )
    document = application.blobs.put(canonical_json(contents_document(contents)))
    bill = RecordedBill(release="debian:bookworm", document=document)
    application.cataloguing.record(a_draft("billed", bill=bill))


def test_bill_then_tells_release_packages_and_parts(cli: Cli) -> None:
    recorded(cli)

    result = cli("image", "bill", "billed")

    assert "release   debian:bookworm, Debian 12\n" in result.stdout
    assert "packages  1, of 1 the file's digest is known\n" in result.stdout
    assert f"bash\t5.2-1\tamd64\tbash\t{a_digest('deb').short}\n" in result.stdout


def test_bill_when_software_is_no_package_then_a_table_of_its_own_has_it(cli: Cli) -> None:
    recorded(cli)

    assert "left-pad\t1.3.0\t/app/lock\n" in cli("image", "bill", "billed").stdout


def test_bill_as_json_then_has_purls_and_digests(cli: Cli) -> None:
    recorded(cli)

    (package,) = cli.json("image", "bill", "billed")["packages"]

    assert package["purl"] == "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm"
    assert package["digest"] == str(a_digest("deb"))


def test_bill_when_something_is_not_known_then_says_so_beside(cli: Cli) -> None:
    recorded(cli, gaps=("the packages of rpm, whose list is not read",))

    result = cli("image", "bill", "billed", "--format", "cyclonedx")

    assert "the packages of rpm" in result.stderr
    assert json.loads(result.stdout)["specVersion"] == "1.7"


def test_bill_when_written_to_a_file_then_replaces_none_unasked(cli: Cli, tmp_path: Path) -> None:
    recorded(cli)
    file = tmp_path / "bill.json"
    written = ("image", "bill", "billed", "--format", "spdx", "--output", str(file))

    assert cli(*written).exit_code == 0
    first = file.read_bytes()
    assert cli.error(*written)["code"] == "file-there"
    assert cli(*written, "--force").exit_code == 0

    assert json.loads(first)["spdxVersion"] == "SPDX-2.3"
    assert file.read_bytes() == first


def test_bill_when_the_folder_is_not_there_then_says_so(cli: Cli, tmp_path: Path) -> None:
    recorded(cli)

    error = cli.error("image", "bill", "billed", "--output", str(tmp_path / "no/bill"))

    assert (error["code"], error["exit"]) == ("copy-failed", 6)


def test_bill_of_a_version_without_one_then_exits_with_3(cli: Cli, catalogue: Catalogue) -> None:
    error = cli.error("image", "bill", "debian-base")

    assert (error["exit"], error["code"]) == (3, "bill-missing")


def test_catalogue_check_when_a_bill_is_gone_then_says_which(cli: Cli) -> None:
    recorded(cli)
    application = cli.application()
    bill = application.cataloguing.show("billed").bill
    assert bill is not None
    Path(application.blobs.path(bill.document)).unlink()

    result = cli("catalogue", "check")

    assert "bill of materials" in result.stdout
