"""The library where no recipe of it leads: downloads, another suite, a machine told by a seed."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.examples import House, plain_qemu
from tests.integration.downloaded import DOWNLOADED

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(1800)]

downloaded = pytest.mark.parametrize("name", sorted(DOWNLOADED))


@pytest.fixture(name="base", scope="module")
def _base(house: House) -> House:
    """A house with the image that others are built on, which may reach servers on this machine."""
    house.json("build", "recipes/debian-base.yaml")
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
            *("--on", "image:debian-base", "--quiet"),
            *("--set", f"version={version}", "--set", f"download_folder={address}"),
            *("--set", f"sha256={sha256 or hashlib.sha256(file.read_bytes()).hexdigest()}"),
        )


@downloaded
def test_component_when_its_file_is_what_was_named_then_it_is_installed(
    base: House, tmp_path: Path, name: str
) -> None:
    done = _tried(base, name, tmp_path)

    assert done.returncode == 0, done.stderr[-3000:]


@downloaded
def test_component_when_its_file_is_another_then_nothing_of_it_is_run(
    base: House, tmp_path: Path, name: str
) -> None:
    done = _tried(base, name, tmp_path, sha256="0" * 64)

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


@pytest.mark.qemu
def test_machine_when_it_is_given_a_seed_then_it_is_what_the_seed_says(
    house: House, tmp_path: Path
) -> None:
    version = house.json("build", "recipes/debian-cloud.yaml")["version"]
    disk, key = tmp_path / "cloud.qcow2", tmp_path / "key"
    exported = house.run("image", "export", version, "--output", str(disk))
    assert exported.returncode == 0, exported.stderr
    _do("qemu-img", "resize", disk, "5G")
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    seed = _seed(tmp_path, key.with_suffix(".pub").read_text().strip())
    drive = ("-drive", f"file={seed},if=virtio,format=raw,readonly=on")

    with plain_qemu(disk, 22, drive) as port:
        said = _said(
            key,
            port,
            "cloud-init status --wait >/dev/null; hostname; sudo -n cat /root/greeting;"
            " df --output=size --block-size=G / | tail -n 1",
            until=time.monotonic() + 400,
        )

    assert said.split() == ["seeded", "hello", "5G"]


def _seed(folder: Path, public_key: str) -> Path:
    """Make a small disk with what a machine shall be. Source: cloud-init, NoCloud."""
    (folder / "user-data").write_text(
        f"#cloud-config\nssh_authorized_keys: ['{public_key}']\n"
        "write_files: [{path: /root/greeting, content: hello}]\n"
    )
    (folder / "meta-data").write_text("instance-id: first\nlocal-hostname: seeded\n")
    seed = folder / "seed.img"
    with seed.open("wb") as opened:
        opened.truncate(1024 * 1024)
    _do("mkfs.vfat", "-n", "CIDATA", seed)
    _do("mcopy", "-i", seed, folder / "user-data", folder / "meta-data", "::")
    return seed


def _do(*words: str | Path) -> None:
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run([str(word) for word in words], check=True, capture_output=True, env=path)


def _said(key: Path, port: int, command: str, until: float) -> str:
    """Run a command as the image's default user as soon as a login is possible."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    argv = ["ssh", "-i", str(key), "-p", str(port), "-o", "ConnectTimeout=10"]
    argv += [word for option in options for word in ("-o", option)]
    while True:
        done = subprocess.run(
            [*argv, "debian@127.0.0.1", command], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < until, done.stderr
