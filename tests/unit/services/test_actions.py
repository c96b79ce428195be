"""What actions come to: scripts that are really run by this machine's shells, where harmless."""

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.component import ActionName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.actions import (
    parse_upgrades,
    pending_upgrades_script,
    scripts_for,
)
from tests.build import an_upgrade

ODD_NAMES = [
    "plain",
    "with space",
    "it's",
    'say "hi"',
    "-rf",
    "$HOME `id` $(id)",
    "two\nlines",
    "ends with a line\n",
    "*?[a]",
    "ümläut",
    "back\\slash",
    ";true",
]


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


def done(action: ActionName, inputs: Canonical, folder: Path) -> None:
    for script in scripts_for(action, inputs, None):
        result = run(script, folder)
        assert result.returncode == 0, result.stderr


def refused(action: ActionName, inputs: Canonical, folder: Path) -> bytes:
    (script,) = scripts_for(action, inputs, None)
    result = run(script, folder)
    assert result.returncode != 0
    return result.stderr


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_create_file_when_the_name_is_odd_then_just_that_file_is_there(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name / name
    done(ActionName.CREATE_FILE, [{"path": str(path), "content": "x\n"}], tmp_path)
    assert path.read_text() == "x\n"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_create_folder_when_the_name_is_odd_then_just_that_folder_is_there(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name / name
    done(ActionName.CREATE_FOLDER, [{"path": str(path)}], tmp_path)
    assert path.is_dir()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / name, path]


@pytest.mark.parametrize(
    "content",
    ["", "no line end", "IMAGEBUILDER_END\nEOF\n", "$HOME `id`\n", "a'b\"c\\n", "tab\tümlaut\r\n"],
)
def test_create_file_when_content_is_odd_then_is_kept_to_the_byte(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "file"
    done(ActionName.CREATE_FILE, [{"path": str(path), "content": content}], tmp_path)
    assert path.read_bytes() == content.encode()


def test_create_file_when_no_content_is_given_then_it_is_empty(tmp_path: Path) -> None:
    done(ActionName.CREATE_FILE, {"path": str(tmp_path / "file")}, tmp_path)
    assert (tmp_path / "file").read_bytes() == b""


def test_create_file_when_it_is_named_without_a_folder_then_stands_where_the_script_does(
    tmp_path: Path,
) -> None:
    done(ActionName.CREATE_FILE, {"path": "file", "content": "x"}, tmp_path)
    assert (tmp_path / "file").read_text() == "x"


def test_create_file_when_it_is_there_then_is_replaced_and_keeps_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a long text from before")
    done(ActionName.CREATE_FILE, {"path": str(path), "content": "new"}, tmp_path)
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
@pytest.mark.parametrize("action", [ActionName.CREATE_FILE, ActionName.CREATE_FOLDER])
def test_create_when_it_may_not_overwrite_then_refuses_what_is_there(
    tmp_path: Path, kind: str, action: ActionName
) -> None:
    path = tmp_path / "it's there"
    if kind == "file":
        path.write_text("old")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    said = refused(action, {"path": str(path), "content": "new", "overwrite": False}, tmp_path)
    assert said == f"{path} is there already\n".encode()
    assert not (tmp_path / "nothing").exists()
    assert kind != "file" or path.read_text() == "old"


@pytest.mark.parametrize("action", [ActionName.CREATE_FILE, ActionName.CREATE_FOLDER])
def test_create_when_it_may_not_overwrite_and_nothing_is_there_then_makes_it(
    tmp_path: Path, action: ActionName
) -> None:
    done(action, {"path": str(tmp_path / "new"), "overwrite": False}, tmp_path)
    assert (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("written", "expected"), [("0640", 0o640), (755, 0o755), ("4755", 0o4755), ("u=rw,go=", 0o600)]
)
def test_create_file_when_permissions_are_given_then_has_them(
    tmp_path: Path, written: str | int, expected: int
) -> None:
    path = tmp_path / "file"
    done(ActionName.CREATE_FILE, {"path": str(path), "permissions": written}, tmp_path)
    assert mode(path) == expected


def test_create_folder_when_permissions_are_given_then_has_them(tmp_path: Path) -> None:
    done(ActionName.CREATE_FOLDER, {"path": str(tmp_path / "a/b"), "permissions": "1777"}, tmp_path)
    assert mode(tmp_path / "a/b") == 0o1777


def test_create_file_when_permissions_are_no_mode_then_fails(tmp_path: Path) -> None:
    refused(ActionName.CREATE_FILE, {"path": str(tmp_path / "f"), "permissions": "9999"}, tmp_path)


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({"owner": "www data"}, "chown -- 'www data' \"$path\""),
        ({"group": "adm"}, 'chown -- :adm "$path"'),
        ({"owner": "root", "group": "adm"}, 'chown -- root:adm "$path"'),
        ({"owner": 0, "group": 0}, 'chown -- 0:0 "$path"'),
    ],
)
def test_create_file_when_an_owner_is_given_then_it_is_set_before_the_mode(
    given: dict[str, Canonical], command: str
) -> None:
    inputs = {"path": "/f", "permissions": "4755", **given}
    (script,) = scripts_for(ActionName.CREATE_FILE, inputs, None)
    lines = script.text.splitlines()
    assert lines[-2:] == [command, 'chmod -- 4755 "$path"']


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["C"])), min_size=1, max_size=4))
def test_execute_bash_when_commands_are_several_then_run_in_one_bash(words: list[str]) -> None:
    safe = [word.replace("'", "") for word in words]
    commands = ["shown=", *(f"shown+='{word}|'" for word in safe), 'printf %s "$shown"']
    (script,) = scripts_for(ActionName.EXECUTE_BASH, {"commands": commands}, None)
    assert script.interpreter == "/bin/bash"
    result = run(script, Path("/"))
    assert result.stdout.decode() == "".join(f"{word}|" for word in safe)


def test_execute_bash_when_commands_are_one_text_then_it_runs(tmp_path: Path) -> None:
    done(ActionName.EXECUTE_BASH, {"commands": "[[ -n x ]]"}, tmp_path)


def test_reboot_then_there_is_nothing_to_run() -> None:
    assert scripts_for(ActionName.REBOOT, {}, None) == []


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
    (script,) = scripts_for(ActionName.INSTALL_PACKAGES, inputs, None)
    (call,) = calls(script, tmp_path, tools)
    assert call.endswith(" install --no-install-recommends -- nginx=1.22* -odd a b")
    assert "--force-confold" in call


def test_install_packages_when_recommends_are_wanted_then_apt_is_not_told_otherwise(
    tmp_path: Path, tools: Path
) -> None:
    inputs: Canonical = {"packages": ["nginx"], "recommends": True}
    (script,) = scripts_for(ActionName.INSTALL_PACKAGES, inputs, None)
    assert "--no-install-recommends" not in calls(script, tmp_path, tools)[0]


def test_update_then_apt_gets_exact_versions_and_marks_are_as_before(
    tmp_path: Path, tools: Path
) -> None:
    upgrades = [
        an_upgrade("libssl3", new="3.0.16-1~deb12u1", arch="i386"),
        an_upgrade("tzdata", new="2026a-0", arch="all"),
        an_upgrade("libnew1", old="", new="1:1-1"),
    ]
    (script,) = scripts_for(ActionName.UPDATE_OS, {}, upgrades)
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
    assert scripts_for(ActionName.UPDATE_OS, {}, upgrades) == []


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
