"""Each pack passes on what is sound, and fails on the fault that it is there for."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from imagebuilder.adapters.confined.testinfra.suite import ConfinedSuite, SuiteLimits
from imagebuilder.adapters.local.sandbox import Confinement, SandboxMachine
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.document_files import FileDocumentSource
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.documents.pack_files import pack_text
from imagebuilder.documents.test_files import problems_of_tests
from imagebuilder.domain.evidence import Outcome, Stage, TestReport
from imagebuilder.domain.packs import Pack
from imagebuilder.ports.inspection import SuiteEntry, TestSuite
from imagebuilder.ports.machine import Machine
from tests.fakes.machine import Answer, FakeMachine
from tests.roots import tiny_root

RUNNER = SystemCommandRunner(SystemClock())
SOURCE = FileDocumentSource()
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"
SSHD = {
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "permitemptypasswords": "no",
    "permitrootlogin": "without-password",
    "ciphers": "chacha20-poly1305@openssh.com,aes256-ctr",
    "macs": "hmac-sha2-256",
    "kexalgorithms": "curve25519-sha256",
}
Plant: TypeAlias = Callable[[Path], object]


def write(path: str, text: str = "x", mode: int = 0o644) -> Plant:
    def plant(root: Path) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    return plant


def say(path: str, text: str) -> Plant:
    return write(path, f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n", 0o755)


def sshd(**other: str) -> Plant:
    settings = {**SSHD, **other}
    return say("usr/sbin/sshd", "\n".join(f"{word} {value}" for word, value in settings.items()))


def entry(pack: Pack, **more: Any) -> SuiteEntry:
    return SuiteEntry(path=SOURCE.locate(f"pack:{pack}", "/"), pack=pack, **more)


def ran(tmp_path: Path, given: SuiteEntry, machine: Machine, stage: Stage) -> TestReport:
    suite = ConfinedSuite(
        RUNNER,
        partial(working_folder, tmp_path / "work"),
        limits=SuiteLimits(suite_seconds=120.0, test_seconds=30.0),
    )
    return suite.run(TestSuite(entries=(given,)), stage, machine, None).report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a small root in which nothing is wrong."""
    root = tmp_path / "root"
    shutil.copytree(tiny_root(), root, symlinks=True)
    for program in ("sort", "tail"):
        shutil.copy(Path(f"/usr/bin/{program}").resolve(), root / "usr/bin" / program)
    for plant in (
        write("etc/shadow", "root:*:1::::::\nnobody:!:1::::::\n", 0o640),
        write("etc/fstab", "UUID=1-2 / ext4 defaults 0 1\n# /dev/sda1\n"),
        write("etc/machine-id", ""),
        write("etc/ssh/sshd_config"),
        write("etc/cloud/cloud.cfg", "datasource_list: [ Ec2, None ]\n"),
        write("var/lib/empty"),
        write("boot/vmlinuz-6.1"),
        write(
            "boot/config-6.1",
            "CONFIG_BLK_DEV_NVME=m\nCONFIG_ENA_ETHERNET=m\nCONFIG_XEN_BLKDEV_FRONTEND=y\n",
        ),
        write("usr/bin/cloud-init", mode=0o755),
        say("usr/bin/systemctl", "enabled"),
        write("usr/bin/ssh-keygen", "#!/bin/sh\n", 0o755),
        sshd(),
    ):
        plant(root)
    return root


@pytest.fixture
def machine(root: Path) -> Machine:
    return SandboxMachine(RUNNER, Confinement(root=root))


