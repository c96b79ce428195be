"""The agent is installed, starts with the machine, and knows nothing of any machine yet."""

from testinfra.host import Host


def test_agent_is_installed(host: Host) -> None:
    assert host.package("amazon-ssm-agent").is_installed


def test_agent_starts_with_the_machine(host: Host) -> None:
    assert host.check_output("systemctl is-enabled amazon-ssm-agent.service") == "enabled"


def test_what_was_downloaded_is_gone(host: Host) -> None:
    assert not host.file("/tmp/amazon-ssm-agent.deb").exists
