"""InstallPackages and UpdateOS over a machine made of answers."""

import json
from collections.abc import Callable, Sequence

import pytest

from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.package import Upgrade
from imagebuilder.domain.updates import update_of
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.packages import pending_upgrades_script
from tests.build import an_upgrade
from tests.fakes.machine import Answer, FakeMachine


def run(
    action: ActionName,
    inputs: Canonical,
    machine: FakeMachine,
    upgrades: Sequence[Upgrade] | None = None,
    **more: float,
) -> ActionResult:
    call = ActionCall(
        action=action,
        phase=PhaseName.BUILD,
        inputs=inputs,
        machine=machine,
        timeout_seconds=more.get("timeout_seconds"),
        upgrades=upgrades,
    )
    return own_actions()[action].run(call)


def saying(*parts: tuple[str, Answer]) -> FakeMachine:
    """Answer by the first part that stands in the script."""

    def answer(script: Script) -> Answer:
        return next((given for text, given in parts if text in script.text), Answer())

    return FakeMachine(answer)


def installing(inputs: Canonical, machine: FakeMachine) -> ActionResult:
    return run(ActionName.INSTALL_PACKAGES, inputs, machine)


UNKNOWN = Answer(exit_status=100, stderr=b"E: Unable to locate package ngnix\n")
NO_VERSION = Answer(exit_status=100, stderr=b"E: Version '9' for 'nginx' was not found\n")
NEAR = Answer(
    stdout=b"@@ names ngnix\nnginx\nnginx-core\nnano\n@@ versions ngnix\n"
    b"@@ names nginx\nnginx\n@@ versions nginx\n 1.22.1-9\n 1.22.1-8\n"
)
PENDING = "dist-upgrade"
APPLIED = "dpkg-query -W -f '${Package}"
INST = b"Inst bash [1] (2 Debian-Security:12/stable-security [amd64])\n"


def test_install_then_one_script_that_chooses_for_itself_is_enough() -> None:
    machine = FakeMachine()
    assert installing({"packages": ["nginx"]}, machine).result.exit_status == 0
    (script,) = machine.scripts
    assert "apt-get" in script.text
    assert "dnf" in script.text


def test_install_when_a_name_is_unknown_then_it_is_named_with_what_is_like_it() -> None:
    machine = saying((" install ", UNKNOWN), ("pkgnames", NEAR))
    done = installing({"packages": ["ngnix"]}, machine)
    assert done.result.exit_status == 100
    assert done.result.last_lines.endswith(
        "The package archives of this image have no ngnix; like it: nginx."
    )


def test_install_when_a_version_is_unknown_then_those_there_are_are_named() -> None:
    machine = saying((" install ", NO_VERSION), ("pkgnames", NEAR))
    done = installing({"packages": ["nginx=9"]}, machine)
    assert done.result.last_lines.endswith(
        "nginx is not there in that version; the package archives have 1.22.1-9, 1.22.1-8."
    )


def test_install_when_a_package_is_held_then_says_how_to_let_it_change() -> None:
    held = Answer(
        exit_status=100,
        stdout=b"The following held packages will be changed:\n  sudo\n0 upgraded\n",
        stderr=b"E: Held packages were changed and -y was used without --allow-change...\n",
    )
    done = installing({"packages": ["sudo=2"]}, saying((" install ", held)))
    assert "`apt-mark unhold sudo`" in done.result.last_lines


def test_install_when_newer_lists_have_it_then_is_tried_again_with_these() -> None:
    answers = iter([UNKNOWN, Answer()])
    machine = FakeMachine(lambda _script: next(answers))
    assert installing({"packages": ["ngnix"]}, machine).result.exit_status == 0
    assert "then\n  apt-get -q update" in machine.scripts[0].text
    assert "\napt-get -q update\n" in machine.scripts[1].text


def test_install_when_it_fails_for_another_reason_then_is_not_tried_again() -> None:
    broken = Answer(exit_status=100, stderr=b"E: Sub-process /usr/bin/dpkg returned an error\n")
    machine = saying((" install ", broken))
    assert installing({"packages": ["nginx"]}, machine).result.exit_status == 100
    assert len(machine.scripts) == 1


def test_install_when_lists_were_asked_for_then_they_are_fetched_once() -> None:
    machine = saying((" install ", UNKNOWN))
    installing({"packages": ["ngnix"], "update": True}, machine)
    assert sum(" install " in script.text for script in machine.scripts) == 1


