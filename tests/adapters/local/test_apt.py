"""What apt is told, done by apt itself, on archives of the test's own."""

from pathlib import Path

import pytest

from imagebuilder.domain.component import ActionName, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.updates import PlannedUpdate
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.packages import (
    applied_of,
    applied_script,
    pending_of,
    pending_upgrades_script,
)
from tests.build import an_upgrade
from tests.package_archives import AptMachine, Deb

pytestmark = pytest.mark.root

CHANGELOG = """\
gamma (1:1.0-1+deb12u2) stable-security; urgency=high

  * CVE-2026-1234: and CVE-2025-99999 (Closes: #1)

 -- A <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000

gamma (1:1.0-1+deb12u1) stable-security; urgency=high

  * Fix CVE-2025-1111 again.

 -- A <a@example.org>  Thu, 01 Jan 2025 00:00:00 +0000

gamma (1:1.0-1) unstable; urgency=low

  * CVE-2020-1111 was mended long ago.
"""


@pytest.fixture
def machine(tmp_path: Path) -> AptMachine:
    """Give a machine with six packages of an old release, one of them marked hold."""
    made = AptMachine(folder=tmp_path)
    names = ("alpha", "beta", "held", "excluded", "broken")
    debs = (Deb(name=name, version="1.0-1") for name in names)
    made.archive("Debian", "oldstable", *debs, Deb(name="gamma", version="1:1.0-1"))
    done = install(made, packages=[*names, "gamma"])
    assert done.result.exit_status == 0, done.result.last_lines
    made.does("apt-mark hold held")
    return made


def release(machine: AptMachine) -> None:
    """Let newer versions of all appear."""
    machine.archive(
        "Debian",
        "stable",
        Deb(name="beta", version="1.0-2"),
        Deb(name="held", version="2"),
        Deb(name="excluded", version="2"),
        Deb(name="broken", version="2", depends="nowhere"),
        Deb(name="gamma", version="1:1.0-1+deb12u3"),
        Deb(name="newdep", version="1"),
    )
    machine.archive(
        "Debian-Security",
        "stable-security",
        Deb(name="gamma", version="1:1.0-1+deb12u2", changelog=CHANGELOG),
        Deb(name="alpha", version="1.0-1+deb12u1", depends="newdep"),
    )
    machine.archive("Debian Backports", "stable-backports", Deb(name="beta", version="2~bpo1"))


def install(machine: AptMachine, **inputs: Canonical) -> ActionResult:
    return run(machine, ActionName.INSTALL_PACKAGES, inputs)


def run(machine: AptMachine, action: ActionName, inputs: Canonical) -> ActionResult:
    call = ActionCall(
        action=action, phase=PhaseName.BUILD, inputs=inputs, machine=machine, timeout_seconds=60
    )
    return own_actions()[action].run(call)


def pending(machine: AptMachine, **inputs: Canonical) -> PlannedUpdate:
    result = machine.run(pending_upgrades_script(inputs))
    assert result.exit_status == 0, result.last_lines
    return pending_of(result.stdout.decode())


def moves(update: PlannedUpdate) -> dict[str, str]:
    return {u.name: u.new_version for u in update.upgrades}


def reasons(update: PlannedUpdate) -> dict[str, str]:
    return {h.name: str(h.reason) for h in update.held}


def test_pending_then_the_whole_release_is_due_but_what_is_held_back(machine: AptMachine) -> None:
    release(machine)
    found = pending(machine, exclude=["ex*", "unknown"])
    assert moves(found) == {
        "alpha": "1.0-1+deb12u1",
        "beta": "2~bpo1",
        "gamma": "1:1.0-1+deb12u3",
        "newdep": "1",
    }
    assert reasons(found) == {
        "broken": "kept back",
        "excluded": "excluded by the document",
        "held": "marked hold",
    }
    assert found.held[0].detail == "broken: Depends: nowhere but it is not installable"


def test_pending_then_the_image_stays_as_it_was(machine: AptMachine) -> None:
    release(machine)
    before = machine.does("cat /var/lib/dpkg/status; apt-mark showhold showauto")
    pending(machine, exclude=["ex*"], security=True)
    assert machine.does("cat /var/lib/dpkg/status; apt-mark showhold showauto") == before


def test_pending_when_only_security_is_wanted_then_only_its_archive_and_what_that_needs(
    machine: AptMachine,
) -> None:
    release(machine)
    found = pending(machine, security=True)
    assert moves(found) == {"alpha": "1.0-1+deb12u1", "gamma": "1:1.0-1+deb12u2", "newdep": "1"}
    assert [u.name for u in found.upgrades if u.is_security] == ["alpha", "gamma"]


def test_pending_when_a_pin_prefers_another_archive_then_security_only_still_holds(
    machine: AptMachine,
) -> None:
    release(machine)
    pins: Canonical = [{"package": "beta", "release": "stable-backports"}]
    # The pinned version is not installed by this, only preferred from now on.
    assert install(machine, packages=["newdep"], update=True, pins=pins).result.exit_status == 0
    assert moves(pending(machine, security=True)) == {
        "alpha": "1.0-1+deb12u1",
        "gamma": "1:1.0-1+deb12u2",
    }


