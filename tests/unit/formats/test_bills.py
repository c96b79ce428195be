"""Bills as CycloneDX and SPDX, held to what the standards' own libraries say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from imagebuilder.domain.bill import (
    Bill,
    BilledFile,
    BilledPackage,
    BillPart,
    Contents,
    PartKind,
    Release,
    Software,
)
from imagebuilder.formats.cyclonedx import CycloneDxVersion, cyclonedx
from imagebuilder.formats.package_url import package_url
from imagebuilder.formats.spdx import spdx
from tests.build import SOME_DAY, a_digest, a_package

BOOKWORM = Release(name="debian:bookworm", title="Debian GNU/Linux 12")
BILL = Bill(
    image="debian-web",
    version="1.2.0/3",
    recorded_at=SOME_DAY,
    identity=a_digest("disk"),
    files=(BilledFile(format="qcow2", digest=a_digest("qcow2")),),
    parts=(
        BillPart(
            kind=PartKind.PARENT, name="debian-base", version="1.0.0/1", digest=a_digest("base")
        ),
        BillPart(kind=PartKind.RECIPE, name="debian-web", digest=a_digest("recipe")),
        BillPart(kind=PartKind.COMPONENT, name="nginx", version="1.0.0", digest=a_digest("nginx")),
        BillPart(kind=PartKind.INDEX, name="http://deb.example.org/debian", digest=a_digest("in")),
    ),
    contents=Contents(
        release=BOOKWORM,
        packages=(
            BilledPackage(package=a_package("bash", "5.2-1"), archive=a_digest("bash.deb")),
            BilledPackage(package=a_package("libstdc++6", "2:12.2~rc1+dfsg-14")),
            BilledPackage(package=a_package("bash", "5.2-1", architecture="i386")),
        ),
        software=(
            Software(
                name="left-pad",
                version="1.3.0",
                url="pkg:npm/left-pad@1.3.0",
                path="/opt/app/package-lock.json",
            ),
            Software(name="<b>", version="", url="pkg:generic/%3Cb%3E", path="/opt/a b"),
        ),
        gaps=('the packages of "rpm" <b>, whose list is not read',),
    ),
)
EMPTY = replace(BILL, parts=(), files=(), contents=Contents(release=Release()))


@pytest.mark.parametrize("bill", [BILL, EMPTY], ids=["full", "empty"])
@pytest.mark.parametrize("version", CycloneDxVersion)
def test_cyclonedx_when_strictly_validated_then_is_valid(
    bill: Bill, version: CycloneDxVersion
) -> None:
    schema = SchemaVersion.from_version(version.value)

    assert (
        JsonStrictValidator(schema).validate_str(cyclonedx(bill, "0.1", version).decode()) is None
    )


@pytest.mark.parametrize("bill", [BILL, EMPTY], ids=["full", "empty"])
def test_spdx_when_validated_then_is_valid(bill: Bill, tmp_path: Path) -> None:
    file = tmp_path / "bill.spdx.json"
    file.write_bytes(spdx(bill, "0.1"))

    assert validate_full_spdx_document(parse_file(str(file))) == []


def test_bills_when_written_twice_then_are_the_same_bytes_and_speak_of_the_bits() -> None:
    one = cyclonedx(BILL, "0.1", CycloneDxVersion.V1_7)
    other = cyclonedx(replace(BILL, identity=a_digest("others")), "0.1", CycloneDxVersion.V1_7)

    assert one == cyclonedx(replace(BILL), "0.1", CycloneDxVersion.V1_7)
    assert spdx(BILL, "0.1") == spdx(replace(BILL), "0.1")
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]
    assert json.loads(one)["metadata"]["timestamp"] == "2026-03-01T12:30:15Z"


def test_cyclonedx_then_tells_digests_sources_and_what_the_image_is_made_of() -> None:
    document = json.loads(cyclonedx(BILL, "0.1", CycloneDxVersion.V1_7))

    bash, *_ = document["components"]
    assert bash["hashes"] == [{"alg": "SHA-256", "content": a_digest("bash.deb").hex}]
    assert {"name": "imagebuilder:source", "value": "bash"} in bash["properties"]
    assert "hashes" not in document["components"][1]
    made_of = {(c["name"], c.get("version")) for c in document["components"][3:]}
    assert {("debian-base", "1.0.0/1"), ("debian-web", None), ("nginx", "1.0.0")} <= made_of


def test_bills_when_software_is_no_package_then_tell_its_url_and_where_it_was_found() -> None:
    cyclone = json.loads(cyclonedx(BILL, "0.1", CycloneDxVersion.V1_7))
    (found,) = [c for c in cyclone["components"] if c["name"] == "left-pad"]
    (other,) = [p for p in json.loads(spdx(BILL, "0.1"))["packages"] if p["name"] == "left-pad"]

    assert found["purl"] == "pkg:npm/left-pad@1.3.0"
    assert found["properties"] == [
        {"name": "imagebuilder:path", "value": "/opt/app/package-lock.json"}
    ]
    assert other["sourceInfo"] == "found at /opt/app/package-lock.json"
    assert other["externalRefs"][0]["referenceLocator"] == "pkg:npm/left-pad@1.3.0"


@pytest.mark.parametrize(
    ("name", "version", "architecture", "release", "expected"),
    [
        (
            "bash",
            "5.2-1",
            "amd64",
            BOOKWORM,
            "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm",
        ),
        ("g++", "1:2+b~1", "all", Release(), "pkg:deb/g%2B%2B@1:2%2Bb~1?arch=all"),
        ("x", "1", "x86_64", Release(name="rocky:9.3"), "pkg:rpm/rocky/x@1?arch=x86_64&distro=9.3"),
    ],
)
def test_package_url_then_is_written_as_its_library_writes_it(
    name: str, version: str, architecture: str, release: Release, expected: str
) -> None:
    found = package_url(a_package(name, version, architecture=architecture), release)

    assert found == expected
    assert PackageURL.from_string(found).to_string() == found
