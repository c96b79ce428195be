"""The main job, as a person does it: a recipe becomes a booted, tested, recorded image.

What is made of that image is tested here too, so that it is built and booted once.
"""

import filecmp
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imagebuilder.domain.image import parse_reference
from imagebuilder.domain.recipe import Suite
from imagebuilder.ports.disks import BLOCK_BYTES
from tests.aws_double import Double, running_double
from tests.aws_double.serving import HOME, REGION
from tests.clouds import (
    ROLE,
    SECRETS,
    a_key_of,
    a_role_of,
    a_unit_of,
    launch,
    launchable,
    snapshot_blocks,
)
from tests.examples import House, plain_qemu
from tests.roots import left_behind
from tests.staged import StagedRun
from tests.workshops import machine_sources

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.qemu, pytest.mark.timeout(1800)]
packer = pytest.mark.skipif(not shutil.which("packer"), reason="packer is missing")

BASE = "debian-base@1.0.0/1"
OTHER, MEMBER = "222222222222", "333333333333"
NEAR, FAR = "eu-west-1", "us-west-2"
MACHINE = """\
kind: Recipe
name: debian-machine
version: 1.0.x
builder: packer
parent: image:debian-base@1.x
packer: {type: qemu}
components: [motd-build-info@1.x]
tests: [tests/machine]
"""
MACHINE_TEST = """\
import pytest
from testinfra.host import Host


def test_the_component_was_here(host: Host) -> None:
    assert host.file("/etc/build-info").exists


@pytest.mark.machine
def test_who_logs_in_is_let_in_by_no_key_of_the_build(host: Host) -> None:
    # On the machine of the build, and on a fresh one, there is the key of just that.
    assert len(host.file("/root/.ssh/authorized_keys").content_string.splitlines()) == 1
    assert host.service("ssh").is_running
"""
EVERYWHERE = f"""\
kind: Distribution
name: everywhere
targets:
  - name: own
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      accounts: ["{HOME}"]
      regions: [{REGION}, {NEAR}, {FAR}]
      parameter: "/golden/{{image}}"
  - name: shared
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      delivery: share
      accounts: ["{OTHER}"]
      organizational_units: [UNIT]
      regions: [{REGION}, {NEAR}]
  - name: sealed
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      accounts: ["{OTHER}"]
      regions: [{FAR}]
      role: {ROLE}
      external_id: env:EXTERNAL_ID
      keys: {{{FAR}: "KEY"}}
"""


@pytest.fixture(name="web", scope="module")
def _web(house: House) -> Any:
    return house.json("build", "recipes/debian-web.yaml")


def test_build_when_the_parent_image_is_missing_then_it_is_built_first(
    house: House, web: Any
) -> None:
    lineage = house.json("image", "lineage", web["version"])
    labels = {node["id"]: node["label"] for node in lineage["nodes"]}
    edges = {(labels[e["parent"]], labels[e["child"]]) for e in lineage["edges"]}

    assert web["version"] == "debian-web@1.0.0/1"
    assert ("debian-base@1.0.0/1", "debian-web@1.0.0/1") in edges
    assert ("debian:bookworm", "debian-base@1.0.0/1") in edges


def test_build_when_called_again_then_it_is_unchanged_and_nothing_is_built(
    house: House, web: Any
) -> None:
    newest = house.json("image", "show", "debian-web")["reference"]
    again = house.json("build", "recipes/debian-web.yaml")

    assert again["is_unchanged"]
    assert again["version"] == newest
    assert again["built_layers"] == []
    assert house.json("image", "show", "debian-web")["reference"] == newest


def test_exported_disk_when_booted_under_plain_qemu_then_nginx_serves_its_page(
    house: House, web: Any
) -> None:
    disk = house.folder / "web.qcow2"
    exported = house.run("image", "export", web["version"], "--output", str(disk))
    assert exported.returncode == 0, exported.stderr

    with plain_qemu(disk, 80) as port:
        page = _page(port, limit_seconds=240)

    assert "Served by imagebuilder" in page


def test_component_when_one_line_changes_then_only_its_layer_is_made_again(
    house: House, web: Any
) -> None:
    house.change("components/nginx/component.yaml", "description: ", "description: Changed. ")
    prose = house.json("build", "--dry-run", "recipes/debian-web.yaml")
    house.change("components/nginx/component.yaml", "server_tokens off", "server_tokens  off")
    changed = house.json("build", "recipes/debian-web.yaml")
    diff = house.json("image", "diff", web["version"], changed["version"])

    assert all(layer["is_cached"] for layer in prose["layers"])
    assert changed["version"] == "debian-web@1.0.1/1"
    assert set(changed["built_layers"]) <= {"nginx", "finish"}
    assert [component["name"] for component in diff["components"]] == ["nginx"]
    assert diff["packages"] == []


