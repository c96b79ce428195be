"""A registry of a test's own: Debian's docker-registry, on loopback, in a folder."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.listeners import free_port
from tests.roots import wait_until

USER = "eva"
PASSWORD = "secret"
_LINE = "eva:$2b$04$B98cC.f1hnzG/W7PZrq5/O3Z0TthwfzUIZJoGydclUW1FnvdYXq3W"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRegistry:
    """A registry at work. `host` is its name and port."""

    host: str

    def head(self, path: str) -> int:
        """Give how it answers when somebody who is let in asks whether something is there."""
        headers = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
        return urllib3.request("HEAD", f"http://{self.host}{path}", headers=headers).status


def is_installed() -> bool:
    """Whether there is a registry on this machine."""
    return shutil.which("docker-registry") is not None


@contextmanager
def running_registry(folder: Path, *, deletes: bool = True) -> Iterator[RunningRegistry]:
    """Give a registry that lets one user in, and answers."""
    host = f"127.0.0.1:{free_port()}"
    folder.mkdir()
    (folder / "htpasswd").write_text(f"{_LINE}\n")
    (folder / "config.yml").write_text(
        "version: 0.1\n"
        "log: {level: warn, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/blobs'}},"
        f" delete: {{enabled: {str(deletes).lower()}}}}}\n"
        f"http: {{addr: '{host}', secret: a}}\n"
        f"auth: {{htpasswd: {{realm: r, path: '{folder}/htpasswd'}}}}\n"
    )
    argv = ["docker-registry", "serve", str(folder / "config.yml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={})
    try:
        wait_until(lambda: _answers(host), "a registry that answers", 20.0)
        yield RunningRegistry(host=host)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(host: str) -> bool:
    try:
        return urllib3.request("GET", f"http://{host}/v2/", retries=False).status == 401
    except urllib3.exceptions.HTTPError:
        return False
