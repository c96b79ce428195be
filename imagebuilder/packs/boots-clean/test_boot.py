"""The system comes up whole: every unit that should run does, and nothing is said to be lost.

Variables: `allowed: [UNIT]` are units that may fail.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from testinfra.host import Host

pytestmark = [pytest.mark.booted, pytest.mark.machine]


def test_start_up_comes_to_its_end(host: Host) -> None:
    """The service manager says so itself."""
    state = host.run("systemctl is-system-running --wait").stdout.strip()
    assert state in ("running", "degraded")


def test_no_unit_failed(host: Host, variables: Mapping[str, Any]) -> None:
    """No unit is in the state failed."""
    listed = host.check_output("systemctl list-units --failed --no-legend --plain --full")
    failed = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert [unit for unit in failed if unit not in variables.get("allowed", [])] == []


def test_no_job_waits(host: Host) -> None:
    """Nothing still hangs that was to be started."""
    assert host.check_output("systemctl list-jobs --no-legend --plain") == ""


def test_nothing_critical_was_logged(host: Host) -> None:
    """The journal of this boot has no message that is critical, or worse."""
    assert host.check_output("journalctl --boot --priority=crit --quiet --no-pager") == ""
