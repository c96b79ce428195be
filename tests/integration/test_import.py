"""Images that others made, imported for real: recorded, built upon, revoked."""

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.domain.digest import Digest
from imagebuilder.domain.target import Access, Audience
from tests.aws_double import running_double
from tests.aws_double.serving import HOME, REGION
from tests.clouds import Route, aws_places, calls_to, environment_at
from tests.foreign_disks import a_foreign_disk, a_foreign_qcow2, a_foreign_root, run
from tests.roots import Workbench, left_behind

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

_SUPERBLOCK_AT, _FEATURES_AT, _NEEDS_RECOVERY = 1024, 96, 4


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_foreign_root(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def disk(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_foreign_disk(tmp_path_factory.mktemp("disk"), root)


@pytest.fixture(scope="module")
def qcow2(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_foreign_qcow2(tmp_path_factory.mktemp("qcow2"), disk)


def imported(bench: Workbench, file: Path, name: str = "vendor") -> dict[str, Any]:
    done = bench.run("image", "import", "--file", file, *named(name), "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def named(name: str) -> tuple[str, ...]:
    return "--name", name, "--version", "1.0.x"


def refused(bench: Workbench, file: Path) -> dict[str, str]:
    done = bench.run("image", "import", "--file", file, *named("vendor"), "--json")
    assert done.returncode == 4, done.stdout + done.stderr
    error: dict[str, str] = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "foreign-image-refused"
    assert bench.run("image", "list", "--json").stdout.strip() == "[]"
    assert left_behind(bench.home) == []
    return error


def shown(bench: Workbench, *arguments: str) -> Any:
    done = bench.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_of_a_disk_then_it_is_recorded_with_its_packages_and_the_file_as_it_was_given(
    bench: Workbench, qcow2: Path
) -> None:
    answer = imported(bench, qcow2)

    assert answer["reference"] == "vendor@1.0.0/1"
    version = shown(bench, "image", "show", "vendor")
    digest = Digest.of_bytes(qcow2.read_bytes())
    assert [(a["format"], a["digest"]) for a in version["artifacts"]] == [("qcow2", str(digest))]
    assert version["parent"]["asked"] == "file:foreign.qcow2"
    assert [p["name"] for p in shown(bench, "image", "packages", "vendor")] == ["bash"]
    assert bench.run("image", "show", "vendor").returncode == 0
    assert bench.run("image", "lineage", "vendor").returncode == 0
    assert shown(bench, "image", "whatis", str(qcow2))
    assert [r["state"] for r in bench.runs()] == ["succeeded"]
    assert left_behind(bench.home) == []


def test_import_again_then_nothing_is_recorded_twice_and_another_file_is_the_next_version(
    bench: Workbench, qcow2: Path, disk: Path
) -> None:
    first = imported(bench, qcow2)

    again = imported(bench, qcow2)
    other = imported(bench, disk)

    assert (again["id"], again["is_unchanged"]) == (first["id"], True)
    assert other["reference"] == "vendor@1.0.1/1"
    digests = [shown(bench, "image", "show", f"vendor@1.0.{n}")["disk_digest"] for n in (0, 1)]
    assert digests[0] == digests[1]


def test_a_child_of_an_imported_image_has_all_its_files_and_is_reached_by_its_revocation(
    bench: Workbench, qcow2: Path
) -> None:
    imported(bench, qcow2)
    bench.component("first", "echo first > /etc/first")
    built = bench.build(bench.recipe("first", name="child", parent="image:vendor@1.x"))

    with tarfile.open(bench.artifact_of(built)) as archive:
        members = {m.name.removeprefix("./"): m for m in archive.getmembers()}
    assert "etc/first" in members
    assert members["srv/suid"].mode == members["srv/hard"].mode == 0o4755
    assert {members[f"srv/{n}"].type for n in ("suid", "hard")} == {
        tarfile.REGTYPE,
        tarfile.LNKTYPE,
    }
    assert (members["srv/owned"].uid, members["srv/owned"].gid) == (1000, 2000)
    assert members["srv/link"].linkname == "../etc//passwd"
    assert "SCHILY.xattr.security.capability" in members["srv/able"].pax_headers
    assert "lost+found" not in members

    done = bench.run("image", "revoke", "vendor@1.0.0/1", "--message", "theirs was bad", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.refused(bench.recipe("first", name="other", parent="image:vendor@1.x")).status == 4
    assert shown(bench, "image", "show", "child")["state"] == "revoked"


def test_a_recipe_on_an_ami_then_it_is_fetched_once_and_its_revocation_reaches_the_child(
    bench: Workbench, disk: Path, tmp_path: Path
) -> None:
    with running_double() as double, environment_at(double.endpoint):
        places = aws_places(audience=Audience(), access=Access())
        route = Route(AwsCarrier(calls_to(double)), places, disk, scratch=tmp_path)
        ami = route.place_all()[f"aws:{HOME}/{REGION}"]
        parent = f"ami:{REGION}/{ami}"
        bench.environment = double.environment()
        bench.component("first", "echo first > /etc/first")
        recipe = bench.recipe("first", name="child", parent=parent)

        dry = bench.run("build", recipe, "--dry-run")
        assert (dry.returncode, double.log.count("ListSnapshotBlocks")) == (0, 0), dry.stderr
        assert dry.stdout.startswith(f"fetch: {parent}, ")
        built = bench.build(recipe)
        bench.build(bench.recipe("first", name="other", parent=parent))
        assert double.log.count("ListSnapshotBlocks") == 1

    with tarfile.open(bench.artifact_of(built)) as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert {"etc/first", "srv/suid"} <= names
    assert shown(bench, "image", "show", "child")["parent"]["asked"] == parent
    source = f"{ami}.{REGION}@1.0.0/1"
    done = bench.run("image", "revoke", source, "--message", "theirs was bad", "--yes")
    assert done.returncode == 0, done.stderr
    assert shown(bench, "image", "show", "child")["state"] == "revoked"
    assert bench.refused(recipe).status == 4
    assert left_behind(bench.home) == []


def test_import_of_a_disk_of_old_of_a_file_system_alone_and_of_a_tar_file(
    bench: Workbench, root: Path, tmp_path: Path
) -> None:
    old = a_foreign_disk(tmp_path, root, label="dos")
    system = a_foreign_disk(tmp_path, root, has_table=False)
    run("tar", "--create", "--gzip", f"--file={tmp_path}/root.tar.gz", f"--directory={root}", ".")

    imported(bench, old, "old")
    imported(bench, system, "whole")
    imported(bench, tmp_path / "root.tar.gz", "archive")

    for name, format_ in (("old", "raw"), ("whole", "raw"), ("archive", "tar")):
        (artifact,) = shown(bench, "image", "show", name)["artifacts"]
        assert artifact["format"] == format_
        assert [p["name"] for p in shown(bench, "image", "packages", name)] == ["bash"]


def test_import_of_a_qcow2_file_that_names_a_file_of_this_machine_then_that_is_not_read(
    bench: Workbench, tmp_path: Path
) -> None:
    upon = tmp_path / "upon.qcow2"
    run(
        "qemu-img",
        "create",
        "-q",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        "/etc/passwd",
        upon,
        "1M",
    )
    aside = tmp_path / "aside.qcow2"
    option = f"data_file={tmp_path}/elsewhere,data_file_raw=on"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", option, aside, "1M")

    for file in (upon, aside):
        assert "names" in refused(bench, file)["context"]


def test_import_of_a_disk_that_was_in_use_then_is_refused(
    bench: Workbench, root: Path, tmp_path: Path
) -> None:
    system = a_foreign_disk(tmp_path, root, has_table=False)
    with system.open("r+b") as opened:
        opened.seek(_SUPERBLOCK_AT + _FEATURES_AT)
        features = int.from_bytes(opened.read(4), "little") | _NEEDS_RECOVERY
        opened.seek(_SUPERBLOCK_AT + _FEATURES_AT)
        opened.write(features.to_bytes(4, "little"))

    assert "journal" in refused(bench, system)["context"]


def test_import_of_what_is_no_image_then_says_so(bench: Workbench, tmp_path: Path) -> None:
    noise, vmdk, small = (tmp_path / name for name in ("noise", "vmdk", "small"))
    noise.write_bytes(os.urandom(2 << 20))
    run("qemu-img", "create", "-q", "-f", "vmdk", vmdk, "8M")
    small.write_bytes(b"")

    assert "no ext4" in refused(bench, noise)["context"]
    assert "qemu-img convert" in refused(bench, vmdk)["hint"]
    assert "too small" in refused(bench, small)["context"]
    assert "no such file" in refused(bench, tmp_path / "none")["context"]


def test_import_of_a_file_system_that_was_damaged_then_says_so(
    bench: Workbench, root: Path, tmp_path: Path
) -> None:
    system = a_foreign_disk(tmp_path, root, has_table=False)
    inode = subprocess.run(
        ["debugfs", "-R", "stat /srv/owned", system], capture_output=True, check=True, timeout=50
    ).stdout.split()[1]
    script = f"sif <{inode.decode()}> size 999999999999\n"
    subprocess.run(
        ["debugfs", "-w", "-f", "-", system],
        input=script.encode(),
        capture_output=True,
        check=True,
        timeout=50,
    )

    assert "mostly holes" in refused(bench, system)["context"]
