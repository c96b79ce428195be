"""A web server that serves its page; the parent's own tests ran when the parent was built."""

import pytest
from testinfra.host import Host

TITLE = "Served by imagebuilder"


def test_nginx_is_installed_and_enabled(host: Host) -> None:
    assert host.package("nginx").is_installed
    assert host.file("/etc/systemd/system/multi-user.target.wants/nginx.service").is_symlink


def test_page_has_the_title_that_the_recipe_gave(host: Host) -> None:
    page = host.file("/srv/www/index.html")
    assert page.mode == 0o644
    assert f"<title>{TITLE}</title>" in page.content_string


def test_default_site_is_gone(host: Host) -> None:
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert host.check_output("readlink -f /etc/nginx/sites-enabled/site") == (
        "/etc/nginx/sites-available/site"
    )


def test_nothing_of_one_machine_came_back(host: Host) -> None:
    assert host.file("/etc/machine-id").size == 0
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""
    assert host.check_output("find /var/log -type f") == ""


def page_served(host: Host) -> str:
    """Ask for the page with what every Debian system has: bash."""
    request = (
        "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 10 cat <&3"
    )
    return host.check_output("bash -c %s", request)


@pytest.mark.booted
@pytest.mark.machine
def test_nginx_serves_its_page(host: Host) -> None:
    assert host.service("nginx").is_running
    assert host.socket("tcp://0.0.0.0:80").is_listening
    answer = page_served(host)
    assert answer.startswith("HTTP/1.1 200 OK")
    assert f"<h1>{TITLE}</h1>" in answer


@pytest.mark.booted
@pytest.mark.machine
def test_server_does_not_tell_its_version(host: Host) -> None:
    headers = page_served(host).partition("\r\n\r\n")[0]
    assert "Server: nginx\r\n" in headers + "\r\n"


@pytest.mark.booted
@pytest.mark.machine
def test_workers_are_not_root(host: Host) -> None:
    main = host.check_output("cat /run/nginx.pid")
    workers = host.check_output("cat /proc/%s/task/%s/children", main, main).split()
    owners = {host.check_output("stat --format=%%U /proc/%s", worker) for worker in workers}
    assert owners == {"www-data"}


@pytest.mark.machine
def test_no_unit_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""
