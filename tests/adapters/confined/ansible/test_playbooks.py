"""Playbooks as they really run: confined, on a sandboxed root, with no trace of Ansible left."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.ansible.playbooks import PlaybookLimits, RunAnsible
from imagebuilder.adapters.confined.relay import RelayLimits
from imagebuilder.adapters.local.roots import LocalRoot
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.component import ActionName, Network, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.layer import Layer
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Machine, MachineLost, Script
from tests.fakes.machine import Answer, FakeMachine
from tests.roots import python_archive
from tests.workshops import RUNNER, Shop, ran, said, shop, tiny_parent

SITE: Canonical = {"playbook": "play/site.yml"}
pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("shop"), []) as opened:
        yield opened


@pytest.fixture(scope="module")
def python(place: Shop) -> Layer:
    with place.roots.parent(tiny_parent(python_archive()), None) as root:
        return place.sealed(root, "python")


@pytest.fixture
def root(place: Shop, python: Layer) -> Iterator[LocalRoot]:
    with place.roots.scratch([python]) as root:
        yield root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "component").mkdir()
    return tmp_path / "component"


def play(folder: Path, tasks: str, head: str = "hosts: all\n  gather_facts: false") -> None:
    """Write the playbook of a component."""
    (folder / "play").mkdir(exist_ok=True)
    lines = "".join(f"    {line}\n" for line in tasks.strip().splitlines())
    (folder / "play/site.yml").write_text(f"- {head}\n  tasks:\n{lines}")


def tried(
    folder: Path,
    machine: Machine,
    inputs: Canonical = SITE,
    *,
    lines: list[str] | None = None,
    seconds: float = 120.0,
) -> ActionResult:
    action = RunAnsible(
        RUNNER, partial(working_folder, folder.parent / "work"), SystemClock(), PlaybookLimits()
    )
    return action.run(
        ActionCall(
            action=ActionName.RUN_ANSIBLE,
            phase=PhaseName.BUILD,
            inputs=inputs,
            machine=machine,
            timeout_seconds=seconds,
            on_line=None if lines is None else lines.append,
            folder=folder,
        )
    )


def failed(
    folder: Path, root: LocalRoot, inputs: Canonical = SITE, *, seconds: float = 120.0
) -> tuple[int, str]:
    """Give how a run ended that has to fail, and what it says last."""
    result = tried(folder, root.machine(Network.NONE), inputs, seconds=seconds).result
    assert result.exit_status != 0, result.stdout.decode()
    return result.exit_status, result.last_lines


def everything_in(root: LocalRoot) -> set[str]:
    """Give every path of the image, and of the folders that live as long as a component's work."""
    paths = said(root, "find / -path /proc -prune -o -path /dev -prune -o -print").splitlines()
    return {path for path in paths if not path.startswith("/run/imagebuilder")}


def test_run_of_a_role_then_its_tasks_change_the_image_and_are_told(
    folder: Path, root: LocalRoot
) -> None:
    role = folder / "roles/greeting"
    for name, text in {
        "tasks/main.yml": "- name: Greet\n  template: {src: motd, dest: /etc/motd}\n"
        "  notify: Told\n- name: Never\n  command: 'false'\n  when: count > 3\n",
        "templates/motd": "hello {{ who }}, {{ count + 1 }} times\n",
        "handlers/main.yml": "- name: Told\n  file: {path: /etc/told, state: touch}\n",
    }.items():
        (role / name).parent.mkdir(parents=True)
        (role / name).write_text(text)
    lines: list[str] = []

    done = tried(
        folder,
        root.machine(Network.NONE),
        {"role": "roles/greeting", "variables": {"who": "world", "count": 3}},
        lines=lines,
    )

    assert done.result.exit_status == 0, done.result.last_lines
    assert said(root, "cat /etc/motd; ls /etc/told") == "hello world, 4 times\n/etc/told"
    assert done.outputs == ({"ok": "3", "changed": "2", "skipped": "1"},)
    assert lines == [
        "play: greeting",
        "Gathering Facts: ok",
        "Greet: changed",
        "Never: skipped",
        "Told: changed",
    ]


