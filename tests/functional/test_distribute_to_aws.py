"""A version goes from its disk to AMIs in accounts and regions, and is gone there once revoked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagebuilder.adapters.local.blockmap import BlockMap
from imagebuilder.domain.image import ImageVersion
from imagebuilder.domain.recipe import ArtifactFormat
from tests.aws_double import Double, running_double
from tests.aws_double.refusals import Refusal
from tests.aws_double.serving import HOME, REGION
from tests.build import a_draft, an_artifact
from tests.clouds import ROLE, a_disk, a_role_of, launch
from tests.functional.conftest import Cli

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

OTHER = "222222222222"
FAR = "us-west-2"
DOCUMENT = f"""kind: Distribution
name: accounts
targets:
  - name: production
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      accounts: ["{OTHER}"]
      regions: [{REGION}, {FAR}]
      role: {ROLE}
      external_id: env:OF_A_TEST_ID
      tags: {{version: "{{version}}-{{build}}"}}
"""
OWN = f"""kind: Distribution
name: own
targets:
  - name: here
    aws:
      home: {{account: "{HOME}", region: {REGION}}}
      accounts: ["{HOME}"]
      regions: [{REGION}]
      parameter: /golden/web
"""


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    with running_double() as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("IMAGEBUILDER_AWS_ENDPOINT", double.endpoint)
        monkeypatch.setenv("OF_A_TEST_ID", "a-secret")
        yield double


@pytest.fixture
def version(cli: Cli, tmp_path: Path) -> ImageVersion:
    """Give a version whose raw disk is kept."""
    disk = a_disk(tmp_path / "raw", {0: b"boot", 5: b"root"})
    application = cli.application()
    kept = application.blobs.put(disk.read_bytes())
    size = disk.stat().st_size
    raw = replace(
        an_artifact(ArtifactFormat.RAW, size_bytes=size), digest=kept, virtual_size_bytes=size
    )
    draft = a_draft("web", artifacts=(raw,), disk_digest=BlockMap.of(disk).digest)
    return application.cataloguing.record(draft)


def seen(double: Double, account: str, region: str, image: str) -> list[dict[str, Any]]:
    """Give an AMI as an account sees it; nothing when it does not."""
    asked = [{"Name": "image-id", "Values": [image]}]
    found = double.client("ec2", account, region).describe_images(Filters=asked)["Images"]
    return list(found)


def test_distribute_then_the_other_account_can_launch_it_until_it_is_revoked(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    a_role_of(double, OTHER)
    document = cli.write("accounts.yaml", DOCUMENT)

    (done,) = cli.json("distribute", "web", "--to", document)

    assert done["is_whole"]
    ids = {each["target"]: each["id"] for each in done["targets"]}
    assert set(ids) == {
        f"aws:{HOME}/{REGION}",
        f"aws:{OTHER}/{REGION}",
        f"aws:{OTHER}/{FAR}",
    } | {key for key in ids if key == f"aws:{HOME}/{FAR}"}
    for region in (REGION, FAR):
        image = ids[f"aws:{OTHER}/{region}"]
        (shown,) = seen(double, OTHER, region, image)
        assert {"Key": "version", "Value": "1.2.0-1"} in shown["Tags"]
        launch(double, OTHER, region, image)
    assert double.log.count("StartSnapshot") == 1
    assert cli("target", "check", "web").exit_code == 0

    result = cli("image", "revoke", version.reference, "--message", "it is bad", "--yes")

    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    for target, image in ids.items():
        account, _, region = target.removeprefix("aws:").partition("/")
        left = seen(double, account, region, image)
        assert [each["State"] for each in left] in ([], ["disabled"])
    states = {each["state"] for each in cli.json("target", "list", "web@1.2.0/1")}
    assert states == {"withdrawn"}


def test_revoke_when_a_parameter_was_refused_then_what_was_made_before_is_disabled(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    document = cli.write("own.yaml", OWN)
    denied = Refusal("AccessDeniedException", "You may not.", status=400)
    double.faults.refuse("PutParameter", denied)
    assert cli.error("distribute", "web", "--to", document)["code"] == "distribution-incomplete"
    (target,) = cli.json("target", "list", "web")
    assert (target["state"], target["id"]) == ("failed", None)
    (placement,) = cli.json("image", "show", "web")["placements"]
    assert placement["state"] == "half-done"
    assert (
        f"{placement['id']} at aws:{HOME}/{REGION}, half-done" in cli("image", "show", "web").stdout
    )
    launch(double, HOME, REGION, placement["id"])

    result = cli("image", "revoke", version.reference, "--message", "it is bad", "--yes")

    assert result.exit_code == 0, result.stderr
    assert double.world.images.by_id[placement["id"]].state == "disabled"
    (target,) = cli.json("target", "list", version.reference)
    assert target["state"] == "withdrawn"


def test_distribute_when_a_role_is_missing_then_nothing_is_begun_and_the_account_is_named(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    document = cli.write("accounts.yaml", DOCUMENT)

    error = cli.error("distribute", "web", "--to", document)

    assert (error["code"], error["exit"]) == ("delivery-hindered", 4)
    assert OTHER in error["context"]
    assert double.log.count("StartSnapshot") == 0


def test_retry_when_a_region_refused_then_only_that_is_done_and_nothing_twice(
    cli: Cli, double: Double, version: ImageVersion
) -> None:
    a_role_of(double, OTHER)
    document = cli.write("accounts.yaml", DOCUMENT)
    quota = Refusal("ResourceLimitExceeded", "You have reached your quota of 9 AMIs.")
    double.faults.refuse("CopyImage", quota, region=FAR)
    result = cli("distribute", "web", "--to", document)
    assert result.exit_code == 5, result.stderr
    assert "You have reached your quota of 9 AMIs." in result.stderr
    assert f"Ask for a higher quota in account {OTHER}, region {FAR}" in result.stderr

    (done,) = cli.json("distribute", "web", "--retry")

    assert done["is_whole"]
    assert done["placed"] != []
    assert all(FAR in target for target in done["placed"])
    assert double.log.count("StartSnapshot") == 1
    assert double.log.count("RegisterImage") == 1
