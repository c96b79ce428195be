"""What actions come to: scripts that are really run by this machine's shells, where harmless."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.component import ActionName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.executing import bash_script
from imagebuilder.services.provisioning.packages import (
    installing,
    parse_upgrades,
    pending_upgrades_script,
    updating,
)
from imagebuilder.services.provisioning.scripts import Writing
from tests.build import an_upgrade
from tests.fakes.machine import FakeMachine


def run(
    script: Script, folder: Path, tools: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [script.interpreter, "-c", script.text],
        input=script.stdin,
        capture_output=True,
        check=False,
        cwd=folder,
        env={"PATH": f"{tools}:/usr/bin:/bin" if tools else "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )


def scripts_for(writing: Writing, inputs: Canonical, **given: Any) -> list[Script]:
    """Give the scripts of an action for inputs."""
    call = ActionCall(
        action=ActionName.EXECUTE_BASH,
        phase="build",
        inputs=inputs,
        machine=FakeMachine(),
        timeout_seconds=None,
        **given,
    )
    return list(writing(call))


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["C"])), min_size=1, max_size=4))
def test_execute_bash_when_commands_are_several_then_run_in_one_bash(words: list[str]) -> None:
    safe = [word.replace("'", "") for word in words]
    commands = ["shown=", *(f"shown+='{word}|'" for word in safe), 'printf %s "$shown"']
    (script,) = scripts_for(bash_script, {"commands": commands})
    assert script.interpreter == "/bin/bash"
    result = run(script, Path("/"))
    assert result.stdout.decode() == "".join(f"{word}|" for word in safe)


def test_execute_bash_when_commands_are_one_text_then_it_runs(tmp_path: Path) -> None:
    (script,) = scripts_for(bash_script, {"commands": "[[ -n x ]]"})
    assert run(script, tmp_path).returncode == 0


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Give a folder with an apt that only writes down how it was called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("apt-get", "apt-mark"):
        (folder / name).write_text(
            "#!/bin/sh\n"
            f'printf "%s\\n" "{name} $*" >> {tmp_path}/calls\n'
            'case "$*" in\n'
            "  showauto) echo libc6 libssl3:i386 ;;\n"
            "  showhold) echo linux-image ;;\n"
            "esac\n"
        )
        (folder / name).chmod(0o755)
    return folder


def calls(script: Script, tmp_path: Path, tools: Path) -> list[str]:
    result = run(script, tmp_path, tools)
    assert result.returncode == 0, result.stderr
    return [
        line
        for line in (tmp_path / "calls").read_text().splitlines()
        if line != "apt-get -q update"
    ]


def test_install_packages_then_apt_is_asked_without_recommends(tmp_path: Path, tools: Path) -> None:
    inputs: Canonical = {"packages": ["nginx=1.22*", "-odd", "a b"]}
    (script,) = scripts_for(installing, inputs)
    (call,) = calls(script, tmp_path, tools)
    assert call.endswith(" install --no-install-recommends -- nginx=1.22* -odd a b")
    assert "--force-confold" in call


def test_install_packages_when_recommends_are_wanted_then_apt_is_not_told_otherwise(
    tmp_path: Path, tools: Path
) -> None:
    inputs: Canonical = {"packages": ["nginx"], "recommends": True}
    (script,) = scripts_for(installing, inputs)
    assert "--no-install-recommends" not in calls(script, tmp_path, tools)[0]


def test_update_then_apt_gets_exact_versions_and_marks_are_as_before(
    tmp_path: Path, tools: Path
) -> None:
    upgrades = [
        an_upgrade("libssl3", new="3.0.16-1~deb12u1", arch="i386"),
        an_upgrade("tzdata", new="2026a-0", arch="all"),
        an_upgrade("libnew1", old="", new="1:1-1"),
    ]
    (script,) = scripts_for(updating, {}, upgrades=upgrades)
    marked, installed, marks = calls(script, tmp_path, tools)
    assert marked == "apt-mark showauto"
    assert installed.endswith(
        "install -- libssl3:i386=3.0.16-1~deb12u1 tzdata=2026a-0 libnew1:amd64=1:1-1"
    )
    assert marks == "apt-mark auto -- libc6 libssl3:i386 libnew1:amd64"


@pytest.mark.parametrize("upgrades", [None, []])
def test_update_when_there_is_nothing_then_there_is_no_script(
    upgrades: list[Upgrade] | None,
) -> None:
    assert scripts_for(updating, {}, upgrades=upgrades) == []


def test_pending_upgrades_script_when_some_are_left_out_then_holds_them_only_meanwhile(
    tmp_path: Path, tools: Path
) -> None:
    script = pending_upgrades_script({"exclude": ["linux-*", "grub"]})
    assert calls(script, tmp_path, tools) == [
        "apt-mark showhold",
        "apt-mark hold -- linux-* grub",
        "apt-get -s -q dist-upgrade",
        "apt-mark unhold -- linux-* grub",
        "apt-mark hold -- linux-image",
    ]


def test_pending_upgrades_script_when_some_are_named_then_asks_for_those(
    tmp_path: Path, tools: Path
) -> None:
    script = pending_upgrades_script({"include": ["bash", "curl"]})
    assert calls(script, tmp_path, tools) == ["apt-get -s -q install --only-upgrade -- bash curl"]


SAMPLE = """\
NOTE: This is only a simulation!
      apt-get needs root privileges for real execution.