def test_run_then_no_trace_of_ansible_is_left_anywhere(folder: Path, root: LocalRoot) -> None:
    play(
        folder,
        "- copy: {content: x, dest: /etc/x}\n- command: 'true'",
        "hosts: all\n  gather_facts: true",
    )
    before = everything_in(root)
    assert tried(folder, root.machine(Network.NONE)).result.exit_status == 0

    assert everything_in(root) - before == {"/etc/x"}
    assert list((folder.parent / "work").iterdir()) == []


def test_run_when_ansible_was_at_home_in_the_image_then_its_files_stay(
    folder: Path, root: LocalRoot
) -> None:
    play(folder, "- command: 'true'")
    said(root, "mkdir /root/.ansible && touch /root/.ansible/kept")

    assert tried(folder, root.machine(Network.NONE)).result.exit_status == 0
    assert said(root, "ls /root/.ansible") == "kept"


def test_run_with_tags_then_only_those_tasks_run(folder: Path, root: LocalRoot) -> None:
    play(folder, "- file: {path: /a, state: touch}\n  tags: [a]\n- file: {path: /b, state: touch}")

    done = tried(folder, root.machine(Network.NONE), {"playbook": "play/site.yml", "tags": ["a"]})

    assert done.result.exit_status == 0
    assert ran(root, "test -e /a && test ! -e /b").exit_status == 0


def test_run_twice_when_nothing_changes_again_then_goes_well(folder: Path, root: LocalRoot) -> None:
    play(folder, "- name: Settle\n  copy: {content: x, dest: /etc/x}")

    done = tried(
        folder, root.machine(Network.NONE), {"playbook": "play/site.yml", "checkIdempotence": True}
    )

    assert done.result.exit_status == 0, done.result.last_lines
    assert done.outputs[0]["changed"] == "1"


def test_run_twice_when_something_changes_again_then_fails_and_names_it(
    folder: Path, root: LocalRoot
) -> None:
    play(
        folder, "- name: Settle\n  copy: {content: x, dest: /etc/x}\n- name: Touch\n  command: date"
    )
    said(root, "printf '#!/bin/sh\\n' > /usr/bin/date; chmod +x /usr/bin/date")

    _, reason = failed(folder, root, {"playbook": "play/site.yml", "checkIdempotence": True})

    assert reason.splitlines()[1:] == ["  Touch"]


def test_run_when_it_fails_half_way_then_says_which_task_and_why(
    folder: Path, root: LocalRoot
) -> None:
    play(
        folder,
        "- file: {path: /first, state: touch}\n- name: Break\n"
        "  shell: echo out; echo err >&2; exit 3\n- file: {path: /third, state: touch}",
    )

    status, reason = failed(folder, root)

    assert status == 2
    lines = reason.splitlines()
    assert lines[0] == "Break: failed"
    assert {"  out", "  err"} <= set(lines)
    assert ran(root, "test -e /first && test ! -e /third").exit_status == 0


def test_run_when_a_failure_is_ignored_then_goes_well(folder: Path, root: LocalRoot) -> None:
    play(folder, "- name: Break\n  command: 'false'\n  ignore_errors: true")
    lines: list[str] = []

    assert tried(folder, root.machine(Network.NONE), lines=lines).result.exit_status == 0
    assert "Break: failed, ignored" in lines


def test_run_when_an_item_of_a_loop_fails_then_names_it(folder: Path, root: LocalRoot) -> None:
    play(folder, "- name: Many\n  command: '{{ item }}'\n  loop: ['true', 'false']")

    _, reason = failed(folder, root)

    assert reason.splitlines()[0] == "Many: item false failed"


