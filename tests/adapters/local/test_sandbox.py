"""What a component's script can see, do and leave behind."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.local.roots import LocalRoot
from imagebuilder.adapters.local.sandbox import Confinement, SandboxMachine, UnsafeRoot
from imagebuilder.domain.component import Network
from imagebuilder.domain.layer import Layer
from imagebuilder.domain.recipe import Repository
from imagebuilder.ports.building import MirrorUnreachable, StorageFull
from imagebuilder.ports.machine import Script
from imagebuilder.ports.process import Command, CommandFailed
from tests.roots import tiny_root, traces, wait_until
from tests.workshops import RUNNER, Shop, ran, said, shop

pytestmark = pytest.mark.root

NINE_CAPABILITIES = 0x800400FB
"""chown, dac_override, fowner, fsetid, kill, setgid, setuid, sys_chroot, setfcap."""
TELLING = ("/proc/sys/", "/proc/sysrq", "/proc/bus/", "/proc/irq/", "/proc/fs/", "/proc/mtrr")
ARCHIVE = Repository(url="http://127.0.0.1:9/debian", suites=("bookworm",))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), [ARCHIVE]) as opened:
        yield opened


@pytest.fixture(scope="module")
def base(place: Shop) -> Layer:
    return place.base()


@pytest.fixture
def root(place: Shop, base: Layer) -> Iterator[LocalRoot]:
    with place.roots.scratch([base]) as root:
        yield root


def test_run_then_only_nine_capabilities_are_left(root: LocalRoot) -> None:
    for name in ("CapEff", "CapPrm"):
        text = said(root, f"grep {name} /proc/self/status")
        assert int(text.split()[1], 16) == NINE_CAPABILITIES
    assert said(root, "grep NoNewPrivs /proc/self/status").split() == ["NoNewPrivs:", "1"]


@pytest.mark.parametrize(
    "attempt",
    [
        "mount -t tmpfs tmpfs /root",
        "mount --bind /etc /root",
        "mount -o remount,rw /proc/sys",
        "mknod /root/disk b 254 0",
        "mknod /dev/disk b 254 0",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/vm/drop_caches",
        "echo h > /proc/sysrq-trigger",
        "kill -0 $(($$ + 100000))",
        "kill -0 OURSELVES",
        "ls /proc/OURSELVES/root",
        "cat /proc/kcore",
        "dd if=/dev/vda of=/root/stolen count=1",
    ],
)
def test_run_when_it_reaches_for_the_machine_then_is_refused(root: LocalRoot, attempt: str) -> None:
    ours = attempt.replace("OURSELVES", str(os.getpid()))

    assert ran(root, ours).exit_status != 0


def test_run_then_settings_of_the_kernel_are_read_only(root: LocalRoot) -> None:
    writable = said(
        root, "find /proc -path '/proc/[0-9]*' -prune -o -type f -writable -print 2>/dev/null; true"
    )

    assert [path for path in writable.split() if path.startswith(TELLING)] == []


def test_run_then_no_file_and_no_process_of_the_machine_is_seen(
    root: LocalRoot, tmp_path: Path
) -> None:
    assert ran(root, f"ls {tmp_path}").exit_status != 0
    # The sandbox's own first process, and what it runs.
    pids = said(root, "ls /proc | grep -c '^[0-9]'")
    assert int(pids) <= 5
    assert "overlay" in said(root, "cat /proc/mounts").splitlines()[0]
    assert said(root, "cat /proc/sys/kernel/hostname") == "localhost"


def test_run_then_the_environment_holds_what_scripts_need_and_nothing_of_ours(
    root: LocalRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "secret")

    names = {line.partition("=")[0] for line in said(root, "env").splitlines()}

    assert names <= {
        *("PATH", "HOME", "LC_ALL", "DEBIAN_FRONTEND", "INITRD", "SOURCE_DATE_EPOCH"),
        *("PWD", "SHLVL", "_", "OLDPWD"),
    }


def test_run_then_the_script_stands_in_no_argv(root: LocalRoot) -> None:
    mark = "argv-mark-of-the-test"
    lines: list[str] = []
    seen: list[str] = []

    def look(line: str) -> None:
        lines.append(line)
        seen.extend(trace for trace in traces(mark) if " cmdline" in trace)

    result = root.machine(Network.NONE).run(Script(text=f"echo here; : {mark}; sleep 0.3"), look)

    assert result.exit_status == 0
    assert lines == ["here"]
    assert seen == []


def test_run_when_given_input_environment_and_interpreter_then_it_gets_them(
    root: LocalRoot,
) -> None:
    script = Script(
        text="read word; echo $word $GIVEN ${BASH_VERSION:+bash}; exit 7",
        interpreter="/bin/bash",
        stdin=b"in",
        environment={"GIVEN": "a b"},
    )

    result = root.machine(Network.NONE).run(script)

    assert (result.exit_status, result.stdout) == (7, b"in a b bash\n")


def test_run_when_it_leaves_something_running_then_that_is_dead(root: LocalRoot) -> None:
    mark = "31415.926"
    said(root, f"setsid sleep {mark} > /dev/null 2>&1 & sleep {mark} & echo left")

    assert traces(f"sleep {mark}") == []


def test_run_when_its_time_is_up_then_all_of_it_is_dead(root: LocalRoot) -> None:
    mark = "27182.818"
    result = ran(root, f"setsid sleep {mark} & sleep {mark}", timeout_seconds=0.5)

    assert result.has_timed_out
    assert result.exit_status != 0
    assert traces(f"sleep {mark}") == []


def test_run_when_its_output_floods_then_ends_and_most_is_dropped(root: LocalRoot) -> None:
    result = ran(root, "head -c 60000000 /dev/zero | tr '\\0' x; echo; echo last")

    assert result.exit_status == 0
    assert result.stdout.endswith(b"last\n")
    assert len(result.stdout) < 8_000_000
    assert result.dropped_bytes > 50_000_000


def test_machine_then_temporary_files_last_from_step_to_step_and_are_in_no_layer(
    place: Shop, base: Layer, root: LocalRoot
) -> None:
    machine = root.machine(Network.NONE)
    assert machine.run(Script(text="echo 1 > /tmp/a; echo 2 > /run/b")).exit_status == 0
    assert machine.run(Script(text="cat /tmp/a /run/b")).stdout == b"1\n2\n"
    assert said(root, "stat -c %a /tmp /run").split() == ["1777", "755"]

    layer = place.sealed(root, "temporary")

    assert set(place.tree([layer])) <= {"/", "/tmp", "/run", "/proc", "/dev"}
    with place.roots.scratch([base, layer]) as fresh:
        assert said(fresh, "ls /tmp; ls /run") == "imagebuilder"


class TestNetwork:
    def test_none_then_there_is_no_network_but_its_own_loopback(self, root: LocalRoot) -> None:
        lines = said(root, "cat /proc/net/dev").splitlines()
        assert [line.split(":")[0].strip() for line in lines[2:]] == ["lo"]
        assert ran(root, "echo > /dev/tcp/127.0.0.1/3128").exit_status != 0

    @pytest.mark.parametrize("network", [Network.PACKAGES, Network.FULL])
    def test_packages_and_full_then_the_proxy_is_all_there_is(
        self, root: LocalRoot, network: Network
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for address in (f"127.0.0.1/{port}", "169.254.169.254/80", "203.0.113.1/80"):
                script = Script(text=f"echo > /dev/tcp/{address}", interpreter="/bin/bash")
                assert root.machine(network).run(script).exit_status != 0, address
        connect = Script(text="echo > /dev/tcp/127.0.0.1/3128", interpreter="/bin/bash")
        assert root.machine(network).run(connect).exit_status == 0
        assert "http_proxy=http://127.0.0.1:3128" in said(root, "env", network)

    @pytest.mark.parametrize("network", [Network.PACKAGES, Network.FULL])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1"])
    def test_packages_and_full_then_the_proxy_refuses_addresses_that_are_not_public(
        self, root: LocalRoot, network: Network, host: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            answer = asked_proxy(root, network, f"GET http://{host}:{listener.getsockname()[1]}/")
            tunnel = asked_proxy(root, network, f"CONNECT {host}:{listener.getsockname()[1]}")
        assert " 403 " in answer
        assert " 403 " in tunnel

    def test_none_when_a_listener_waits_on_an_abstract_socket_then_it_is_not_seen(
        self, root: LocalRoot
    ) -> None:
        name = f"imagebuilder-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("\0" + name)
            assert name not in said(root, "cat /proc/net/unix")


def asked_proxy(root: LocalRoot, network: Network, request: str) -> str:
    """Give the first line that the proxy answers."""
    text = (
        "exec 3<>/dev/tcp/127.0.0.1/3128\n"
        f"printf '{request} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3\n"
        "head -n 1 <&3\n"
    )
    result = root.machine(network).run(Script(text=text, interpreter="/bin/bash"))
    assert result.exit_status == 0, result.last_lines
    return result.stdout.decode()


class TestLinks:
    """An image is made of what its components and its archive say; it may lie."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        folder = tmp_path / "outside"
        folder.mkdir()
        return folder

    @pytest.mark.parametrize("place_of_link", ["tmp", "run", "proc", "dev"])
    @pytest.mark.parametrize(
        "target", ["/etc", "../../../../../../etc", "{outside}", "/oldroot/{outside}"]
    )
    def test_run_when_a_folder_it_mounts_on_is_a_link_then_is_refused(
        self, root: LocalRoot, outside: Path, place_of_link: str, target: str
    ) -> None:
        link = root.path / place_of_link
        if link.is_dir():
            link.rmdir()
        link.symlink_to(target.format(outside=outside))

        with pytest.raises(UnsafeRoot):
            ran(root, "echo x > /tmp/pwned; echo x > /run/pwned")

        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize(
        "swap",
        [
            "mv /run/imagebuilder /run/x; ln -s /oldroot{outside} /run/imagebuilder",
            "mv /run/imagebuilder /run/x; ln -s {outside} /run/imagebuilder",
            "mv /run/imagebuilder /run/x; ln -s ../../../..{outside} /run/imagebuilder",
            "cd /run; mv imagebuilder x; mkdir imagebuilder; cd *r; ln -s /oldroot{outside} script",
        ],
    )
    def test_run_when_a_step_turned_the_place_of_scripts_into_a_link_then_is_refused(
        self, root: LocalRoot, outside: Path, swap: str
    ) -> None:
        machine = root.machine(Network.NONE)
        assert machine.run(Script(text=swap.format(outside=outside))).exit_status == 0

        with pytest.raises(UnsafeRoot):
            machine.run(Script(text="true"))

        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize(
        "kept", ["etc/apt/sources.list", "etc/apt", "var/lib/apt/lists", "var/cache/apt"]
    )
    def test_run_with_archives_when_a_place_of_apt_is_a_link_then_the_machine_is_not_touched(
        self, root: LocalRoot, outside: Path, kept: str
    ) -> None:
        (root.path / "etc/apt").mkdir()
        link = root.path / kept
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir():
            link.rmdir()
        machine = root.machine(Network.PACKAGES)
        if kept == "etc/apt":
            (root.path / "etc/apt").mkdir()
            machine = root.machine(Network.PACKAGES)
            (root.path / "etc/apt").rmdir()
        link.symlink_to(f"/oldroot{outside}/new")

        with pytest.raises(UnsafeRoot):
            machine.run(Script(text="true"))

        assert list(outside.iterdir()) == []

    def test_machine_when_apt_was_a_link_before_then_nothing_is_mounted_there(
        self, root: LocalRoot, outside: Path
    ) -> None:
        (root.path / "etc/apt").symlink_to(outside)

        assert said(root, "grep -c apt /proc/mounts; true", Network.PACKAGES) == "0"
        assert list(outside.iterdir()) == []


