from dataclasses import replace

from imagebuilder.domain.package import PackageChange, Upgrade
from imagebuilder.domain.security_updates import security_updates
from tests.build import an_upgrade


def _change(old: str | None = "3.0.14-1", new: str | None = "3.0.15-1") -> PackageChange:
    return PackageChange(name="openssl", architecture="amd64", old_version=old, new_version=new)


def _security(old: str, new: str, *cves: str) -> Upgrade:
    return replace(an_upgrade(old=old, new=new), is_security=True, cves=cves)


def test_upgrade_when_recorded_from_the_old_version_then_ends_its_cves() -> None:
    led = [_security("3.0.14-1", "3.0.15-1", "CVE-2024-2", "CVE-2024-1")]

    (update,) = security_updates([_change()], [], led)

    assert (update.change, update.cves) == (_change(), ("CVE-2024-1", "CVE-2024-2"))


def test_upgrade_when_both_came_from_the_same_then_ends_what_the_new_one_ends_more() -> None:
    before = [_security("3.0.9-1", "3.0.14-1", "CVE-1")]
    after = [_security("3.0.9-1", "3.0.15-1", "CVE-1", "CVE-2")]

    (update,) = security_updates([_change()], before, after)

    assert update.cves == ("CVE-2",)


def test_upgrade_when_it_took_several_steps_then_only_those_after_the_old_version_count() -> None:
    led = [_security("3.0.9-1", "3.0.14-1", "CVE-1"), _security("3.0.14-1", "3.0.15-1", "CVE-2")]

    (update,) = security_updates([_change()], led[:1], led)

    assert update.cves == ("CVE-2",)


def test_upgrade_when_the_old_version_was_never_passed_then_its_cves_are_not_known() -> None:
    (update,) = security_updates([_change()], [], [_security("3.0.9-1", "3.0.15-1", "CVE-1")])

    assert update.cves is None


def test_upgrade_when_no_changelog_was_read_then_its_cves_are_not_known() -> None:
    led = replace(an_upgrade(old="3.0.14-1", new="3.0.15-1"), is_security=True)

    (update,) = security_updates([_change()], [], [led])

    assert update.cves is None


def test_upgrade_when_it_is_of_another_archive_or_package_then_is_not_named() -> None:
    plain = an_upgrade(old="3.0.14-1", new="3.0.15-1")
    other = replace(_security("3.0.14-1", "3.0.15-1", "CVE-1"), architecture="i386")

    assert security_updates([_change()], [], [plain, other]) == ()


def test_change_when_it_is_no_upgrade_or_led_elsewhere_then_is_not_named() -> None:
    led = [_security("3.0.14-1", "3.0.15-1", "CVE-1")]
    changes = [_change("3.0.16-1"), _change(None), _change(new=None), _change(new="3.0.16-1")]

    assert security_updates(changes, [], led) == ()
