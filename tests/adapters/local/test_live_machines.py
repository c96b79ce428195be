"""Logging in to a machine that runs, over a real SSH server on the loopback."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.local.live_machines import SshLiveMachines
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.adapters.system.process import SystemCommandRunner
from imagebuilder.ports.live import HostUnreachable, Login, LoginRefused
from imagebuilder.ports.machine import MachineLost, Script
from tests.roots import traces, wait_until
from tests.sshd import Server, ssh_server

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def login(server: Server) -> Login:
    return Login(
        address="127.0.0.1", port=server.port, key=server.key, known_hosts=server.known_hosts
    )


@pytest.fixture
def work() -> Iterator[Path]:
    """Give a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def live(work: Path) -> SshLiveMachines:
    clock = SystemClock()
    return SshLiveMachines(SystemCommandRunner(clock), clock, work)


def test_script_then_its_outputs_and_status_come_back(live: SshLiveMachines, login: Login) -> None:
    lines: list[str] = []
    with live.connected(login) as machine:
        script = Script(
            text='cat; echo "$WORD" >&2; exit 7\n',
            stdin=b"given\n",
            environment={"WORD": "two 'words'"},
        )
        result = machine.run(script, lines.append)

    assert (result.exit_status, result.stdout, result.stderr) == (7, b"given\n", b"two 'words'\n")
    assert sorted(lines) == ["given", "two 'words'"]


def test_script_then_nothing_of_it_stands_in_an_argument(
    live: SshLiveMachines, login: Login, tmp_path: Path
) -> None:
    with live.connected(login) as machine:
        text = f"tr '\\0' ' ' < /proc/$PPID/cmdline > {tmp_path}/seen; : secret-word\n"
        machine.run(Script(text=text, environment={"WORD": "secret-word"}))

    assert "secret-word" not in (tmp_path / "seen").read_text()


def test_script_when_its_time_is_up_then_it_and_its_children_end(
    live: SshLiveMachines, login: Login
) -> None:
    with live.connected(login) as machine:
        result = machine.run(Script(text="sleep 4711 & wait\n", timeout_seconds=0.5))

    assert result.has_timed_out
    wait_until(lambda: traces("sleep 4711") == [], "the end of what it started")


def test_connected_when_it_ends_then_nothing_is_left(
    live: SshLiveMachines, login: Login, work: Path
) -> None:
    with live.connected(login):
        assert list(work.iterdir())

    assert list(work.iterdir()) == []
    wait_until(lambda: traces(str(work)) == [], "a clean machine")


def test_connected_when_the_host_is_unknown_then_it_is_refused(
    live: SshLiveMachines, login: Login, tmp_path: Path
) -> None:
    with (
        pytest.raises(LoginRefused) as refused,
        live.connected(replace(login, known_hosts=tmp_path / "none")),
    ):
        pass

    assert "--accept-new" in refused.value.hint
    assert "ost key" in refused.value.context


def test_connected_when_new_hosts_are_accepted_then_the_key_is_kept(
    live: SshLiveMachines, login: Login, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    with live.connected(replace(login, known_hosts=known, accepts_new=True)) as machine:
        assert machine.run(Script(text="true\n")).exit_status == 0

    assert "ssh-ed25519" in known.read_text()


def test_connected_when_the_host_has_another_key_then_it_is_refused_whatever_is_accepted(
    live: SshLiveMachines, login: Login, server: Server, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    other = (server.folder / "stranger.pub").read_text()
    known.write_text(f"[127.0.0.1]:{server.port} {other}")

    with (
        pytest.raises(LoginRefused) as refused,
        live.connected(replace(login, known_hosts=known, accepts_new=True)),
    ):
        pass

    assert "IDENTIFICATION HAS CHANGED" in refused.value.context


def test_connected_when_the_key_is_not_let_in_then_says_so_and_shows_no_key(
    live: SshLiveMachines, login: Login, server: Server
) -> None:
    stranger = server.folder / "stranger"
    with pytest.raises(LoginRefused) as refused, live.connected(replace(login, key=stranger)):
        pass

    assert "Permission denied" in refused.value.context
    assert "authorized_keys" in refused.value.hint
    assert stranger.read_text().splitlines()[1] not in str(vars(refused.value))


def test_connected_when_nobody_listens_then_the_host_is_unreachable(
    live: SshLiveMachines, login: Login
) -> None:
    with (
        pytest.raises(HostUnreachable, match="cannot be reached"),
        live.connected(replace(login, port=1)),
    ):
        pass


def test_script_when_the_connection_goes_then_the_machine_is_lost(
    live: SshLiveMachines, login: Login
) -> None:
    with live.connected(login) as machine:
        # Above a script's shell are timeout, the receiving shell and the connection's server.
        up = "up() { sed 's/.*) //' /proc/$1/stat | cut -d' ' -f2; }\n"
        script = Script(text=f"{up}kill -9 $(up $(up $PPID))\nsleep 60\n")
        with pytest.raises(MachineLost, match="machine root@"):
            machine.run(script)
