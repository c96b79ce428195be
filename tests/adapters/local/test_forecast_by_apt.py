"""What is told from lists of packages, held against what apt says on the same archives."""

import random
from pathlib import Path

import pytest

from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.forecast import forecast
from imagebuilder.domain.ground import Ground
from imagebuilder.domain.offers import PackageIndex, Release
from imagebuilder.domain.updates import PlannedUpdate
from imagebuilder.services.provisioning.grounding import GROUND_SCRIPT, ground_in
from imagebuilder.services.provisioning.packages import pending_of, pending_upgrades_script
from imagebuilder.services.provisioning.packages_wanted import wanted_update
from tests.package_archives import AptMachine, Deb

pytestmark = pytest.mark.root

ARCHIVES = {
    ("Debian", "stable"): "",
    ("Debian", "stable-updates"): "",
    ("Debian-Security", "stable-security"): "",
    ("Debian Backports", "stable-backports"): "NotAutomatic: yes\nButAutomaticUpgrades: yes\n",
    ("Debian", "experimental"): "NotAutomatic: yes\n",
    ("Own", "own"): "",
}
VERSIONS = ("1", "1.0", "1~rc1", "1.0-1", "1.0-1+deb12u1", "1.0-1~bpo12+1", "1:0.9", "2", "10", "9")
PREFERENCES = """\
Package: p1* p20
Pin: release l=Own
Pin-Priority: 990

Explanation: never
Package: p2*
Pin: release a=stable-updates
Pin-Priority: -1

# a comment
Package: p3
Pin: version 1.0*
Pin-Priority: 999

Package: /^p4[0-4]$/
Pin: version 2
Pin-Priority: 600

Package: p45 p46
Pin: release n=stable-backports
Pin-Priority: 500

Package: *
Pin: release o=Example,l=Own
Pin-Priority: 200

Package: *
Pin: release l=Own
Pin-Priority: 900
"""
NAMES = [f"p{number}" for number in range(60)]


class World:
    """A machine with many packages at random, and the same as lists."""

    def __init__(self, folder: Path, seed: int, preferences: str) -> None:
        chance = random.Random(seed)
        machine = AptMachine(folder=folder)
        self.machine, self.indexes = machine, list[PackageIndex]()
        for (label, suite), more in ARCHIVES.items():
            debs = [
                Deb(name=name, version=version, architecture=_architecture(name))
                for name in NAMES
                for version in chance.sample(VERSIONS, chance.choice([0, 0, 1, 1, 2]))
            ]
            machine.list_only(label, suite, *debs, more=more)
            self.indexes.append(_index(label, suite, more, debs))
        installed = [
            Deb(name=name, version=chance.choice(VERSIONS), architecture=_architecture(name))
            for name in NAMES
        ]
        machine.install_only_listed(*installed, marked=chance.sample(NAMES, 5))
        (folder / "etc/preferences.d/own.pref").write_text(preferences)
        (folder / "etc/preferences.d/not.this").write_text("Package: *\nPin: release *\n")

    def ground(self) -> Ground:
        ground = ground_in(self.machine.run(GROUND_SCRIPT).stdout.decode())
        assert ground is not None
        return ground

    def answer(self, inputs: Canonical) -> PlannedUpdate:
        result = self.machine.run(pending_upgrades_script(inputs))
        assert result.exit_status == 0, result.last_lines
        return pending_of(result.stdout.decode())


def _architecture(name: str) -> str:
    """Give one for each package: apt takes the same version of another one for another package."""
    return "all" if int(name[1:]) % 3 else "amd64"


def _index(label: str, suite: str, more: str, debs: list[Deb]) -> PackageIndex:
    packages: dict[str, list[tuple[str, str]]] = {}
    for deb in debs:
        packages.setdefault(deb.name, []).append((deb.version, deb.architecture))
    release = Release(
        archive=suite,
        codename=suite,
        version="12",
        origin="Example",
        label=label,
        is_not_automatic="NotAutomatic" in more,
        has_automatic_upgrades="ButAutomatic" in more,
    )
    return PackageIndex(release=release, packages=packages)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("preferences", ["", PREFERENCES], ids=["plain", "pinned"])
@pytest.mark.parametrize(
    "inputs",
    [{}, {"security": True}, {"exclude": ["p1*", "p30"]}, {"include": ["p1*", "p30", "p4?"]}],
    ids=["all", "security", "exclude", "include"],
)
def test_forecast_then_is_what_apt_would_upgrade(
    tmp_path: Path, seed: int, preferences: str, inputs: Canonical
) -> None:
    world = World(tmp_path, seed, preferences)
    scopes = (wanted_update(inputs),)

    found = forecast(world.ground(), {"Do": PlannedUpdate(scopes=scopes)}, world.indexes)

    answer = world.answer(inputs)
    assert {(u.name, u.old_version, u.new_version, u.is_security) for u in found.upgrades} == {
        (u.name, u.old_version, u.new_version, u.is_security) for u in answer.upgrades
    }
    assert found.unclear == ()
    assert found.upgrades


@pytest.mark.parametrize(
    "state",
    [
        "unpacked",
        "half-configured",
        "triggers-awaited\nTriggers-Awaited: base",
        "triggers-pending\nTriggers-Pending: /usr/share",
    ],
)
def test_forecast_when_packages_are_not_configured_then_is_what_apt_would_upgrade(
    tmp_path: Path, state: str
) -> None:
    world = World(tmp_path, 1, "")
    status = tmp_path / "dpkg/status"
    base, own = status.read_text().split("Package: p0\n")
    own = own.replace("ok installed", f"ok {state}")
    status.write_text(f"{base}Package: p0\n{own}")

    found = forecast(
        world.ground(), {"Do": PlannedUpdate(scopes=(wanted_update({}),))}, world.indexes
    )

    assert {(u.name, u.new_version) for u in found.upgrades} == {
        (u.name, u.new_version) for u in world.answer({}).upgrades
    }
    assert found.upgrades


@pytest.mark.parametrize("seed", range(3))
def test_forecast_after_the_answer_then_is_as_before(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed, PREFERENCES)
    answer = world.answer({})
    recorded = PlannedUpdate(
        upgrades=answer.upgrades, held=answer.held, scopes=(wanted_update({}),)
    )

    assert forecast(world.ground(), {"Do": recorded}, world.indexes).is_as_before


def test_ground_when_the_image_has_sources_of_its_own_then_there_is_none(tmp_path: Path) -> None:
    world = World(tmp_path, 1, "")
    (tmp_path / "etc/sources.list.d").mkdir()
    (tmp_path / "etc/sources.list.d/own.list").write_text("deb http://own.example.org x main\n")

    assert ground_in(world.machine.run(GROUND_SCRIPT).stdout.decode()) is None


def test_ground_when_the_image_prefers_a_release_then_there_is_none(tmp_path: Path) -> None:
    world = World(tmp_path, 1, "")
    (tmp_path / "etc/apt.conf.d/own").write_text('APT::Default-Release "stable";\n')

    assert ground_in(world.machine.run(GROUND_SCRIPT).stdout.decode()) is None


def test_ground_then_has_packages_marks_and_preferences(tmp_path: Path) -> None:
    world = World(tmp_path, 1, PREFERENCES)

    ground = world.ground()

    assert set(ground.packages) == {("base", "amd64"), *((name, "amd64") for name in NAMES)}
    assert len(ground.marked) == 5
    assert ground.preferences == PREFERENCES.strip()