AT_REST = (Pack.SSH, Pack.NO_DEFAULT_PASSWORDS, Pack.NO_SECRETS, Pack.EC2_READY)
FAULTS: dict[str, tuple[Pack, Plant, str]] = {
    "empty-password": (
        Pack.NO_DEFAULT_PASSWORDS,
        write("etc/shadow", "root:*:1\nguest::1\n", 0o640),
        "guest",
    ),
    "a-password": (
        Pack.NO_DEFAULT_PASSWORDS,
        write("etc/shadow", "root:$y$j9T$x$y:1\n", 0o640),
        "root",
    ),
    "no-password-field": (
        Pack.NO_DEFAULT_PASSWORDS,
        write("etc/passwd", "root:x:0:0::/:/bin/sh\neve::7:7::/:/bin/sh\n"),
        "eve",
    ),
    "second-root": (
        Pack.NO_DEFAULT_PASSWORDS,
        write("etc/passwd", "root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"),
        "toor",
    ),
    "open-shadow": (
        Pack.NO_DEFAULT_PASSWORDS,
        write("etc/shadow", "root:*:1\n", 0o644),
        "/etc/shadow",
    ),
    "private-key": (Pack.NO_SECRETS, write("srv/app/server.pem", KEY), "/srv/app/server.pem"),
    "newline-in-name": (Pack.NO_SECRETS, write("srv/a\nb", KEY), "/srv/a\\nb"),
    "aws-key": (
        Pack.NO_SECRETS,
        write("opt/app/env", "export ID=AKIAIOSFODNN7EXAMPLE\n"),
        "/opt/app/env",
    ),
    "aws-secret": (
        Pack.NO_SECRETS,
        write("etc/app.ini", f"aws_secret_access_key = {'a1B/' * 10}\n"),
        "/etc/app.ini",
    ),
    "github-token": (Pack.NO_SECRETS, write("root/x", f"ghp_{'a' * 36}"), "/root/x"),
    "history": (Pack.NO_SECRETS, write("home/eve/.bash_history", "ls"), ".bash_history"),
    "netrc": (Pack.NO_SECRETS, write("root/.netrc", "machine x"), "/root/.netrc"),
    "host-key": (Pack.NO_SECRETS, write("etc/ssh/ssh_host_rsa_key"), "ssh_host_rsa_key"),
    "host-key-of-ssh": (Pack.SSH, write("etc/ssh/ssh_host_rsa_key.pub"), "ssh_host_rsa_key"),
    "passwords": (Pack.SSH, sshd(passwordauthentication="yes"), "'yes' == 'no'"),
    "empty-passwords": (Pack.SSH, sshd(permitemptypasswords="yes"), "'yes' == 'no'"),
    "root-by-password": (Pack.SSH, sshd(permitrootlogin="yes"), "'yes' != 'yes'"),
    "old-cipher": (Pack.SSH, sshd(ciphers="aes128-cbc,aes256-ctr"), "aes128-cbc"),
    "sshd-fails": (Pack.SSH, write("usr/sbin/sshd", "#!/bin/sh\nexit 1\n", 0o755), "exit code 1"),
    "authorized-key": (Pack.SSH, write("root/.ssh/authorized_keys", "ssh-rsa x"), "authorized"),
    "ssh-off": (Pack.SSH, say("usr/bin/systemctl", "disabled"), "enabled"),
    "no-driver": (Pack.EC2_READY, write("boot/config-6.1", "CONFIG_BLK_DEV_NVME=m\n"), "1 == 0"),
    "no-kernel": (Pack.EC2_READY, lambda root: (root / "boot/vmlinuz-6.1").unlink(), "no kernel"),
    "by-device": (Pack.EC2_READY, write("etc/fstab", "/dev/sda1 / ext4\n"), "/dev/sda1"),
    "an-identity": (Pack.EC2_READY, write("etc/machine-id", "0" * 32), "00000000"),
    "other-cloud": (
        Pack.EC2_READY,
        write("etc/cloud/cloud.cfg.d/99.cfg", "datasource_list: [ Azure ]\n"),
        "Azure",
    ),
    "cloud-init-off": (Pack.EC2_READY, write("etc/cloud/cloud-init.disabled"), "0 == 1"),
}


def test_packs_then_each_is_a_folder_that_explains_itself_and_needs_nothing_else() -> None:
    folders = SOURCE.locate("pack:ssh", "/").parent
    assert {path.name for path in Path(folders).iterdir()} - {"__pycache__"} == set(Pack)
    for pack in Pack:
        (file,) = SOURCE.python_files(SOURCE.locate(f"pack:{pack}", "/"))
        text = SOURCE.text(file)
        told = pack_text(text)
        assert told.says
        assert told.stages
        assert all(test.says for test in told.tests)
        assert problems_of_tests({file: text}, {}) == ()


