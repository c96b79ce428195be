"""A version becomes AMIs of the double, is shared and revoked, through the real bootstrap."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.snapshots.reading import SnapshotReading
from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from tests.aws_double import Double, running_double
from tests.aws_double.serving import HOME, REGION
from tests.build import a_draft, an_artifact
from tests.clouds import (
    AT_HOME,
    ROLE,
    SECRETS,
    a_disk,
    a_key_of,
    a_role_of,
    a_unit_of,
    calls_to,
    environment_at,
    launch,
    launchable,
)
from tests.functional.conftest import Cli

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
THIRD = "333333333333"
FAR = "us-west-2"
COPIES = f"""kind: Distribution
name: production
targets:
  - name: production
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      accounts: ["{OTHER}"]
      regions: [{REGION}, {FAR}]
      role: {ROLE}
      external_id: env:EXTERNAL_ID
      keys: {{{FAR}: KEY}}
      parameter: /golden/{{image}}
"""
SHARES = f"""kind: Distribution
name: shared
targets:
  - name: shared
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      delivery: share
      accounts: ["{OTHER}"]
      organizational_units: [UNIT]
      regions: [{REGION}, {FAR}]
"""


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("EXTERNAL_ID", SECRETS["env:EXTERNAL_ID"].decode())
    with running_double() as double, environment_at(double.endpoint):
        yield double


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return a_disk(tmp_path / "raw", {0: b"boot", 7: b"root"})


@pytest.fixture
def version(cli: Cli, disk: Path) -> ImageVersion:
    application = cli.application()
    digest = application.blobs.put(disk.read_bytes())
    size = disk.stat().st_size
    raw = replace(
        an_artifact(ArtifactFormat.RAW), digest=digest, size_bytes=size, virtual_size_bytes=size
    )
    return application.cataloguing.record(
        a_draft("web", artifacts=(raw,), disk_digest=BlockMap.of(disk).digest)
    )


def test_distribute_when_an_account_gets_copies_then_it_launches_them_with_its_own_key(
    cli: Cli, double: Double, version: ImageVersion, disk: Path, tmp_path: Path
) -> None:
    a_role_of(double, OTHER)
    key = a_key_of(double, OTHER, FAR)
    document = cli.write("production.yaml", COPIES.replace("KEY", key))

    result = cli("distribute", "web", "--to", document)

    assert result.exit_code == 0, result.stderr
    placed = {p["target"]: p["id"] for p in cli.json("image", "show", "web")["placements"]}
    assert set(placed) == {f"aws:{HOME}/{REGION}", f"aws:{OTHER}/{REGION}", f"aws:{OTHER}/{FAR}"}
    launch(double, OTHER, FAR, placed[f"aws:{OTHER}/{FAR}"])
    home = double.world.images.by_id[placed[f"aws:{HOME}/{REGION}"]]
    back = tmp_path / "back"
    reading = SnapshotReading(calls_to(double))
    reading.read(AT_HOME, home.snapshots[0], back, lambda _: None)
    with back.open("rb") as read:
        assert BlockMap.of(disk).blocks == BlockMap.of(back).blocks
        assert read.read(4) == b"boot"
    said = double.client("ssm", OTHER, FAR).get_parameter(Name="/golden/web")["Parameter"]["Value"]
    assert said == placed[f"aws:{OTHER}/{FAR}"]


def test_revoke_when_it_was_shared_then_nobody_sees_it_any_more(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    unit = a_unit_of(double, THIRD)
    document = cli.write("shared.yaml", SHARES.replace("UNIT", unit["Id"]))
    result = cli("distribute", "web", "--to", document)
    assert result.exit_code == 0, result.stderr
    for account in (OTHER, THIRD):
        (image,) = launchable(double, account, FAR)
        launch(double, account, FAR, image)

    result = cli("image", "revoke", version.reference, "--message", "it leaks", "--yes")

    assert result.exit_code == 0, result.stderr
    for account in (HOME, OTHER, THIRD):
        assert [launchable(double, account, region) for region in (REGION, FAR)] == [[], []]


def test_distribute_when_the_external_id_is_wrong_then_nothing_is_begun(
    cli: Cli, double: Double, version: ImageVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_role_of(double, OTHER)
    monkeypatch.setenv("EXTERNAL_ID", "not-this-one")
    document = cli.write("production.yaml", COPIES.replace("KEY", "alias/x"))

    error = cli.error("distribute", "web", "--to", document)

    assert (error["code"], error["exit"]) == ("delivery-hindered", 4)
    assert f"aws:{OTHER}/{REGION} refuses sts:AssumeRole" in error["context"]
    assert "env:EXTERNAL_ID" in str(error)
    assert "not-this-one" not in str(error)
    assert double.world.snapshots.by_id == {}


def test_target_check_when_somebody_changed_a_permission_then_it_is_told(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    a_role_of(double, OTHER)
    key = a_key_of(double, OTHER, FAR)
    cli("distribute", "web", "--to", cli.write("p.yaml", COPIES.replace("KEY", key)))
    (image,) = launchable(double, OTHER, FAR)
    permission = {"Add": [{"UserId": THIRD}]}
    ec2 = double.client("ec2", OTHER, FAR)
    ec2.modify_image_attribute(ImageId=image, LaunchPermission=permission)

    result = cli("target", "check", "web")

    assert result.exit_code != 0
    assert THIRD in result.stdout + result.stderr