def test_run_when_a_task_logs_nothing_then_neither_do_we(folder: Path, root: LocalRoot) -> None:
    play(folder, "- name: Secret\n  shell: echo hunter2; exit 1\n  no_log: true")
    lines: list[str] = []

    result = tried(folder, root.machine(Network.NONE), lines=lines).result

    assert result.exit_status == 2
    assert "hunter2" not in "\n".join([*lines, result.last_lines, result.stdout.decode()])


def test_run_then_variables_stand_in_no_argv(folder: Path, root: LocalRoot) -> None:
    play(
        folder,
        "- assert:\n    that: \"'hun' ~ 'ter2' not in lookup('pipe', 'cat /proc/[0-9]*/cmdline')\"",
    )

    done = tried(
        folder,
        root.machine(Network.NONE),
        {"playbook": "play/site.yml", "variables": {"password": "hunter2"}},
    )

    assert done.result.exit_status == 0, done.result.last_lines


@pytest.mark.parametrize(
    "task",
    [
        "- copy: {content: x, dest: MARK}\n  delegate_to: localhost",
        "- local_action: command touch MARK",
        "- command: touch MARK\n  delegate_to: other\n  vars: {ansible_connection: local}",
        "- raw: touch MARK\n  delegate_to: x\n  vars: {ansible_connection: ansible.builtin.local}",
    ],
)
def test_run_when_a_task_is_for_the_building_machine_then_is_refused(
    folder: Path, root: LocalRoot, tmp_path: Path, task: str
) -> None:
    mark = tmp_path / "mark"
    play(folder, task.replace("MARK", str(mark)))

    _, reason = failed(folder, root)

    assert "localhost, the building machine" in reason
    assert not mark.exists()


def test_run_of_a_play_for_localhost_then_is_refused(folder: Path, root: LocalRoot) -> None:
    play(folder, "- command: 'true'", "hosts: localhost\n  connection: local")

    _, reason = failed(folder, root)

    assert "Write 'hosts: all'" in reason


def test_run_when_lookups_reach_for_the_machine_then_there_is_nothing(
    folder: Path, root: LocalRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "secret")
    attempts = (
        "touch /etc/reached-by-a-playbook",
        "touch /component/reached",
        f"ls {tmp_path}",
        "cat /etc/shadow",
        "env | grep SECRET_OF_THE_HOST",
        "grep -v lo: /proc/net/dev | grep :",
        f"kill -0 {os.getpid()}",
    )
    play(
        folder,
        "- name: Reach\n  debug: {msg: \"{{ lookup('pipe', item ~ ' || echo missed') }}\"}\n"
        f"  loop: {json.dumps(attempts)}\n  register: told\n"
        "- assert:\n    that: told.results | map(attribute='msg') | unique | list == ['missed']",
    )

    result = tried(folder, root.machine(Network.NONE)).result

    assert result.exit_status == 0, result.last_lines
    assert not Path("/etc/reached-by-a-playbook").exists()


