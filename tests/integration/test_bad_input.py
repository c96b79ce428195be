"""What goes wrong in a build, and what is said of it: what, why, what next; nothing is lost."""

import ctypes
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.build import a_digest
from tests.mirrors import mirror
from tests.roots import Refusal, Workbench, left_behind, tiny_archive, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path)
    bench.component("first", "echo first > /etc/first")
    return bench


def assert_told(refusal: Refusal, status: int, code: str) -> None:
    """See that an error is what it should be, with all its parts."""
    assert (refusal.status, refusal.code) == (status, code), refusal
    assert refusal.message.endswith("."), refusal
    assert refusal.hint, refusal


def assert_nothing_is_lost(bench: Workbench, states: list[str]) -> None:
    """See that the run is on record, nothing was recorded as good, and nothing is left over."""
    assert [run["state"] for run in bench.runs()] == states
    wait_until(lambda: traces(str(bench.home)) == [], "a clean machine")
    assert left_behind(bench.home) == []


class TestSteps:
    def test_build_when_a_step_fails_then_names_it_and_goes_on_behind_the_last_layer(
        self, bench: Workbench
    ) -> None:
        bench.component("broken", "echo what-it-said; ls /nothing-there")
        recipe = bench.recipe("first", "broken")

        refusal = bench.refused(recipe)

        assert_told(refusal, 5, "component-failed")
        assert "Step Do (ExecuteBash) in phase build of component broken" in refusal.message
        assert "/nothing-there" in refusal.context
        assert_nothing_is_lost(bench, ["failed"])
        bench.component("broken", "true")
        assert bench.build(recipe).layers == ["broken", "finish"]

    def test_build_with_keep_when_a_step_fails_then_its_root_is_kept(
        self, bench: Workbench
    ) -> None:
        bench.component("broken", "echo seen > /etc/seen; false")

        refusal = bench.refused(bench.recipe("first", "broken"), "--keep")

        (kept,) = (bench.home / "runs").glob("*/root")
        assert str(kept) in refusal.hint
        assert (kept / "etc/seen").read_text() == "seen\n"
        assert (kept / "etc/first").exists()

    def test_build_when_a_step_takes_too_long_then_it_is_ended(self, bench: Workbench) -> None:
        mark = f"4444.{os.getpid()}"
        bench.component("slow", f"sleep {mark} & sleep {mark}", timeoutSeconds=1)

        refusal = bench.refused(bench.recipe("slow"))

        assert_told(refusal, 5, "component-failed")
        assert "took longer than its limit of 1 s" in refusal.message
        assert traces(f"sleep {mark}") == []

    def test_build_when_a_step_floods_its_output_then_it_ends_well_and_memory_stays_small(
        self, bench: Workbench
    ) -> None:
        bench.component("flood", "head -c 100000000 /dev/zero | tr '\\0' 'x' | tr 'x' 'y'; exit 3")

        refusal = bench.refused(bench.recipe("flood"))

        assert_told(refusal, 5, "component-failed")
        assert "of its output were dropped" in refusal.context
        assert len(refusal.context) < 1_000_000

    def test_build_when_a_step_puts_a_link_where_scripts_lie_then_the_next_is_refused(
        self, bench: Workbench
    ) -> None:
        bench.component("evil", "rm -rf /var; ln -s /etc /var; true")
        steps = [
            {
                "name": name,
                "action": "ExecuteBash",
                "inputs": {"commands": [command]},
            }
            for name, command in (
                ("Swap", "mv /run/imagebuilder /run/x; ln -s /oldroot/etc /run/imagebuilder"),
                ("Then", "true"),
            )
        ]
        bench.component("swaps", phases=[{"name": "build", "steps": steps}])
        before = sorted(path.name for path in Path("/etc").iterdir())

        assert_told(bench.refused(bench.recipe("evil", "swaps")), 4, "unsafe-root")
        assert sorted(path.name for path in Path("/etc").iterdir()) == before

    def test_build_when_a_step_mounts_or_makes_devices_then_it_fails(
        self, bench: Workbench
    ) -> None:
        bench.component("mounts", "mount -t tmpfs tmpfs /root")
        bench.component("devices", "mknod /root/disk b 254 0")

        for name in ("mounts", "devices"):
            assert_told(bench.refused(bench.recipe(name)), 5, "component-failed")