Reading package lists...
Building dependency tree...
Calculating upgrade...
The following packages have been kept back:
  linux-headers-amd64
The following packages will be REMOVED:
  libold1
The following NEW packages will be installed:
  linux-image-6.1.0-40-amd64
Remv libold1 [1.0-1]
Inst login [1:4.13+dfsg1-1+deb12u1] (1:4.13+dfsg1-1+deb12u2 Debian:12.15/oldstable [amd64])
Inst libgcrypt20:i386 [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [i386]) []
Inst libgcrypt20 [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst libpam-modules-bin [1.5.2-6+deb12u1] (1.5.2-6+deb12u2 Debian:12.15/oldstable [amd64]) [libpam-modules:amd64 on libpam-modules-bin:amd64] [libpam-modules:amd64 ]
Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian-Security:12/oldstable-security [amd64])
Inst tzdata [2024a-0+deb12u1] (2025b-0+deb12u2 Debian:12.15/oldstable [all])
Inst ours [1] (2 [all])
Conf login (1:4.13+dfsg1-1+deb12u2 Debian:12.15/oldstable [amd64])
Conf libgcrypt20 (1.10.1-3+deb12u1 Debian:12.15/oldstable [amd64])
"""  # noqa: E501 - as apt prints it


def test_parse_upgrades_when_apt_says_all_it_can_then_only_what_it_would_install() -> None:
    found = parse_upgrades(SAMPLE)
    assert [(u.name, u.architecture, u.old_version, u.new_version) for u in found] == [
        ("libgcrypt20", "amd64", "1.10.1-3", "1.10.1-3+deb12u1"),
        ("libgcrypt20", "i386", "1.10.1-3", "1.10.1-3+deb12u1"),
        ("libpam-modules-bin", "amd64", "1.5.2-6+deb12u1", "1.5.2-6+deb12u2"),
        ("linux-image-6.1.0-40-amd64", "amd64", "", "6.1.153-1"),
        ("login", "amd64", "1:4.13+dfsg1-1+deb12u1", "1:4.13+dfsg1-1+deb12u2"),
        ("ours", "all", "1", "2"),
        ("tzdata", "all", "2024a-0+deb12u1", "2025b-0+deb12u2"),
    ]


def test_parse_upgrades_when_there_is_nothing_to_do_then_gives_nothing() -> None:
    said = "Reading package lists...\n0 upgraded, 0 newly installed, 0 to remove.\n"
    assert parse_upgrades(said) == ()