@pytest.mark.root
@pytest.mark.parametrize("pack", AT_REST)
def test_pack_when_nothing_is_wrong_then_it_passes_under_its_name(
    tmp_path: Path, machine: Machine, pack: Pack
) -> None:
    report = ran(tmp_path, entry(pack), machine, Stage.OFFLINE)
    assert report.has_passed, report
    assert len(report.results) >= 3
    assert all(result.name.startswith(f"pack:{pack}/") for result in report.results)


@pytest.mark.root
@pytest.mark.parametrize("fault", FAULTS)
def test_pack_when_a_fault_is_planted_then_it_fails_and_tells_it(
    tmp_path: Path, root: Path, machine: Machine, fault: str
) -> None:
    pack, plant, words = FAULTS[fault]
    plant(root)
    report = ran(tmp_path, entry(pack), machine, Stage.OFFLINE)
    assert report.crash == ""
    told = "\n".join(result.detail for result in report.failures)
    assert words in told, report.results
    assert KEY not in told


@pytest.mark.root
def test_pack_when_a_name_is_allowed_then_that_one_does_not_count(
    tmp_path: Path, root: Path, machine: Machine
) -> None:
    write("srv/known.pem", KEY)(root)
    allowed = {"allowed": ["/srv/known.pem"]}
    report = ran(tmp_path, entry(Pack.NO_SECRETS, variables=allowed), machine, Stage.OFFLINE)
    assert report.has_passed, report


@pytest.mark.root
@pytest.mark.parametrize("failed", ["", "nginx.service loaded failed failed A web server\n"])
def test_pack_of_boots_when_a_unit_failed_then_it_says_which(tmp_path: Path, failed: str) -> None:
    machine = FakeMachine(
        lambda script: Answer(
            stdout=b"running"
            if "is-system" in script.text
            else failed.encode()
            if "--failed" in script.text
            else b""
        )
    )
    report = ran(tmp_path, entry(Pack.BOOTS_CLEAN), machine, Stage.BOOTED)
    assert report.has_passed is not bool(failed)
    assert [r.outcome for r in report.results].count(Outcome.FAILED) == bool(failed)
    if failed:
        assert "nginx.service" in report.failures[0].detail


@pytest.mark.root
def test_run_with_packs_then_foreign_tests_have_another_process_and_never_their_names(
    tmp_path: Path, machine: Machine
) -> None:
    folder = tmp_path / "pack:ssh"
    folder.mkdir()
    mine = "import os\ndef test_it(): assert not os.path.exists('/tests/pack:no-secrets')\n"
    (folder / "test_ssh.py").write_text(mine)
    (tmp_path / "conftest.py").write_text("1 / 0")
    suite = ConfinedSuite(RUNNER, partial(working_folder, tmp_path / "work"))
    given = TestSuite(entries=(SuiteEntry(path=folder), entry(Pack.NO_SECRETS)))
    report = suite.run(given, Stage.OFFLINE, machine, None).report
    assert report.has_passed, report
    assert report.results[0].name.startswith("pack:no-secrets/")
    assert report.results[-1].name == "pack_ssh/test_ssh.py::test_it"
    assert suite.stages(given) == frozenset({Stage.OFFLINE})


@pytest.mark.root
def test_run_when_a_foreign_test_reports_for_a_pack_then_the_run_counts_for_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/test_it.py").write_text(
        "import json, os\n"
        "LINE = {'$report_type': 'TestReport', 'nodeid': 'pack:ssh/test_ssh.py::test_x',"
        " 'when': 'teardown', 'outcome': 'passed', 'duration': 0}\n"
        "def test_it():\n"
        "    for fd in map(int, os.listdir('/proc/self/fd')):\n"
        "        try:\n"
        "            if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe:'):\n"
        "                os.write(fd, json.dumps(LINE).encode() + b'\\n')\n"
        "        except OSError: pass\n"
    )
    report = ran(tmp_path, SuiteEntry(path=tmp_path / "web"), FakeMachine(), Stage.OFFLINE)
    assert "wrote into their own report" in report.crash
    assert {r.name.split("/")[0] for r in report.results} <= {"web"}