class TestParents:
    def test_build_when_the_root_file_is_not_there_then_says_so(self, bench: Workbench) -> None:
        refusal = bench.refused(bench.recipe("first", parent="rootfs:./missing.tar"))

        assert refusal.status == 2
        assert "missing.tar" in refusal.message
        assert refusal.hint

    def test_build_when_the_root_file_is_not_the_pinned_one_then_is_refused(
        self, bench: Workbench
    ) -> None:
        parent = {"from": f"rootfs:{tiny_archive()}", "sha256": a_digest("another").hex}

        refusal = bench.refused(bench.recipe("first", parent=parent))

        assert_told(refusal, 4, "archive-refused")
        assert_nothing_is_lost(bench, ["failed"])

    def test_build_when_the_root_file_is_garbage_then_is_refused(self, bench: Workbench) -> None:
        (bench.folder / "bad.tar").write_bytes(b"garbage" * 5000)

        refusal = bench.refused(bench.recipe("first", parent=f"rootfs:{bench.folder}/bad.tar"))

        assert_told(refusal, 4, "archive-refused")

    def test_build_when_the_root_file_leads_outside_then_is_refused(self, bench: Workbench) -> None:
        archive = bench.folder / "evil.tar"
        with tarfile.open(archive, "w") as opened:
            for name in ("./usr/x", "../../../../../../../../tmp/imagebuilder-was-here"):
                opened.addfile(tarfile.TarInfo(name))

        refusal = bench.refused(bench.recipe("first", parent=f"rootfs:{archive}"))

        assert_told(refusal, 4, "archive-refused")
        assert not Path("/tmp/imagebuilder-was-here").exists()

    def test_build_when_the_mirror_is_not_reachable_then_says_so(self, bench: Workbench) -> None:
        with mirror() as gone:
            url = f"{gone.url}/debian"
        parent = {"from": "debian:bookworm", "mirror": url}

        refusal = bench.refused(bench.recipe("first", parent=parent))

        assert_told(refusal, 6, "mirror-unreachable")
        assert url in refusal.message
        assert_nothing_is_lost(bench, ["failed"])

    def test_build_when_an_archive_goes_away_in_a_step_then_it_is_tried_again_and_said(
        self, bench: Workbench
    ) -> None:
        with mirror() as gone:
            url = gone.url
        ask = f"printf 'GET {url}/x HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n' >&3"
        step = {
            "name": "Fetch",
            "action": "ExecuteBash",
            "maxAttempts": 2,
            "inputs": {"commands": ["exec 3<>/dev/tcp/127.0.0.1/3128", ask, "cat <&3", "exit 100"]},
        }
        bench.component("fetches", phases=[{"name": "build", "steps": [step]}])
        repositories = [{"url": url, "suites": ["x"], "components": ["main"]}]

        refusal = bench.refused(bench.recipe("fetches", repositories=repositories))

        assert_told(refusal, 6, "mirror-unreachable")
        assert "attempt 1 of 2 failed" in bench.logs()

    def test_build_when_parents_go_in_a_circle_then_shows_it(self, bench: Workbench) -> None:
        bench.recipe("first", name="one", parent="image:two")
        recipe = bench.recipe("first", name="two", parent="image:one")

        refusal = bench.refused(recipe)

        assert_told(refusal, 2, "circular-parents")
        assert "two is built on one is built on two" in refusal.context


class TestDisk:
    def test_build_when_a_disk_is_wanted_of_a_root_without_kernel_then_says_so(
        self, bench: Workbench
    ) -> None:
        refusal = bench.refused(bench.recipe("first", artifacts=["qcow2"]))

        assert_told(refusal, 2, "no-kernel")

    def test_build_when_the_disk_is_too_small_then_says_how_much_is_needed(
        self, bench: Workbench
    ) -> None:
        # Enough of a kernel for a disk to be laid out; nothing here is ever booted.
        bench.component(
            "kernel",
            "mkdir -p /boot /usr/lib/modules/6.1 /usr/share/initramfs-tools",
            "echo kernel > /boot/vmlinuz-6.1; echo > /usr/lib/modules/6.1/modules.dep",
            "head -c 200000000 /proc/sys/kernel/random/uuid > /dev/null",
            "dd if=/dev/urandom of=/var/large bs=1M count=120",
            "printf '#!/bin/sh\\necho initrd > $2\\n' > /usr/sbin/mkinitramfs",
            "printf '#!/bin/sh\\ntrue\\n' > /usr/bin/lsinitramfs",
            "chmod 755 /usr/sbin/mkinitramfs /usr/bin/lsinitramfs",
        )

        refusal = bench.refused(
            bench.recipe("kernel", artifacts=["raw"], disk={"size": "64MiB", "firmware": ["bios"]})
        )

        assert refusal.status == 2, refusal
        assert "MiB" in refusal.message, refusal
        assert refusal.hint
        assert_nothing_is_lost(bench, ["failed"])


