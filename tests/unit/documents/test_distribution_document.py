"""Distribution documents: what a sound one says, and that it knows the formats there are."""

import json
from pathlib import Path

import pytest

from imagebuilder.documents.json_schema import DocumentKind, schema_text
from imagebuilder.documents.problems import InvalidDocument
from imagebuilder.documents.reader import read_distribution
from imagebuilder.domain import target
from imagebuilder.domain.ids import DistributionName
from imagebuilder.domain.recipe import ArtifactFormat

GOLDEN = Path(__file__).parents[2] / "golden/distributions"
EXAMPLES = Path(__file__).parents[3] / "distributions"


def read(name: str) -> target.DistributionSpec:
    return read_distribution((GOLDEN / name).read_text(), name).value


def test_distribution_with_every_key_says_what_is_written() -> None:
    assert read("every-key.yaml") == target.DistributionSpec(
        name=DistributionName("everywhere"),
        description="Wherever our images are used.",
        tolerated_failures=2,
        targets=(
            target.TargetSpec(name="production", place=_production()),
            target.TargetSpec(
                name="mirror",
                place=target.FolderPlace(
                    path="/srv/images", formats=(ArtifactFormat.QCOW2, ArtifactFormat.RAW)
                ),
            ),
            target.TargetSpec(
                name="bucket",
                place=target.S3Place(
                    bucket="example-images",
                    prefix="images/debian",
                    region="eu-central-1",
                    endpoint="https://s3.example.org",
                    formats=(ArtifactFormat.RAW,),
                ),
            ),
            target.TargetSpec(
                name="registry",
                place=target.OciPlace(
                    repository="registry.example.org:5000/images/web",
                    tag="{version}",
                    credentials="env:REGISTRY_LOGIN",
                    is_plain_http=True,
                ),
            ),
            target.TargetSpec(
                name="lab",
                place=target.LibvirtPlace(
                    uri="qemu:///system", pool="default", volume="{image}-{version}.qcow2"
                ),
            ),
            target.TargetSpec(
                name="cloud",
                place=target.GlancePlace(
                    endpoint="http://127.0.0.1:9292",
                    name="{image} {version}",
                    members=("8a2f7c",),
                    token="file:/run/secrets/token",
                ),
            ),
        ),
        path="every-key.yaml",
        text=(GOLDEN / "every-key.yaml").read_text(),
    )


def _production() -> target.AwsPlaces:
    return target.AwsPlaces(
        home=target.AwsHome(
            account="111111111111",
            region="eu-central-1",
            access=target.Access(
                role="arn:aws:iam::{account}:role/imagebuilder-home",
                external_id="env:HOME_EXTERNAL_ID",
            ),
        ),
        audience=target.Audience(
            accounts=("222222222222", "033333333333"),
            organizational_units=("ou-ab12-11111111",),
            organizations=("o-abcdefghij",),
        ),
        regions=("eu-central-1", "us-east-1"),
        delivery=target.Delivery.SHARE,
        access=target.Access(
            role="imagebuilder-target", external_id="file:/etc/imagebuilder/external-id"
        ),
        ami_name="{image}-{version}-{build}-{region}",
        keys={
            "eu-central-1": "arn:aws:kms:eu-central-1:111111111111:key/1234",
            "us-east-1": "alias/images",
        },
        tags={"team": "platform", "version": "{version}-{build}"},
        parameter="/images/{image}",
        launch_template="web",
        deprecate_after_seconds=180 * 86400,
        export_bucket="example-images",
    )


def test_distribution_that_says_little_has_what_the_domain_says_of_the_rest() -> None:
    spec = read("small.yaml")

    assert spec.targets == (
        target.TargetSpec(name="mirror", place=target.FolderPlace(path="/srv/images")),
    )
    assert spec.tolerated_failures is None


def test_distribution_when_only_copies_are_asked_for_then_the_home_may_have_a_key_too() -> None:
    text = """\
kind: Distribution
name: far
targets:
  - name: far
    aws:
      home: {account: "111111111111", region: eu-central-1}
      accounts: ["222222222222"]
      regions: [us-east-1]
      keys: {eu-central-1: alias/home, us-east-1: alias/far}
"""

    (spec,) = read_distribution(text, "far.yaml").value.targets

    assert isinstance(spec.place, target.AwsPlaces)
    assert spec.place.keys == {"eu-central-1": "alias/home", "us-east-1": "alias/far"}


def test_schema_knows_just_the_kinds_and_formats_there_are() -> None:
    targets = json.loads(schema_text(DocumentKind.DISTRIBUTION))["properties"]["targets"]
    entry = targets["items"]["properties"]

    assert set(entry) == {"name", *target.TargetKind}
    for kind in (target.TargetKind.FOLDER, target.TargetKind.S3, target.TargetKind.OCI):
        formats = entry[kind]["properties"]["formats"]["items"]["enum"]
        assert formats == [format_.value for format_ in ArtifactFormat]


def test_examples_when_read_then_are_sound() -> None:
    examples = sorted(EXAMPLES.glob("*.yaml"))

    read = [read_distribution(path.read_text(), path.name) for path in examples]

    assert read != []
    assert [each.warnings for each in read] == [()] * len(examples)


def libvirt_at(uri: str) -> str:
    place = f"libvirt: {{uri: {json.dumps(uri)}, pool: default}}"
    return f"kind: Distribution\nname: lab\ntargets:\n  - name: pool\n    {place}\n"


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu+ssh://eva@host.example.org:22/system?keyfile=/etc/key&known_hosts=/etc/hosts",
        "qemu+unix:///session?socket=/run/libvirt/sock",
        "qemu+tls://[::1]:16514/system",
        "test:///default",
    ],
)
def test_libvirt_uri_of_a_daemon_is_taken(uri: str) -> None:
    assert len(read_distribution(libvirt_at(uri), "d.yaml").value.targets) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ext:///system?command=/bin/touch",
        "qemu+ssh://host/system?command=/bin/touch",
        "qemu+ssh://host/system?comm%61nd=/bin/touch",
        "qemu+ssh://host/system?mode=auto;command=/bin/touch",
        "qemu+ssh://host/system?mode=auto&command=/bin/touch",
        "qemu+ssh://host/system?netcat=/bin/touch",
        "qemu+ssh://-oProxyCommand=touch/system",
        "qemu+ssh://eva:word@host/system",
        "--help",
    ],
)
def test_libvirt_uri_that_runs_a_program_or_holds_a_password_is_refused(uri: str) -> None:
    with pytest.raises(InvalidDocument):
        read_distribution(libvirt_at(uri), "d.yaml")
