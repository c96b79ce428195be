"""A libvirt daemon of a test's own, which changes nothing of the machine's."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.roots import wait_until

NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningLibvirt:
    """A daemon at work. `folder` is where its pools may lie."""

    uri: str
    folder: Path

    def virsh(self, *call: str) -> str:
        """Do something there, and give what is said."""
        argv = ["virsh", "--quiet", "--connect", self.uri, *call]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=50)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def made_pool(self, name: str) -> Path:
        """Make a pool of files that is active, and give its folder."""
        pool = self.folder / name
        pool.mkdir()
        if os.getuid() == 0:
            os.chown(pool, NOBODY, NOBODY)
        self.virsh("pool-define-as", name, "dir", "--target", str(pool))
        self.virsh("pool-start", name)
        return pool


def is_installed() -> bool:
    """Whether the daemon and what speaks with it are on this machine."""
    return shutil.which("libvirtd") is not None and shutil.which("virsh") is not None


@contextmanager
def running_libvirt() -> Iterator[RunningLibvirt]:
    """Give a daemon that answers: one of a session, by an account that is not root.

    Only such a one keeps to folders of its own. Its socket needs a short path.
    """
    with tempfile.TemporaryDirectory(prefix="lv") as made:
        folder = Path(made)
        folder.chmod(0o755)
        places = {name: folder / name for name in ("home", "run", "pools")}
        for place in places.values():
            place.mkdir()
            if os.getuid() == 0:
                os.chown(place, NOBODY, NOBODY)
        (folder / "conf").write_text('log_outputs = "3:stderr"\n')
        socket = places["run"] / "libvirt/libvirt-sock"
        with _daemon(folder, {"HOME": str(places["home"]), "XDG_RUNTIME_DIR": str(places["run"])}):
            wait_until(socket.is_socket, "a libvirt daemon", 20.0)
            uri = f"qemu+unix:///session?socket={socket}"
            yield RunningLibvirt(uri=uri, folder=places["pools"])


@contextmanager
def _daemon(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    argv = ["setpriv", "--pdeathsig", "TERM"]
    if os.getuid() == 0:
        argv += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    argv += ["libvirtd", "--config", str(folder / "conf")]
    variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=variables, cwd="/")
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
