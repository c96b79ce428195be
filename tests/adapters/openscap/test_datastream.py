"""What files of content tell of themselves, and files that are none."""

import os
import resource
from pathlib import Path

import pytest

from imagebuilder.adapters.openscap.datastream import described, names_in
from imagebuilder.domain.content import ContentProfile, ContentUnreadable
from imagebuilder.domain.digest import Digest
from imagebuilder.ports.content import LARGEST_CONTENT_BYTES
from tests.scap import PREFIX, data_stream

DIGEST = Digest.of_bytes(b"content")
HEAD = '<?xml version="1.0"?>'
SOURCE = "http://scap.nist.gov/schema/scap/source/1.2"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 50}">' for n in range(10))


def written(folder: Path, text: str) -> Path:
    file = folder / "content.xml"
    file.write_text(text)
    return file


def reason(file: Path) -> str:
    with pytest.raises(ContentUnreadable) as caught:
        described(file, DIGEST)
    assert file.name in caught.value.message
    return caught.value.context


def test_content_when_described_then_name_version_benchmark_and_profiles_are_told(
    tmp_path: Path,
) -> None:
    pack = described(written(tmp_path, data_stream()), DIGEST)

    assert pack.reference == "ssg-tests 1.2.3"
    assert pack.digest == DIGEST
    assert pack.benchmark == "TESTS-1@1.2.3"
    assert pack.profiles == (
        ContentProfile(name="cis_words", id=f"{PREFIX}_profile_cis_words", title="Words, in files"),
        ContentProfile(name="packages", id=f"{PREFIX}_profile_packages", title="Packages"),
    )


@pytest.mark.parametrize(
    ("platforms", "releases"),
    [
        (["cpe:/o:debian:debian_linux:12"], ("debian:bookworm",)),
        (["cpe:/o:debian:debian_linux:13"], ("debian:trixie",)),
        (["cpe:/o:canonical:ubuntu_linux:22.04::~~lts~~~"], ("ubuntu:jammy",)),
        (["cpe:2.3:o:canonical:ubuntu_linux:24.04:*:*:*:*:*:*:*"], ("ubuntu:noble",)),
        (["cpe:/o:redhat:enterprise_linux:9"], ("rhel:9",)),
        (["cpe:/o:redhat:enterprise_linux:9.4", "cpe:/o:debian:debian_linux:12"],
         ("rhel:9.4", "debian:bookworm")),
        (["cpe:/o:debian:debian_linux:99"], ("debian:99",)),
        (["cpe:/a:gdm", "#system_with_kernel", "cpe:/o:debian:debian_linux:../../etc"], ()),
    ],
)  # fmt: skip
def test_content_when_its_platforms_are_read_then_releases_are_named_as_bills_name_them(
    tmp_path: Path, platforms: list[str], releases: tuple[str, ...]
) -> None:
    pack = described(written(tmp_path, data_stream(platforms=platforms)), DIGEST)

    assert pack.releases == releases


def test_names_when_read_then_rules_and_variables_have_short_names(tmp_path: Path) -> None:
    names = names_in(written(tmp_path, data_stream()))

    assert names.rules == {
        rule: f"{PREFIX}_rule_{rule}" for rule in ("has_word", "has_other", "has_dpkg")
    }
    assert names.values == {"word": f"{PREFIX}_value_word"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cut short, or no XML"),
        ("PK\x03\x04", "cut short, or no XML"),
        (data_stream()[:-200], "cut short, or no XML"),
        (f"{HEAD}<Benchmark/>", "Its root is 'Benchmark', not 'data-stream-collection'"),
        (f'{HEAD}<data-stream-collection xmlns="urn:other"/>', "not 'data-stream-collection'"),
        (f'{HEAD}<d:data-stream-collection xmlns:d="{SOURCE}"/>', "no benchmark with profiles"),
        (f'{HEAD}<!DOCTYPE x [{LAUGHS}]><x a="&l9;"/>', "document type or entities"),
        (f'{HEAD}<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
         "document type or entities"),
        (f'{HEAD}<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd"><x/>', "document type or entities"),
        ('<?xml version="1.0" encoding="no-such"?><x/>', "unknown encoding"),
        (data_stream(version="1\n2"), "It gives its version as '1 2'"),
        (data_stream(version=""), "It gives its version as ''"),
        (data_stream(name="../../etc"), "It gives its checklist the name '../../etc'"),
        (data_stream().replace("_benchmark_TESTS-1", "_benchmark_a b"), "its benchmark the name"),
        (data_stream().replace("_profile_cis_words", "_profile_a;b"), "which is none"),
    ],
)  # fmt: skip
def test_content_when_it_is_none_then_it_is_refused_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in reason(written(tmp_path, text))


def test_content_when_two_benchmarks_are_in_it_then_it_is_refused(tmp_path: Path) -> None:
    start, end = "<Benchmark ", "</Benchmark>"
    text = data_stream()
    benchmark = text[text.index(start) : text.index(end) + len(end)]
    twice = text.replace(benchmark, benchmark + benchmark.replace("TESTS-1", "TESTS-2"))

    assert "several benchmarks" in reason(written(tmp_path, twice))


def test_content_when_it_is_two_gigabytes_then_it_is_refused_unread(tmp_path: Path) -> None:
    file = written(tmp_path, data_stream())
    os.truncate(file, 2 * 2**30)

    assert "2.0 GiB; more than 64.0 MiB is not read" in reason(file)


def test_content_when_elements_lie_in_each_other_without_end_then_it_is_refused_early(
    tmp_path: Path,
) -> None:
    file = tmp_path / "content.xml"
    with file.open("w") as opened:
        opened.write(f'{HEAD}<d:data-stream-collection xmlns:d="{SOURCE}">')
        opened.write("<a>" * 5_000_000)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "deeper than 200" in reason(file)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


def test_content_when_elements_follow_each_other_without_end_then_they_are_forgotten(
    tmp_path: Path,
) -> None:
    file = tmp_path / "content.xml"
    with file.open("w") as opened:
        opened.write(f'{HEAD}<d:data-stream-collection xmlns:d="{SOURCE}">')
        opened.write("<a/>" * 1_000_000)
        opened.write("</d:data-stream-collection>")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "no benchmark" in reason(file)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 32 * 1024


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device"])
def test_content_when_it_is_no_plain_file_then_it_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "content.xml"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "device":
            file.symlink_to("/dev/zero")

    said = "It cannot be read" if kind == "missing" else "It is no plain file"
    assert said in reason(file)


def test_limit_then_leaves_room_for_the_largest_content_there_is() -> None:
    assert LARGEST_CONTENT_BYTES >= 40 * 2**20
