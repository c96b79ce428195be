"""The greeting and the facts for programs say the same, and what is true."""

import hashlib

import pytest
from testinfra.host import Host


def facts(host: Host) -> dict[str, str]:
    rows = host.check_output("cat /etc/build-info").splitlines()
    return {key: value.strip('"') for key, value in (row.split("=", 1) for row in rows)}


def test_packages_that_are_counted_are_those_installed(host: Host) -> None:
    listed = host.check_output(
        "dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\\n'"
    )
    rows = sorted(listed.splitlines())

    assert facts(host)["BUILD_PACKAGES"] == str(len(rows))
    text = "".join(f"{row}\n" for row in rows)
    assert facts(host)["BUILD_PACKAGES_SHA256"] == hashlib.sha256(text.encode()).hexdigest()


def test_greeting_tells_the_day(host: Host) -> None:
    assert f"Built on {facts(host)['BUILD_DATE']} " in host.file("/etc/motd").content_string


@pytest.mark.booted
def test_everybody_may_read_the_facts(host: Host) -> None:
    said = host.check_output("runuser --user nobody -- cat /etc/build-info")

    assert "BUILD_DATE=" in said