@pytest.mark.parametrize("name", ["-odd", "a b", "nginx;reboot", "$(id)", "http://example.org/x"])
def test_install_when_a_name_is_none_then_nothing_is_run(name: str) -> None:
    machine = FakeMachine()
    done = installing({"packages": [name]}, machine)
    assert (done.result.exit_status, machine.scripts) == (1, [])
    assert done.result.stderr == f"{name!r} is not the name of a package.\n".encode()


def test_install_when_time_runs_out_then_what_follows_has_the_rest() -> None:
    machine = saying((" install ", UNKNOWN))
    run(ActionName.INSTALL_PACKAGES, {"packages": ["x"]}, machine, timeout_seconds=5)
    assert all((script.timeout_seconds or 0) <= 5 for script in machine.scripts)


def test_update_when_upgrades_are_given_then_apt_gets_exactly_these() -> None:
    upgrades = [
        an_upgrade("libssl3", new="3.0.16-1", arch="i386"),
        an_upgrade("tzdata", new="2026a-0", arch="all"),
        an_upgrade("libnew1", old="", new="1:1-1"),
    ]
    machine = FakeMachine()
    done = run(ActionName.UPDATE_OS, {}, machine, upgrades)
    (script,) = machine.scripts
    assert update_of(json.loads(done.outputs[0]["updates"])).upgrades == tuple(upgrades)
    assert (
        " install -- libssl3:i386=3.0.16-1 tzdata=2026a-0 libnew1:amd64=1:1-1\n"
        "set -- $automatic libnew1:amd64\n"
    ) in script.text


def test_update_when_none_are_given_then_nothing_is_run() -> None:
    machine = FakeMachine()
    assert run(ActionName.UPDATE_OS, {}, machine, []).result.exit_status == 0
    assert machine.scripts == []


def applied(version: str = "2") -> Answer:
    said = f"@@ installed\nbash amd64 {version}\n@@ cves\nread bash amd64\nCVE-2026-1 bash amd64\n"
    return Answer(stdout=said.encode())


def test_update_when_nobody_knows_then_it_finds_out_applies_and_tells() -> None:
    machine = saying((PENDING, Answer(stdout=INST)), (APPLIED, applied()))
    done = run(ActionName.UPDATE_OS, None, machine)
    (upgrade,) = update_of(json.loads(done.outputs[0]["updates"])).upgrades
    assert done.result.exit_status == 0
    assert (upgrade, upgrade.cves) == (an_upgrade("bash", old="1", new="2"), ("CVE-2026-1",))
    assert "install -- bash:amd64=2" in machine.scripts[1].text


def test_update_when_nothing_is_due_then_only_asks() -> None:
    machine = saying((PENDING, Answer(stdout=b"@@ all\n0 upgraded\n")))
    done = run(ActionName.UPDATE_OS, None, machine)
    assert len(machine.scripts) == 1
    assert json.loads(done.outputs[0]["updates"]) == {"held": [], "upgrades": []}


def test_update_when_another_version_got_in_then_fails_and_names_it() -> None:
    machine = saying((PENDING, Answer(stdout=INST)), (APPLIED, applied("3")))
    done = run(ActionName.UPDATE_OS, None, machine)
    assert done.result.exit_status == 1
    assert done.result.last_lines == "bash is not at 2, as was planned."


FAILED: Sequence[Callable[[Answer], FakeMachine]] = (
    lambda broken: saying((PENDING, broken)),
    lambda broken: saying((PENDING, Answer(stdout=INST)), (" install ", broken)),
)


@pytest.mark.parametrize("machine_with", FAILED, ids=["asking", "applying"])
def test_update_when_a_script_fails_then_its_end_is_the_step_s(
    machine_with: Callable[[Answer], FakeMachine],
) -> None:
    machine = machine_with(Answer(exit_status=100, stderr=b"E: no\n"))
    done = run(ActionName.UPDATE_OS, None, machine)
    assert (done.result.exit_status, done.result.last_lines) == (100, "E: no")


def test_pending_upgrades_script_when_the_inputs_are_none_then_says_so_and_fails() -> None:
    script = pending_upgrades_script({"include": ["a b"]})
    assert (
        script.text
        == "echo ''\"'\"'a b'\"'\"' in include is not the name of a package.' >&2\nexit 1\n"
    )