def _page(port: int, limit_seconds: float) -> str:
    return next(_attempts(port, time.monotonic() + limit_seconds))


def _attempts(port: int, until: float) -> Iterator[str]:
    """Give the page as soon as it is served. Raises: OSError: it was not, in all that time."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                yield answer.read().decode()
        except OSError:
            if time.monotonic() > until:
                raise


def test_update_when_packages_are_behind_then_exactly_the_list_is_applied_and_kept(
    house: House,
) -> None:
    _write_patched(house)
    built = house.json("build", "recipes/patched.yaml")
    again = house.json("build", "recipes/patched.yaml")
    diff = house.json("image", "diff", "behind", "patched")
    # The first line of a record is its own check digest.
    texts = [path.read_text() for path in (house.home / "layers/keys").iterdir()]
    records = [json.loads(text.partition("\n")[2]) for text in texts]
    evidence = next(r["evidence"]["upgrades"] for r in records if r["name"] == "patch")
    listed = json.loads((house.home / "blobs/sha256" / evidence[:2] / evidence).read_text())

    shown = house.json("image", "show", "patched")["updates"]

    moved = {(p["name"], p["old_version"], p["new_version"]) for p in diff["packages"]}
    upgrades = listed["Update"]["upgrades"]
    assert moved == {(u["name"], u["old_version"] or None, u["new_version"]) for u in upgrades}
    assert shown["upgrades"] == upgrades
    # The archives are the security archive and that of updates between releases.
    assert any(u["is_security"] and u["cves"] for u in upgrades)
    assert moved
    assert "patch" in built["built_layers"]
    assert again["is_unchanged"]


def _write_patched(house: House) -> None:
    """Write an image that knows the main archive alone, and one on it that takes all updates."""
    mirror = machine_sources(house.folder / "apt.json").repositories(Suite.BOOKWORM)[0]
    component = house.folder / "components/patch/component.yaml"
    component.parent.mkdir()
    component.write_text(
        "name: patch\nschemaVersion: 1.0\nphases:\n"
        "  - {name: build, steps: [{name: Update, action: UpdateOS}]}\n"
    )
    head = "kind: Recipe\nversion: 1.0.x\nartifacts: [tar]\n"
    (house.folder / "recipes/behind.yaml").write_text(
        f"{head}name: behind\nparent: {{from: 'debian:bookworm', mirror: '{mirror.url}'}}\n"
    )
    (house.folder / "recipes/patched.yaml").write_text(
        f"{head}name: patched\nparent: image:behind\ncomponents: [patch]\n"
    )


@pytest.mark.usefixtures("web")
def test_stages_when_there_is_a_disk_then_the_one_that_was_built_is_booted(house: House) -> None:
    house.json("build", "recipes/debian-base.yaml")
    recipe = house.folder / "recipes/staged.yaml"
    recipe.write_text(
        "kind: Recipe\nname: staged\nversion: 1.0.x\nparent: image:debian-base\n"
        "components: [motd-build-info]\ndisk: {firmware: [uefi]}\n"
    )
    run = StagedRun(house.folder, house.home, recipe).start()
    run.do("build")

    at_hand = run.do("validate")
    (house.home / "disks/raws/staged.raw").unlink()
    of_its_file = run.do("validate")
    run.do("record")

    application = run.application()
    found = application.versions.find(parse_reference("staged"), application.clock.now())
    assert run.answers["record"] == "staged@1.0.0/1"
    assert at_hand != of_its_file
    assert [report.stage for report in found.reports][-1] == "machine"
    assert all(report.has_passed for report in found.reports)
    assert left_behind(house.home) == []


@pytest.fixture(scope="module")
def packed(house: House, web: Any) -> Any:
    """Give what Packer made of the base in a virtual machine."""
    assert web["version"]
    (house.folder / "recipes/debian-machine.yaml").write_text(MACHINE)
    tests = house.folder / "recipes/tests/machine"
    tests.mkdir()
    (tests / "test_machine.py").write_text(MACHINE_TEST)
    return house.json("build", "recipes/debian-machine.yaml")


@packer
def test_build_by_packer_then_the_version_has_its_parent_packages_and_a_disk_that_booted(
    house: House, packed: Any
) -> None:
    version = house.json("image", "show", "debian-machine")
    base = house.json("image", "show", "debian-base")

    assert not packed["is_unchanged"]
    assert [artifact["format"] for artifact in version["artifacts"]] == ["qcow2"]
    assert version["layers"] == []
    assert version["parent"]["id"] == base["id"]
    assert version["artifacts"][0]["virtual_size_bytes"] == 2 * 2**30
    packages = [house.json("image", "packages", name) for name in ("debian-machine", "debian-base")]
    assert packages[0] == packages[1]


@packer
@pytest.mark.usefixtures("packed")
def test_build_by_packer_when_nothing_changed_then_no_machine_is_started(house: House) -> None:
    assert house.json("build", "recipes/debian-machine.yaml")["is_unchanged"]
    assert list((house.home / "packer").iterdir()) == []


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as double:
        yield double


@pytest.fixture
def branch(house: House, web: Any, double: Double, tmp_path: Path) -> House:
    """Give a house that knows what was recorded, and whose revocations reach no other test."""
    assert web["version"]
    secret = SECRETS["env:EXTERNAL_ID"].decode()
    branch = House(tmp_path, {**double.environment(), "EXTERNAL_ID": secret})
    shutil.copytree(house.home / "blobs", branch.home / "blobs", copy_function=os.link)
    for file in house.home.glob("catalogue.db*"):
        shutil.copy(file, branch.home)
    return branch


@pytest.mark.filterwarnings("default")  # the double's own
def test_distribute_when_the_disk_is_real_then_others_launch_it_until_it_is_revoked(
    branch: House, double: Double
) -> None:
    a_role_of(double, OTHER)
    unit, key = a_unit_of(double, MEMBER), a_key_of(double, OTHER, FAR)
    document = branch.folder / "everywhere.yaml"
    document.write_text(EVERYWHERE.replace("UNIT", unit["Id"]).replace("KEY", key))

    (done,) = branch.json("distribute", BASE, "--to", str(document))

    images = {each["target"]: each["id"] for each in done["targets"]}
    places = [(OTHER, FAR, images[f"aws:{OTHER}/{FAR}"])]
    for where in (REGION, NEAR):
        places += [(who, where, images[f"aws:{HOME}/{where}"]) for who in (OTHER, MEMBER)]
    assert done["is_whole"]
    for who, where, image in places:
        assert launchable(double, who, where) == [image]
    machines = [(*place, launch(double, *place)) for place in places]
    assert_disk_was_sent_once(branch, double)
    assert branch.run("target", "check", BASE).returncode == 0
    (copied,) = holdings(double, OTHER, FAR)["snapshots"]
    assert copied["KmsKeyId"] == key
    for where in (REGION, NEAR, FAR):
        (parameter,) = holdings(double, HOME, where)["parameters"]
        assert parameter["Name"] == "/golden/debian-base"

    branch.json("image", "revoke", BASE, "--message", "it leaks", "--yes")

    for who, where, image in places:
        assert launchable(double, who, where) == []
        with pytest.raises(ClientError, match="InvalidAMIID"):
            launch(double, who, where, image)
    for who, where, _, machine in machines:  # what runs of an AMI keeps it from being deleted
        double.client("ec2", who, where).terminate_instances(InstanceIds=[machine])
    branch.json("distribute", "withdraw", BASE, "--delete", "--yes")
    for who, where in ((HOME, REGION), (HOME, NEAR), (HOME, FAR), (OTHER, FAR)):
        assert holdings(double, who, where) == {"images": [], "snapshots": [], "parameters": []}


def assert_disk_was_sent_once(branch: House, double: Double) -> None:
    """See that one snapshot was sent, each block of it once, and that it is the version's disk."""
    disk, raw, back = (branch.folder / name for name in ("disk.qcow2", "disk.raw", "back.raw"))
    exported = branch.run("image", "export", BASE, "--output", str(disk))
    assert exported.returncode == 0, exported.stderr
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True, timeout=300)
    (begun,) = double.log.calls("StartSnapshot")
    sent = double.log.calls("PutSnapshotBlock")
    (snapshot,) = {str(call.parameters["SnapshotId"]) for call in sent}
    listed = []
    with back.open("wb") as file:
        for index, block in snapshot_blocks(double, snapshot):
            file.seek(index * BLOCK_BYTES)
            file.write(block)
            listed.append(index)
        file.truncate(begun.parameters["VolumeSize"] << 30)

    assert filecmp.cmp(raw, back, shallow=False)
    assert sorted(int(call.parameters["BlockIndex"]) for call in sent) == listed


def holdings(double: Double, account: str, region: str) -> dict[str, Any]:
    """Give the images, snapshots and parameters that are an account's own in a region."""
    ec2, ssm = (double.client(service, account, region) for service in ("ec2", "ssm"))
    hidden = {"IncludeDisabled": True, "IncludeDeprecated": True}
    return {
        "images": ec2.describe_images(Owners=["self"], **hidden)["Images"],
        "snapshots": ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
        "parameters": ssm.describe_parameters()["Parameters"],
    }