def test_pending_when_some_are_named_then_only_these_and_no_held_one(machine: AptMachine) -> None:
    release(machine)
    found = pending(machine, include=["b?ta", "held", "unknown"])
    assert (moves(found), reasons(found)) == ({"beta": "2~bpo1"}, {"held": "marked hold"})


def test_pending_when_what_is_named_cannot_be_upgraded_then_fails_and_says_why(
    machine: AptMachine,
) -> None:
    release(machine)
    result = machine.run(pending_upgrades_script({"include": ["broken"]}))
    assert result.exit_status != 0
    assert "nowhere" in (result.stdout + result.stderr).decode()


def test_applied_then_cves_are_those_of_the_entries_above_the_old_version(
    machine: AptMachine,
) -> None:
    release(machine)
    planned = pending(machine, security=True).upgrades
    assert run(machine, ActionName.UPDATE_OS, {"security": True}).result.exit_status == 0
    applied = applied_of(machine.run(applied_script(planned)).stdout.decode(), planned)
    assert applied.differing == ()
    assert {u.name: u.cves for u in applied.upgrades} == {
        "alpha": None,
        "gamma": ("CVE-2025-1111", "CVE-2025-99999", "CVE-2026-1234"),
        "newdep": None,
    }


def test_applied_when_the_old_version_was_in_between_then_only_the_newest_entry_counts(
    machine: AptMachine,
) -> None:
    release(machine)
    run(machine, ActionName.UPDATE_OS, {"security": True})
    asked = an_upgrade("gamma", arch="all", old="1:1.0-1+deb12u1+b2", new="1:1.0-1+deb12u2")
    (found,) = applied_of(machine.run(applied_script([asked])).stdout.decode(), [asked]).upgrades
    assert found.cves == ("CVE-2025-99999", "CVE-2026-1234")


def test_update_then_nothing_new_counts_as_wanted_by_hand(machine: AptMachine) -> None:
    release(machine)
    machine.does("apt-mark auto beta")
    done = run(machine, ActionName.UPDATE_OS, {"exclude": ["excluded"]})
    assert done.result.exit_status == 0, done.result.last_lines
    assert machine.does("apt-mark showauto").split() == ["beta", "newdep"]
    assert machine.installed()["gamma"] == "1:1.0-1+deb12u3"


def test_install_when_a_version_is_named_then_it_is_that_also_downwards(
    machine: AptMachine,
) -> None:
    release(machine)
    assert install(machine, packages=["beta=1.0-2"], update="true").result.exit_status == 0
    assert machine.installed()["beta"] == "1.0-2"
    assert install(machine, packages=["beta=1.0-1*"]).result.exit_status == 0
    assert machine.installed()["beta"] == "1.0-1"


def test_install_when_there_is_a_pin_then_it_decides_now_and_later(machine: AptMachine) -> None:
    release(machine)
    pins: Canonical = [
        {"package": "gamma", "version": "1:1.0-1+deb12u2"},
        {"package": "beta", "release": "stable", "priority": 990},
    ]
    done = install(machine, packages=["gamma", "beta"], pins=pins, update=True)
    assert done.result.exit_status == 0, done.result.last_lines
    installed = machine.installed()
    assert (installed["gamma"], installed["beta"]) == ("1:1.0-1+deb12u2", "1.0-2")
    assert set(moves(pending(machine, include=["gamma", "beta"]))) == set()


def test_install_when_a_name_is_wrong_then_the_right_one_is_named(machine: AptMachine) -> None:
    done = install(machine, packages=["alhpa", "beta=9"])
    assert done.result.exit_status == 100
    assert done.result.last_lines.splitlines()[-2:] == [
        "The package archives of this image have no alhpa; like it: alpha.",
        "beta is not there in that version; the package archives have 1.0-1.",
    ]


def test_install_when_lists_are_older_than_the_archive_then_they_are_fetched(
    machine: AptMachine,
) -> None:
    machine.archive("Debian", "stable", Deb(name="later", version="1"))
    assert install(machine, packages=["later"]).result.exit_status == 0
    assert machine.installed()["later"] == "1"


def test_install_when_what_is_held_would_change_then_says_so(machine: AptMachine) -> None:
    release(machine)
    done = install(machine, packages=["held=2"], update=True)
    assert done.result.exit_status == 100
    assert "held is marked hold" in done.result.last_lines
    assert machine.installed()["held"] == "1.0-1"


def test_scripts_when_there_is_neither_apt_nor_dnf_then_say_so(tmp_path: Path) -> None:
    bare = AptMachine(folder=tmp_path)
    (tmp_path / "dpkg/status").write_text("")
    result = bare.run(Script(text=f"PATH=/nowhere\n{pending_upgrades_script(None).text}"))
    assert (result.exit_status, result.last_lines) == (1, "This image has neither apt nor dnf.")
