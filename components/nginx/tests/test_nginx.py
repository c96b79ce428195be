"""nginx starts with the machine and serves its one page."""

import pytest
from testinfra.host import Host

ASK = "exec 3<>/dev/tcp/127.0.0.1/$0; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 10 cat <&3"


def port(host: Host) -> str:
    """Give the port that the recipe chose."""
    return host.check_output(
        "sed -nE 's/^ *listen ([0-9]+) .*/\\1/p' /etc/nginx/sites-available/site"
    )


def test_nginx_is_installed_and_enabled(host: Host) -> None:
    assert host.package("nginx").is_installed
    assert host.file("/etc/systemd/system/multi-user.target.wants/nginx.service").is_symlink


def test_default_site_is_gone(host: Host) -> None:
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert host.check_output("readlink -f /etc/nginx/sites-enabled/site") == (
        "/etc/nginx/sites-available/site"
    )


def test_page_may_be_read_by_everybody(host: Host) -> None:
    assert host.file("/srv/www/index.html").mode == 0o644


@pytest.mark.booted
@pytest.mark.machine
def test_nginx_serves_its_page(host: Host) -> None:
    assert host.service("nginx").is_running
    assert host.socket(f"tcp://0.0.0.0:{port(host)}").is_listening

    head, _, page = host.check_output("bash -c %s %s", ASK, port(host)).partition("\r\n\r\n")

    assert head.startswith("HTTP/1.1 200 OK")
    # What is asked for by a shell comes back without its last line end.
    assert page == host.file("/srv/www/index.html").content_string.rstrip("\n")


@pytest.mark.booted
def test_server_does_not_tell_its_version(host: Host) -> None:
    headers = host.check_output("bash -c %s %s", ASK, port(host)).partition("\r\n\r\n")[0]

    assert "Server: nginx\r\n" in headers + "\r\n"


@pytest.mark.booted
@pytest.mark.machine
def test_workers_are_not_root(host: Host) -> None:
    main = host.check_output("cat /run/nginx.pid")
    workers = host.check_output("cat /proc/%s/task/%s/children", main, main).split()
    owners = {host.check_output("stat --format=%%U /proc/%s", worker) for worker in workers}

    assert owners == {"www-data"}
