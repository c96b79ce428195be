"""Images of people who mean harm: the host stays as it is, and each ends correctly or refused."""

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.roots import Workbench, left_behind, tiny_archive

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

Member = tuple[tarfile.TarInfo, bytes]
CUT = b"Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all"
SECRET = "only-on-the-host"
BINARY_NAME = b"/etc/n\xff\xfe".decode(errors="surrogateescape")
STRANGE_NAMES = ("/etc/new\n  + /etc/fake", "/etc/esc\x1b[31m\x1b]0;t\x07", BINARY_NAME, "/etc/-rf")


def a_file(path: str, content: bytes = b"", mode: int = 0o644) -> Member:
    return _member(path, tarfile.REGTYPE, content, mode=mode)


def a_link(path: str, target: str) -> Member:
    return _member(path, tarfile.SYMTYPE, linkname=target)


def a_pipe(path: str) -> Member:
    return _member(path, tarfile.FIFOTYPE)


def _member(path: str, kind: bytes, content: bytes = b"", **more: object) -> Member:
    info = tarfile.TarInfo(f".{path}")
    info.type, info.size = kind, len(content)
    for name, value in more.items():
        setattr(info, name, value)
    return info, content


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder of the host with a secret, at which images may point."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    (folder / "os-release").write_text(f"ID={SECRET}\n")
    return folder


def archived(bench: Workbench, *members: Member, without: Sequence[str] = ()) -> Path:
    """Give the tiny root as a tar file, without some names and with some members more."""
    path = bench.folder / "root.tar"
    with tarfile.open(tiny_archive()) as old, tarfile.open(path, "w", **_FORMAT) as new:  # type: ignore[call-overload]  # options by name
        for info in old:
            if info.name.removeprefix(".") not in without:
                new.addfile(info, old.extractfile(info) if info.isreg() else None)
        for info, content in members:
            new.addfile(info, io.BytesIO(content))
    return path


_FORMAT = {"format": tarfile.GNU_FORMAT, "encoding": "utf-8", "errors": "surrogateescape"}


def a_recipe(
    bench: Workbench, *members: Member, without: Sequence[str] = (), tests: Sequence[str] = ()
) -> Path:
    archive = archived(bench, *members, without=without)
    return bench.recipe(parent=f"rootfs:{archive}", tests=list(tests))


def untouched(outside: Path) -> bool:
    return sorted(path.name for path in outside.iterdir()) == ["os-release", "secret"]


def said(bench: Workbench, *arguments: object) -> str:
    """Give what a command printed, which has to go well."""
    done = bench.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_image_with_strange_names_and_links_then_is_told_in_plain_text_and_comes_out_again(
    bench: Workbench, outside: Path
) -> None:
    bench.build(a_recipe(bench))
    targets = {"/etc/abs": str(outside), "/etc/up": "../../../../../../etc/shadow"}
    targets |= {"/usr/share": "/", "/usr/lib/round": "round"}
    links = tuple(a_link(path, target) for path, target in targets.items())
    rights = (a_file("/usr/bin/su", b"x", 0o6755), a_file("/usr/bin/all", b"x", 0o4777))
    names = tuple(a_file(name) for name in STRANGE_NAMES)

    bench.build(a_recipe(bench, *names, *links, *rights))

    text = said(bench, "image", "diff", "tiny", "--files")
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "  + /etc/fake" not in text.splitlines()
    assert f"/etc/abs  -> {outside}" in text
    listed = json.loads(said(bench, "image", "diff", "tiny", "--files", "--json"))
    added = {change["path"]: change["new"] for change in listed["files"]["listed"]}
    assert set(STRANGE_NAMES) - {BINARY_NAME} <= set(added)
    assert added["/usr/bin/su"]["mode"] == "6755"
    said(bench, "image", "report", "tiny", "--html", "--output", "report.html")
    page = (bench.folder / "report.html").read_bytes()
    assert not {b"\x1b", b"\x07"} & {bytes([b]) for b in page}
    assert "comes out the same" in said(bench, "image", "rebuild", "tiny", "--check")
    assert untouched(outside)


