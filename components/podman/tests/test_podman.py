"""Podman is whole, and really runs a container."""

import pytest
from testinfra.host import Host

IMAGE = "localhost/smallest:1"
MAKE_IMAGE = (
    "files='/usr/bin/cat /usr/bin/id'; "
    "libraries=$(ldd $files | grep -oE '/[^ )]+\\.so[^ )]*' | sort -u); "
    "tar --create --dereference --hard-dereference --directory / --file - "
    "$(printf '%s\\n' $files $libraries | sort -u | sed 's,^/,,') "
    f"| podman import --quiet - {IMAGE}"
)


@pytest.mark.parametrize("name", ["podman", "crun", "netavark", "uidmap"])
def test_package_is_installed(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_images_without_a_registry_come_from_nowhere_unnamed(host: Host) -> None:
    settings = host.file("/etc/containers/registries.conf.d/10-image.conf")

    assert "unqualified-search-registries = [" in settings.content_string
    assert 'short-name-mode = "enforcing"' in settings.content_string


@pytest.mark.parametrize("program", ["/usr/bin/newuidmap", "/usr/bin/newgidmap"])
def test_user_may_map_ids(host: Host, program: str) -> None:
    is_capable = "cap_set" in host.run("getcap %s", program).stdout
    is_set_id = host.file(program).mode & 0o4000

    assert is_capable or is_set_id


@pytest.mark.machine
def test_container_runs(host: Host) -> None:
    host.check_output(MAKE_IMAGE)

    said = host.check_output(f"podman run --rm --network none {IMAGE} /usr/bin/cat /proc/1/comm")

    assert said == "cat"


@pytest.mark.machine
def test_storage_is_an_overlay_and_networks_are_those_of_netavark(host: Host) -> None:
    said = host.check_output(
        "podman info --format '{{.Store.GraphDriverName}} {{.Host.NetworkBackend}}'"
    )

    assert said == "overlay netavark"
