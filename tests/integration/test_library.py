"""The library where no recipe of it leads: downloads, another suite."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.examples import House
from tests.integration.downloaded import DOWNLOADED

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(1800)]

downloaded = pytest.mark.parametrize("name", sorted(DOWNLOADED))


@pytest.fixture(name="open_house")
def _open_house(house: House) -> House:
    """A house that may reach servers on this machine."""
    return replace(house, environment={"IMAGEBUILDER_DOWNLOAD_HOSTS": "127.0.0.1"})


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine's loopback and give its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _tried(house: House, name: str, folder: Path, sha256: str | None = None) -> Any:
    """Test a component that downloads, with the stand-in from a folder."""
    version, make = DOWNLOADED[name]
    file = make(folder)
    with _served(folder) as address:
        return house.run(
            *("component", "test", f"components/{name}/component.yaml"),
            *("--on", "recipes/debian-base.yaml", "--quiet"),
            *("--set", f"version={version}", "--set", f"download_folder={address}"),
            *("--set", f"sha256={sha256 or hashlib.sha256(file.read_bytes()).hexdigest()}"),
        )


@downloaded
def test_component_when_its_file_is_what_was_named_then_it_is_installed(
    open_house: House, tmp_path: Path, name: str
) -> None:
    done = _tried(open_house, name, tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]


@downloaded
def test_component_when_its_file_is_another_then_nothing_of_it_is_run(
    open_house: House, tmp_path: Path, name: str
) -> None:
    done = _tried(open_house, name, tmp_path, sha256="0" * 64)

    assert done.returncode == 5
    assert "0" * 64 in done.stderr
    assert "Step Download " in done.stderr


def test_components_when_put_on_trixie_then_each_validates(house: House) -> None:
    used = (
        *("base-system", "ssh-server", "kernel-cloud", "cloud-init", "users-and-sudo"),
        *("ssh-hardening", "time-sync", "unattended-upgrades", "podman", "nginx"),
        *("node-exporter", "motd-build-info", "sanitize"),
    )
    (house.folder / "recipes/trixie-all.yaml").write_text(
        "kind: Recipe\nname: trixie-all\nversion: 1.0.x\nparent: debian:trixie\n"
        f"components: [{', '.join(used)}]\nartifacts: [tar]\n"
    )

    built = house.run("build", "--until", "artifact", "recipes/trixie-all.yaml", "--quiet")

    assert built.returncode == 0, built.stderr[-3000:]
