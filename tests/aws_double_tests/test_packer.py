"""The real Packer against the double: it finds all that its builder for AMIs asks for."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.aws_double_tests.clouds import FAR, OTHER, Cloud

pytestmark = pytest.mark.skipif(
    not shutil.which("packer"), reason="packer is missing; scripts/test installs it"
)


def test_an_image_is_built_copied_shared_and_tagged_and_nothing_else_is_left(
    cloud: Cloud, tmp_path: Path
) -> None:
    builder = {
        "type": "amazon-ebs",
        "name": "web",
        "custom_endpoint_ec2": cloud.double.endpoint,
        "skip_region_validation": True,
        "skip_metadata_api_check": True,
        "region": "eu-central-1",
        "source_ami": cloud.image("source"),
        "instance_type": "t3.small",
        "communicator": "none",
        "ami_name": "packed",
        "ami_regions": [FAR],
        "ami_users": [OTHER],
        "tags": {"golden:run": "1"},
        "snapshot_tags": {"golden:run": "1"},
    }
    (tmp_path / "web.json").write_text(json.dumps({"builders": [builder]}))
    environment = {
        **os.environ,
        **cloud.double.environment(),
        "CHECKPOINT_DISABLE": "1",
        "AWS_POLL_DELAY_SECONDS": "1",
        "PACKER_CONFIG_DIR": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    argv = ["packer", "build", "-color=false", "web.json"]
    ended = subprocess.run(
        argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

    tag = {"Name": "tag:golden:run", "Values": ["1"]}
    for region in ("eu-central-1", FAR):
        ec2 = cloud.ec2(region=region)
        (image,) = ec2.describe_images(Filters=[tag])["Images"]
        (snapshot,) = ec2.describe_snapshots(Filters=[tag])["Snapshots"]
        assert image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] == snapshot["SnapshotId"]
        assert cloud.ec2(OTHER, region).describe_images(ImageIds=[image["ImageId"]])["Images"]
    home = cloud.ec2()
    (group,) = home.describe_security_groups()["SecurityGroups"]
    (reservation,) = home.describe_instances()["Reservations"]
    assert group["GroupName"] == "default"
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"
    assert home.describe_key_pairs()["KeyPairs"] == []