def test_run_with_archives_then_sources_are_the_builds_and_the_image_keeps_its_own(
    place: Shop, root: LocalRoot
) -> None:
    (root.path / "etc/apt/sources.list.d").mkdir(parents=True)
    (root.path / "etc/apt/sources.list").write_text("deb http://old.example.org/ x main\n")
    (root.path / "etc/apt/sources.list.d/debian.sources").write_text("Types: deb\n")
    (root.path / "etc/apt/sources.list.d/own.list").write_text("# its own\n")

    seen = said(root, "cat /etc/apt/sources.list /etc/apt/sources.list.d/*", Network.PACKAGES)

    assert seen == "deb http://127.0.0.1:9/debian bookworm main\n# its own"
    assert "old.example.org" in (root.path / "etc/apt/sources.list").read_text()


def test_run_with_an_archive_of_its_own_keyring_then_every_user_can_read_that(
    tmp_path: Path,
) -> None:
    keyring = tmp_path / "own.gpg"
    keyring.write_text("a key")
    with (
        shop(tmp_path, [replace(ARCHIVE, keyring=str(keyring))]) as place,
        place.roots.scratch([place.base()]) as root,
    ):
        (root.path / "etc/apt").mkdir()
        named = said(root, "cut -d= -f2 /etc/apt/sources.list | cut -d] -f1", Network.PACKAGES)
        modes = said(root, f"stat -c %a {named} {Path(named).parent} /run", Network.PACKAGES)

        assert said(root, f"cat {named}", Network.PACKAGES) == "a key"
        assert modes.split() == ["644", "755", "755"]