class TestFull:
    @pytest.fixture
    def small_home(self, bench: Workbench) -> Iterator[Workbench]:
        """Put the state folder on a file system of 40 MiB that only this test sees."""
        bench.home.mkdir()
        with _mounted_small(bench.home, 40):
            yield bench

    def test_build_when_the_file_system_is_full_then_says_so_and_what_to_do(
        self, small_home: Workbench
    ) -> None:
        # Random, so that no storage can make it small; scratch space may be memory with room.
        small_home.component("large", "dd if=/dev/urandom of=/var/large bs=1M count=100")
        recipe = small_home.recipe("first", "large")

        refusal = small_home.refused(recipe)

        # Layers move home in the background: they, or the catalogue, meet the full disk first.
        assert refusal.code in ("storage-full", "store-unavailable")
        assert_told(refusal, 6, refusal.code)
        assert "IMAGEBUILDER_HOME" in refusal.hint
        assert [run["state"] for run in small_home.runs()] == ["failed"]
        assert left_behind(small_home.home) == []
        small_home.component("large", "true")
        assert small_home.build(recipe).layers == ["large", "finish"]

    def test_build_when_not_even_the_catalogue_fits_then_says_so(self, bench: Workbench) -> None:
        bench.home.mkdir()
        with _mounted_small(bench.home, 1):
            (bench.home / "ballast").write_bytes(b"x" * 1_000_000)

            refusal = bench.refused(bench.recipe("first"))

            assert refusal.status == 6, refusal


@contextmanager
def _mounted_small(folder: Path, size_mib: int) -> Iterator[None]:
    """Mount a small file system where only this process and its children see it."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(_CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0
    options = f"size={size_mib}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class TestOthers:
    def test_build_when_a_program_is_missing_then_names_it(self, bench: Workbench) -> None:
        # A machine without bubblewrap: its folder of programs is hidden by one without it.
        programs = bench.folder / "bin"
        programs.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(_CLONE_NEWNS) == 0
        assert libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) == 0
        hidden = "/usr/bin/bwrap"
        nothing = bench.folder / "nothing"
        nothing.touch(mode=0o644)
        subprocess.run(["mount", "--bind", nothing, hidden], check=True)
        try:
            refusal = bench.refused(bench.recipe("first"))
        finally:
            subprocess.run(["umount", hidden], check=True)

        assert_told(refusal, 6, "program-missing")
        assert "bwrap" in refusal.message
        assert "doctor --fix" in refusal.hint

    def test_build_twice_at_once_then_the_second_is_told_who_builds(self, bench: Workbench) -> None:
        bench.component("slow", "echo reached; while [ ! -e /etc/never ]; do sleep 0.05; done")
        recipe = bench.recipe("slow")
        first = bench.begin("build", recipe, "--quiet")
        try:
            wait_until(lambda: "reached" in bench.logs(), "the first build")
            refusal = bench.refused(recipe)
        finally:
            first.kill()
            first.communicate()

        assert_told(refusal, 3, "in-progress")
        assert f"process {first.pid}" in refusal.context

    @pytest.mark.parametrize("text", ["import os\nos.kill(os.getpid(), 9)\n", "1/0\n"])
    def test_build_when_a_test_file_brings_the_interpreter_down_then_the_build_fails(
        self, bench: Workbench, text: str
    ) -> None:
        tests = bench.folder / "recipes/tests"
        tests.mkdir(parents=True)
        (tests / "test_bad.py").write_text(f"{text}\ndef test_x(host): pass\n")

        refusal = bench.refused(bench.recipe("first", tests=["tests"]))

        assert refusal.status == 5, refusal
        assert refusal.hint
        assert bench.run("image", "list").stdout == ""
        assert_nothing_is_lost(bench, ["failed"])

    def test_build_when_a_test_fails_then_no_version_is_recorded(self, bench: Workbench) -> None:
        tests = bench.folder / "recipes/tests"
        tests.mkdir(parents=True)
        (tests / "test_it.py").write_text(
            "def test_file(host):\n    assert host.file('/etc/nothing').exists\n"
        )

        refusal = bench.refused(bench.recipe("first", tests=["tests"]))

        assert refusal.status == 5, refusal
        assert "test_file" in refusal.message + refusal.context
        assert bench.run("image", "list").stdout == ""

    def test_build_when_there_are_no_tests_in_the_folder_then_says_so(
        self, bench: Workbench
    ) -> None:
        (bench.folder / "recipes/tests").mkdir(parents=True)

        refusal = bench.refused(bench.recipe("first", tests=["tests"]))

        assert refusal.status in {2, 5}, refusal
        assert "tests" in refusal.message
        assert refusal.hint

    def test_build_when_the_catalogue_is_garbage_then_says_so(self, bench: Workbench) -> None:
        bench.home.mkdir()
        (bench.home / "catalogue.db").write_bytes(b"garbage" * 1000)

        refusal = bench.refused(bench.recipe("first"))

        assert refusal.status in {6, 70}, refusal
        assert refusal.code != "unexpected", refusal

    def test_build_when_it_fails_then_the_run_says_how_for_later(self, bench: Workbench) -> None:
        bench.component("broken", "echo for-later; false")
        bench.refused(bench.recipe("broken"))
        (run,) = bench.runs()

        shown = bench.run("run", "show", run["id"], "--json")

        assert json.loads(shown.stdout)["state"] == "failed"
        assert "component-failed" in shown.stdout
        assert "for-later" in bench.run("run", "logs", run["id"]).stdout
