"""The same playbooks on a machine that is reached by SSH: here, this one."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from imagebuilder.adapters.confined.ansible.playbooks import RunAnsible
from imagebuilder.adapters.local.live_machines import SshLiveMachines
from imagebuilder.adapters.local.workplace import working_folder
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import PhaseName
from imagebuilder.ports.actions import ActionCall
from imagebuilder.ports.live import Login
from imagebuilder.ports.machine import Machine
from tests.sshd import ssh_server
from tests.workshops import RUNNER

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    # The path of a socket has to be short.
    with ssh_server(tmp_path / "sshd") as server, tempfile.TemporaryDirectory() as work:
        login = Login(
            address="127.0.0.1", port=server.port, key=server.key, known_hosts=server.known_hosts
        )
        live = SshLiveMachines(RUNNER, SystemClock(), Path(work))
        with live.connected(login) as machine:
            yield machine


def test_run_over_ssh_then_files_go_there_and_come_back_and_no_trace_stays(
    tmp_path: Path, machine: Machine
) -> None:
    (tmp_path / "component").mkdir()
    (tmp_path / "component/blob").write_bytes(bytes(range(256)) * 3000)
    (tmp_path / "component/site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        f"    - copy: {{src: blob, dest: {tmp_path}/copied}}\n"
        f"    - fetch: {{src: {tmp_path}/copied, dest: /tmp/fetched, flat: true}}\n"
        "    - assert:\n"
        "        that: lookup('pipe', 'cmp /tmp/fetched /component/blob') == ''\n"
    )
    traces = {*Path("/tmp").glob(".ansible*"), *Path("/root").glob(".ansible*")}

    done = RunAnsible(RUNNER, partial(working_folder, tmp_path / "work"), SystemClock()).run(
        ActionCall(
            action=ActionName.RUN_ANSIBLE,
            phase=PhaseName.BUILD,
            inputs={"playbook": "site.yml"},
            machine=machine,
            timeout_seconds=120.0,
            folder=tmp_path / "component",
        )
    )

    assert done.result.exit_status == 0, done.result.last_lines
    assert (tmp_path / "copied").read_bytes() == bytes(range(256)) * 3000
    assert {*Path("/tmp").glob(".ansible*"), *Path("/root").glob(".ansible*")} <= traces
