"""An image of ours, made into another by Packer, in a virtual machine: whole, as people type it."""

import shutil
from typing import Any

import pytest

from tests.examples import House

pytestmark = [
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.qemu,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not shutil.which("packer"), reason="packer is missing"),
]

RECIPE = """\
kind: Recipe
name: debian-machine
version: 1.0.x
builder: packer
parent: image:debian-base@1.x
packer: {type: qemu}
components: [motd-build-info@1.x]
tests: [tests/machine]
"""
TEST = """\
import pytest
from testinfra.host import Host


def test_the_component_was_here(host: Host) -> None:
    assert host.file("/etc/build-info").exists


@pytest.mark.machine
def test_who_logs_in_is_let_in_by_no_key_of_the_build(host: Host) -> None:
    # On the machine of the build, and on a fresh one, there is the key of just that.
    assert len(host.file("/root/.ssh/authorized_keys").content_string.splitlines()) == 1
    assert host.service("ssh").is_running
"""


@pytest.fixture(scope="module")
def built(house: House) -> Any:
    (house.folder / "recipes/debian-machine.yaml").write_text(RECIPE)
    tests = house.folder / "recipes/tests/machine"
    tests.mkdir()
    (tests / "test_machine.py").write_text(TEST)
    return house.json("build", "recipes/debian-machine.yaml")


def test_build_by_packer_then_the_version_has_its_parent_packages_and_a_disk_that_booted(
    house: House, built: Any
) -> None:
    version = house.json("image", "show", "debian-machine")
    base = house.json("image", "show", "debian-base")

    assert not built["is_unchanged"]
    assert [artifact["format"] for artifact in version["artifacts"]] == ["qcow2"]
    assert version["layers"] == []
    assert version["parent"]["id"] == base["id"]
    assert version["artifacts"][0]["virtual_size_bytes"] == 2 * 2**30
    packages = [house.json("image", "packages", name) for name in ("debian-machine", "debian-base")]
    assert packages[0] == packages[1]


def test_build_by_packer_when_nothing_changed_then_no_machine_is_started(
    house: House, built: Any
) -> None:
    assert house.json("build", "recipes/debian-machine.yaml")["is_unchanged"]
    assert list((house.home / "packer").iterdir()) == []