def test_run_when_the_file_system_is_full_then_says_so(place: Shop, tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(tmp_path)]
    RUNNER.check(Command(argv=mount))
    try:
        shutil.copytree(tiny_root(), tmp_path / "root", symlinks=True)
        machine = SandboxMachine(RUNNER, Confinement(root=tmp_path / "root"))
        assert machine.run(Script(text="exit 3")).exit_status == 3
        with pytest.raises(StorageFull):
            machine.run(Script(text="head -c 50000000 /dev/zero > /var/file"))
    finally:
        RUNNER.check(Command(argv=["umount", str(tmp_path)]))


def test_run_when_many_threads_use_one_root_then_each_gets_its_own_answer(
    root: LocalRoot,
) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(said(root, f"echo {n}")))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(answers) == 4)
    assert sorted(answers) == ["0", "1", "2", "3"]


ASK_ARCHIVE = (
    "exec 3<>/dev/tcp/127.0.0.1/3128\n"
    "printf 'GET http://127.0.0.1:9/debian/x HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n' >&3\n"
    "cat <&3\n"
)


class TestBlame:
    def test_run_when_it_fails_and_an_archive_did_not_answer_then_that_is_said(
        self, root: LocalRoot
    ) -> None:
        script = Script(text=f"{ASK_ARCHIVE}exit 100", interpreter="/bin/bash")

        with pytest.raises(MirrorUnreachable, match=r"127\.0\.0\.1") as blamed:
            root.machine(Network.PACKAGES).run(script)

        assert "refused" in blamed.value.context
        assert isinstance(blamed.value.__cause__, CommandFailed)

    def test_run_when_it_ends_well_all_the_same_then_nothing_is_said(self, root: LocalRoot) -> None:
        script = Script(text=f"{ASK_ARCHIVE}exit 0", interpreter="/bin/bash")

        assert root.machine(Network.PACKAGES).run(script).exit_status == 0

    def test_run_when_an_archive_did_not_answer_another_machine_then_it_is_not_blamed(
        self, root: LocalRoot
    ) -> None:
        script = Script(text=f"{ASK_ARCHIVE}exit 0", interpreter="/bin/bash")
        assert root.machine(Network.PACKAGES).run(script).exit_status == 0

        assert ran(root, "exit 7", Network.PACKAGES).exit_status == 7

    def test_run_without_network_when_it_fails_then_no_archive_is_blamed(
        self, root: LocalRoot
    ) -> None:
        assert ran(root, "exit 100").exit_status == 100
