"""What dnf is told, done by dnf itself, on an archive of the test's own inside the sandbox.

Debian packages dnf too, so it is installed into a Debian root, which then forgets that it has apt.
"""

from collections.abc import Iterator

import pytest

from imagebuilder.adapters.local.roots import LocalRoot
from imagebuilder.domain.component import ActionName, Network, PhaseName
from imagebuilder.domain.digest import Canonical
from imagebuilder.domain.plan import PlannedParent
from imagebuilder.domain.recipe import Suite, SuiteParent
from imagebuilder.domain.updates import PlannedUpdate
from imagebuilder.ports.actions import ActionCall, ActionResult
from imagebuilder.ports.machine import Script
from imagebuilder.services.provisioning.actions import own_actions
from imagebuilder.services.provisioning.packages import pending_of, pending_upgrades_script
from tests.workshops import machine_sources, said, shop

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(600)]

ARCHIVE = r"""set -e
mk() {
  printf 'Name: %s\nVersion: %s\nRelease: %s\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%s\n' \
    "$1" "$2" "$3" "$4" > /tmp/x.spec
  printf '%%description\nx\n%%files\n' >> /tmp/x.spec
  rpmbuild -bb --define '_rpmdir /srv/rpms' --define '_topdir /tmp/rpm' /tmp/x.spec >&2
}
mk alpha 1.0 1; mk alpha 1.0 2
mk beta 1.0 1
mk beta 1.0 2 'Requires: a-package-whose-name-is-so-long-that-tables-break'
mk a-package-whose-name-is-so-long-that-tables-break 20230101000000 1
mk broken 1.0 1; mk broken 1.0 2 'Requires: nowhere'
mk gamma 1.0 1; mk gamma 1.0 2
createrepo_c -q /srv/rpms
cat > /tmp/updateinfo.xml <<'END'
<updates><update from="x@example.org" status="final" type="security" version="1"><id>EX-2026:1</id>
<title>x</title><severity>Important</severity><issued date="2026-01-02 00:00:00"/><references>
<reference href="https://example.org/x" id="CVE-2026-0002" title="CVE-2026-0002" type="cve"/>
</references><description>x</description><pkglist><collection short="x"><name>x</name>
<package name="alpha" version="1.0" release="2" epoch="0" arch="noarch" src="alpha-1.0-2.src.rpm">
<filename>alpha-1.0-2.noarch.rpm</filename></package></collection></pkglist></update></updates>
END
modifyrepo_c --mdtype=updateinfo /tmp/updateinfo.xml /srv/rpms/repodata >&2
mkdir -p /etc/yum.repos.d
printf '[own]\nname=own\nbaseurl=file:///srv/rpms\ngpgcheck=0\n' > /etc/yum.repos.d/own.repo
: > /var/lib/dpkg/status
"""


@pytest.fixture(scope="module", name="root")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRoot]:
    """Give a root whose package manager is dnf."""
    folder = tmp_path_factory.mktemp("dnf")
    sources = machine_sources(folder / "apt.json")
    parent = PlannedParent(
        asked="debian:bookworm",
        identity="bookworm",
        source=SuiteParent(suite=Suite.BOOKWORM),
        suite="bookworm",
    )
    with (
        shop(folder, sources.repositories(Suite.BOOKWORM)) as open_shop,
        open_shop.roots.parent(parent, None) as root,
    ):
        packages: Canonical = {"packages": ["dnf", "rpm", "createrepo-c"]}
        done = run(root, ActionName.INSTALL_PACKAGES, packages, Network.PACKAGES)
        assert done.result.exit_status == 0, done.result.last_lines
        said(root, ARCHIVE)
        yield root


def run(
    root: LocalRoot, action: ActionName, inputs: Canonical, network: Network = Network.NONE
) -> ActionResult:
    call = ActionCall(
        action=action,
        phase=PhaseName.BUILD,
        inputs=inputs,
        machine=root.machine(network),
        timeout_seconds=300,
    )
    return own_actions()[action].run(call)


def pending(root: LocalRoot, **inputs: Canonical) -> PlannedUpdate:
    script = pending_upgrades_script(inputs)
    result = root.machine(Network.NONE).run(Script(text=script.text))
    assert result.exit_status == 0, result.last_lines
    return pending_of(result.stdout.decode())


def installed(root: LocalRoot) -> dict[str, str]:
    listed = said(root, "rpm -qa --qf '%{NAME} %{EVR}\\n'").splitlines()
    return {name: version for name, _, version in (line.partition(" ") for line in listed)}


def moves(update: PlannedUpdate) -> dict[str, str]:
    return {u.name: u.new_version for u in update.upgrades}


def test_dnf_when_packages_are_installed_and_upgraded_then_as_with_apt(root: LocalRoot) -> None:
    install: Canonical = {"packages": ["alpha=1.0-1", "beta=1.0-1", "broken=1.0-1", "gamma=1.0-1"]}
    done = run(root, ActionName.INSTALL_PACKAGES, install)
    assert done.result.exit_status == 0, done.result.last_lines
    before = {"alpha": "1.0-1", "beta": "1.0-1", "broken": "1.0-1", "gamma": "1.0-1"}
    assert installed(root) == before

    (security,) = pending(root, security=True).upgrades
    assert (security.name, security.is_security, security.cves) == (
        "alpha",
        True,
        ("CVE-2026-0002",),
    )
    assert moves(pending(root, include=["g*"])) == {"gamma": "1.0-2"}
    found = pending(root, exclude=["gam*"])
    assert moves(found) == {
        "a-package-whose-name-is-so-long-that-tables-break": "20230101000000-1",
        "alpha": "1.0-2",
        "beta": "1.0-2",
    }
    assert [(h.name, str(h.reason)) for h in found.held] == [
        ("broken", "kept back"),
        ("gamma", "excluded by the document"),
    ]
    assert "nowhere" in found.held[0].detail
    assert installed(root) == before

    done = run(root, ActionName.UPDATE_OS, {"exclude": ["gam*"]})
    assert done.result.exit_status == 0, done.result.last_lines
    assert installed(root) == {**before, **moves(found)}
    assert pending(root, exclude=["gam*"]).upgrades == ()

    downwards = run(root, ActionName.INSTALL_PACKAGES, {"packages": ["alpha=1.0-1*"]})
    assert downwards.result.exit_status == 0, downwards.result.last_lines
    assert installed(root)["alpha"] == "1.0-1"


def test_dnf_when_a_name_is_wrong_then_the_right_one_is_named(root: LocalRoot) -> None:
    done = run(root, ActionName.INSTALL_PACKAGES, {"packages": ["alhpa", "gamma=9"]})
    assert done.result.exit_status != 0
    assert done.result.last_lines.splitlines()[-2:] == [
        "The package archives of this image have no alhpa; like it: alpha.",
        "gamma is not there in that version; the package archives have 1.0-1, 1.0-2.",
    ]


def test_dnf_when_there_are_pins_then_says_what_to_write_instead(root: LocalRoot) -> None:
    pins: Canonical = [{"package": "alpha", "version": "1.0-1"}]
    done = run(root, ActionName.INSTALL_PACKAGES, {"packages": ["alpha"], "pins": pins})
    assert (done.result.exit_status, done.result.last_lines) == (
        2,
        "pins are for apt; with dnf, name the version instead: name=version",
    )
