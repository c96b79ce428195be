"""A version made again for real, on a root that is built in a second."""

import json
import os
from pathlib import Path

import pytest

from tests.roots import Workbench, left_behind

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

PLANTED = "echo planted > /etc/planted; cat /proc/sys/kernel/random/uuid > /etc/random"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def files_of(bench: Workbench) -> set[str]:
    """Give all that is kept of layers, versions and blobs."""
    kept = (bench.home / part for part in ("blobs", "layers/keys", "layers/trees"))
    return {
        str(path)
        for folder in kept
        for path in folder.glob("*/*/*" if folder.name == "blobs" else "*")
    }


def test_rebuild_when_it_reproduces_then_files_and_artifact_are_equal_and_nothing_is_kept(
    bench: Workbench,
) -> None:
    bench.component("first", "echo first > /etc/first; chmod 640 /etc/first; ln /etc/first /etc/f")
    bench.build(bench.recipe("first"))
    before, runs = files_of(bench), bench.runs()

    done = bench.run("image", "rebuild", "tiny", "--check", "--json")

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["is_equal"], answer["compared_artifacts"]) == (True, ["tar"])
    assert answer["file_count"] > 50
    assert (files_of(bench), bench.runs()) == (before, runs)
    assert left_behind(bench.home) == []


def test_rebuild_when_the_builder_is_another_then_the_same_comes_out(bench: Workbench) -> None:
    bench.component("first", "echo first > /etc/first; mkdir /etc/folder; umask > /etc/umask")
    bench.build(bench.recipe("first"))
    bench.environment = {"TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "HOME": "/nowhere"}
    before = os.umask(0o077)

    try:
        done = bench.run("image", "rebuild", "tiny", "--check")
    finally:
        os.umask(before)

    assert done.returncode == 0, done.stdout


def test_rebuild_when_a_component_is_not_reproducible_then_only_its_file_is_named(
    bench: Workbench,
) -> None:
    bench.component("planted", PLANTED)
    bench.build(bench.recipe("planted"))

    done = bench.run("image", "rebuild", "tiny", "--check", "--json")

    answer = json.loads(done.stdout)
    assert done.returncode == 5
    assert answer["files"] == [{"path": "/etc/random", "what": ["content"]}]
    assert [each["format"] for each in answer["artifacts"]] == ["tar"]
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "rebuild-differs"


def test_rebuild_of_a_child_then_its_parent_is_borrowed_and_not_made(bench: Workbench) -> None:
    bench.component("first", "echo first > /etc/first")
    bench.component("second", "cat /etc/first > /etc/second")
    bench.build(bench.recipe("first", name="below"))
    bench.build(bench.recipe("second", name="above", parent="image:below"))

    done = bench.run("image", "rebuild", "above", "--check")

    assert done.returncode == 0, done.stderr
    assert "above@1.0.0/1 comes out the same" in done.stdout
    assert "rootfs:" not in done.stderr


def test_rebuild_when_a_component_was_changed_then_is_refused(bench: Workbench) -> None:
    bench.component("first", "echo first > /etc/first")
    bench.build(bench.recipe("first"))
    bench.component("first", "echo other > /etc/first")

    done = bench.run("image", "rebuild", "tiny")

    assert done.returncode == 3
    assert "component first" in done.stderr
