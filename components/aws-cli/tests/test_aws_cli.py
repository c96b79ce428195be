"""The command is there for everybody, and no key is."""

from testinfra.host import Host


def test_command_says_its_version(host: Host) -> None:
    assert host.check_output("aws --version").startswith("aws-cli/2.")


def test_no_credentials_are_in_the_image(host: Host) -> None:
    assert host.check_output("find /root /home -path '*/.aws/*' -type f") == ""
