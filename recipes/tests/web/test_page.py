"""The page has what the recipe asked for; nginx and the parent have tests of their own."""

import pytest
from testinfra.host import Host

TITLE = "Served by imagebuilder"


def test_page_has_the_title_that_the_recipe_gave(host: Host) -> None:
    page = host.file("/srv/www/index.html").content_string

    assert f"<title>{TITLE}</title>" in page
    assert f"<h1>{TITLE}</h1>" in page


def test_nothing_of_one_machine_came_back(host: Host) -> None:
    assert host.file("/etc/machine-id").size == 0
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""
    assert host.check_output("find /var/log -type f") == ""


@pytest.mark.machine
def test_no_unit_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""
