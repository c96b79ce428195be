"""The exporter serves metrics of the machine, as nobody in particular."""

import pytest
from testinfra.host import Host

SERVICE = "prometheus-node-exporter"
ASK = "exec 3<>/dev/tcp/$0/$1; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; timeout 20 cat <&3"


def test_package_is_installed(host: Host) -> None:
    assert host.package(SERVICE).is_installed


def test_service_starts_with_the_machine(host: Host) -> None:
    assert host.file(f"/etc/systemd/system/multi-user.target.wants/{SERVICE}.service").is_symlink


@pytest.mark.machine
def test_metrics_of_this_machine_are_served(host: Host) -> None:
    assert host.service(SERVICE).is_running

    settings = host.file("/etc/default/prometheus-node-exporter").content_string
    address, _, port = settings.split("listen-address=")[1].split()[0].strip('"').rpartition(":")
    answer = host.check_output("bash -c %s %s %s", ASK, address or "127.0.0.1", port)

    assert answer.startswith("HTTP/1.0 200 OK")
    assert f'release="{host.check_output("uname -r")}"' in answer


@pytest.mark.machine
def test_exporter_is_not_root_and_has_no_capabilities(host: Host) -> None:
    number = host.check_output(f"systemctl show --property=MainPID --value {SERVICE}")
    status = host.check_output("cat /proc/%s/status", number)

    rows = dict(row.split(":\t", 1) for row in status.splitlines() if ":\t" in row)
    assert rows["Uid"].split()[0] != "0"
    assert int(rows["CapBnd"], 16) == 0
