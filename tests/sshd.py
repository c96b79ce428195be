"""An SSH server of a test's own: on the loopback, in a folder, with throw-away keys."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.roots import wait_until

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: where it listens, and the files that are needed to be let in."""

    port: int
    folder: Path

    @property
    def key(self) -> Path:
        """The key that is let in."""
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        """A file that knows the server."""
        return self.folder / "known_hosts"


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Give a server that lets in whoever runs the tests."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    assert program is not None, "openssh-server is not on this machine"
    Path("/run/sshd").mkdir(exist_ok=True)  # it keeps nothing there, but will not start without
    folder.mkdir()
    for name in ("host", "user", "stranger"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name]
        subprocess.run([*keygen, "-f", str(folder / name)], check=True)
    server = Server(_free_port(), folder)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    host = (folder / "host.pub").read_text()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {host}")
    config = folder / "config"
    config.write_text(_CONFIG.format(port=server.port, folder=folder))
    argv = [program, "-D", "-e", "-f", str(config)]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            wait_until(lambda: _answers(server.port), "the SSH server", seconds=10)
            yield server
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