@pytest.mark.parametrize(
    "members",
    [
        (_member("/etc/sda", tarfile.BLKTYPE, devmajor=8, devminor=0),),
        (_member("/etc/hard", tarfile.LNKTYPE, linkname="OUTSIDE/secret"),),
        (a_link("/etc/way", "OUTSIDE"), a_file("/etc/way/owned", b"x")),
        (a_link("/etc/way", "../../../../../.."), a_file("/etc/way/OUTSIDE/owned", b"x")),
        (a_link("/tmp", "OUTSIDE"),),
    ],
    ids=["a disk", "a hard link", "through a link", "through a link up", "tmp is a link"],
)
def test_archive_that_leads_outside_then_is_refused(
    bench: Workbench, outside: Path, members: tuple[Member, ...]
) -> None:
    here = str(outside)
    for info, _ in members:
        info.name = info.name.replace("OUTSIDE", here.lstrip("/"))
        info.linkname = info.linkname.replace("OUTSIDE", here)

    refusal = bench.refused(a_recipe(bench, *members, without=("/tmp", "/proc")))

    assert refusal.status == 4, refusal
    assert refusal.code in {"archive-refused", "unsafe-root"}
    assert untouched(outside)
    assert left_behind(bench.home) == []


def test_archive_of_a_file_that_is_one_large_hole_then_is_refused_and_not_read(
    bench: Workbench,
) -> None:
    bomb = bench.folder / "source/var/bomb"
    bomb.parent.mkdir(parents=True)
    with bomb.open("wb") as opened:
        opened.truncate(1 << 40)
    archive = bench.folder / "root.tar"
    shutil.copy(tiny_archive(), archive)
    argv = ["tar", "--append", "--sparse", "--hole-detection=seek", "--format=gnu"]
    argv += [f"--file={archive}", f"--directory={bomb.parents[1]}", "./var/bomb"]
    subprocess.run(argv, check=True)

    refusal = bench.refused(bench.recipe(parent=f"rootfs:{archive}"))

    assert (refusal.status, refusal.code) == (4, "mostly-holes")
    assert "/var/bomb claims 1.0 TiB" in refusal.message
    assert left_behind(bench.home) == []


def test_component_that_makes_a_huge_hole_then_is_refused(bench: Workbench) -> None:
    bench.component("bomb", "dd if=/dev/null of=/etc/bomb bs=1 seek=1099511627776 count=0")

    refusal = bench.refused(bench.recipe("bomb"))

    assert refusal.code == "mostly-holes"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (
            (
                a_file(
                    "/var/lib/dpkg/status",
                    b"Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all",
                ),
            ),
            "cut short",
        ),
        ((a_file("/var/lib/dpkg/status", b"Package: " + b"a" * 1_000_000 + b"\n"),), "longer than"),
        ((a_pipe("/var/lib/dpkg/status"),), "no plain file"),
        ((a_link("/var/lib/dpkg", "OUTSIDE"),), "no plain file"),
    ],
    ids=["cut", "huge-field", "pipe", "link-to-the-host"],
)
def test_image_whose_list_of_packages_lies_then_is_not_recorded(
    bench: Workbench, outside: Path, members: tuple[Member, ...], why: str
) -> None:
    for info, _ in members:
        info.linkname = info.linkname.replace("OUTSIDE", str(outside))

    refusal = bench.refused(a_recipe(bench, *members))

    assert (refusal.status, refusal.code) == (5, "package-list-malformed"), refusal
    assert why in refusal.context
    assert bench.run("image", "show", "tiny").returncode == 3


def test_image_whose_release_is_elsewhere_then_is_unknown_and_the_hosts_is_not_told(
    bench: Workbench, outside: Path
) -> None:
    link = a_link("/etc/os-release", str(outside / "os-release"))

    bench.build(a_recipe(bench, link, a_pipe("/usr/lib/os-release")))

    bill = said(bench, "image", "bill", "tiny", "--json")
    assert json.loads(bill)["release"] == "unknown"
    assert SECRET not in bill


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_image_whose_users_are_no_file_then_tests_of_it_end_and_say_so(
    bench: Workbench, outside: Path, kind: str
) -> None:
    path, target = "/etc/passwd", str(outside / "secret")
    users = {"pipe": a_pipe(path), "link": a_link(path, target)}[kind]
    tests = bench.folder / "recipes/tests"
    tests.mkdir(parents=True)
    (tests / "test_users.py").write_text(
        "import pytest\n\n@pytest.mark.timeout(3)\ndef test_users(host):\n"
        "    assert 'root' in host.run('cat /etc/passwd').stdout\n"
    )

    refusal = bench.refused(a_recipe(bench, users, without=(path,), tests=["tests"]))

    assert (refusal.status, refusal.code) == (5, "validation-failed"), refusal
    assert SECRET not in refusal.context
    assert untouched(outside)
    assert left_behind(bench.home) == []


def test_image_whose_places_lead_to_the_host_then_only_the_image_is_written(
    bench: Workbench, outside: Path
) -> None:
    paths = ("/etc/hostname", "/etc/machine-id", "/etc/apt", "/var/log", "/root/.cache")

    bench.build(a_recipe(bench, *(a_link(path, str(outside)) for path in paths)))

    assert untouched(outside)
    assert (outside / "secret").read_text() == SECRET