def test_run_when_the_machine_has_settings_for_ansible_then_they_do_not_count(
    folder: Path, root: LocalRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.write_text("[defaults]\nforce_handlers = nonsense\nstrategy = none_such\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(settings))
    monkeypatch.setenv("ANSIBLE_STRATEGY", "none_such")
    play(folder, "- command: 'true'")
    (folder / "play/ansible.cfg").write_text("[defaults]\nstrategy = none_such\n")

    assert tried(folder, root.machine(Network.NONE)).result.exit_status == 0


def test_run_then_large_binary_files_go_and_come_whole(folder: Path, root: LocalRoot) -> None:
    play(
        folder,
        "- copy: {src: blob, dest: /root/blob}\n"
        "- fetch: {src: /root/blob, dest: /tmp/fetched, flat: true}\n"
        "- assert: {that: \"lookup('pipe', 'cmp /tmp/fetched /component/play/blob') == ''\"}",
    )
    (folder / "play/blob").write_bytes(bytes(range(256)) * 4096 + b"end")

    done = tried(folder, root.machine(Network.NONE))

    assert done.result.exit_status == 0, done.result.last_lines
    assert said(root, "stat -c %s /root/blob") == str(1024 * 1024 + 3)


def test_run_when_it_takes_too_long_then_is_ended(folder: Path, root: LocalRoot) -> None:
    play(folder, "- command: sleep 60")

    result = tried(folder, root.machine(Network.NONE), seconds=4.0).result

    assert result.has_timed_out
    assert "took longer than allowed" in result.last_lines
    assert result.seconds < 30


def test_run_when_it_cannot_be_parsed_then_says_where(folder: Path, root: LocalRoot) -> None:
    play(folder, "- command: [")

    status, reason = failed(folder, root)

    assert status != 0
    assert "/component/play/site.yml" in reason


def test_run_when_it_runs_too_many_commands_then_is_cut_off(folder: Path, root: LocalRoot) -> None:
    play(folder, "- command: 'true'\n- command: 'true'\n- command: 'true'")
    limits = PlaybookLimits(relay=RelayLimits(message_bytes=2**24, commands=2))
    action = RunAnsible(
        RUNNER, partial(working_folder, folder.parent / "work"), SystemClock(), limits
    )

    result = action.run(
        ActionCall(
            action=ActionName.RUN_ANSIBLE,
            phase=PhaseName.BUILD,
            inputs={"playbook": "play/site.yml"},
            machine=root.machine(Network.NONE),
            timeout_seconds=120.0,
            folder=folder,
        )
    ).result

    assert result.exit_status != 0
    assert "more than 2 commands" in result.last_lines


def test_run_when_there_is_no_python_then_names_the_package(place: Shop, folder: Path) -> None:
    play(folder, "- command: 'true'")
    with place.roots.scratch([place.base()]) as bare:
        _, reason = failed(folder, bare)

    assert "There is no Python in the image" in reason
    assert "package python3 in a step before" in reason


def test_run_when_nothing_can_be_written_there_then_says_so(folder: Path) -> None:
    play(folder, "- command: 'true'")
    full = FakeMachine(lambda _script: Answer(exit_status=1, stderr=b"mktemp: no space"))

    result = tried(folder, full).result

    assert result.exit_status == 1
    assert result.last_lines == "No folder for Ansible could be made below /tmp.\nmktemp: no space"


def test_run_when_python_lacks_its_library_then_says_so(folder: Path, root: LocalRoot) -> None:
    play(folder, "- command: 'true'")
    said(root, "rm $(/usr/bin/python3 -c 'import shutil; print(shutil.__file__)')")

    _, reason = failed(folder, root)

    assert "python3-minimal is not enough" in reason


@pytest.mark.parametrize("path", ["play/site.yml", "../component/play/site.yml", "out/site.yml"])
def test_run_when_the_playbook_is_not_beside_the_component_then_is_refused(
    folder: Path, root: LocalRoot, tmp_path: Path, path: str
) -> None:
    (tmp_path / "site.yml").write_text("- hosts: all\n")
    (folder / "out").symlink_to(tmp_path)

    _, reason = failed(folder, root, {"playbook": path})

    assert "is not beside the component" in reason


def test_run_when_the_machine_goes_away_then_that_is_the_error(folder: Path) -> None:
    play(folder, "- command: 'true'")

    def answer(_script: Script) -> Answer:
        machine.is_lost = True
        return Answer(stdout=b"folder /tmp/x\npython /usr/bin/python3\n")

    machine = FakeMachine(answer)
    with pytest.raises(MachineLost):
        tried(folder, machine)


def test_run_when_the_component_has_no_files_then_says_so(root: LocalRoot, tmp_path: Path) -> None:
    action = RunAnsible(RUNNER, partial(working_folder, tmp_path / "work"), SystemClock())

    result = action.run(
        ActionCall(
            action=ActionName.RUN_ANSIBLE,
            phase=PhaseName.BUILD,
            inputs={"role": "hardening"},
            machine=root.machine(Network.NONE),
            timeout_seconds=60.0,
        )
    ).result

    assert result.last_lines == "hardening is not beside the component."
