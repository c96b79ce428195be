"""Recipes that Packer builds, typed as people do; AWS is a double, its instances an SSH server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_double import Double, running_double
from tests.aws_double.serving import REGION
from tests.aws_double_tests.clouds import Cloud
from tests.functional.conftest import Cli
from tests.sshd import Server, ssh_server

COMPONENT = """\
name: page
schemaVersion: 1.0
parameters:
  - file: {type: string}
phases:
  - name: build
    steps:
      - {name: Write, action: ExecuteBash, inputs: {commands: ["echo hello > {{ file }}"]}}
  - name: validate
    steps:
      - {name: Look, action: ExecuteBash, inputs: {commands: ["grep hello {{ file }}"]}}
"""
RECIPE = """\
kind: Recipe
name: web
version: 1.0.x
builder: packer
parent: %(parent)s
packer:
  type: amazon-ebs
  access_key: env:OF_A_TEST_ACCESS
  secret_key: env:OF_A_TEST_SECRET
  custom_endpoint_ec2: %(endpoint)s
  skip_region_validation: true
  skip_metadata_api_check: true
  skip_credential_validation: true
  instance_type: t3.micro
%(starts)s  ssh_username: root
  ssh_host: 127.0.0.1
  ssh_port: %(port)d
  ssh_private_key_file: %(key)s
components:
  - component: page
    parameters: {file: %(file)s}
"""

needs_packer = pytest.mark.skipif(
    not shutil.which("packer"), reason="packer is missing; scripts/test installs it"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with ssh_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as double:
        yield double


def test_dry_run_then_tells_the_steps_and_starts_nothing(cli: Cli) -> None:
    cli.write("components/page/component.yaml", COMPONENT)
    text = "kind: Recipe\nname: web\nversion: 1.0.x\nbuilder: packer\nparent: packer:debian-12\n"
    use = "components: [{component: page, parameters: {file: /tmp/page}}]\n"
    cli.write("web.yaml", f"{text}packer: {{type: qemu}}\n{use}")

    plan = cli.json("build", "web.yaml", "--dry-run")

    assert [layer["name"] for layer in plan["layers"]] == ["page"]
    assert plan["reason"] == "it was never built"
    assert cli.json("run", "list") == []


def test_component_test_on_a_recipe_of_packer_then_says_that_it_has_no_layers(cli: Cli) -> None:
    path = cli.write("components/page/component.yaml", COMPONENT)
    cli.write(
        "web.yaml",
        "kind: Recipe\nname: web\nversion: 1.0.x\nbuilder: packer\nparent: packer:debian-12\n"
        "packer: {type: qemu}\n",
    )

    told = cli.error("component", "test", path, "--on", "web.yaml", "--set", "file=/tmp/page")

    assert (told["code"], told["exit"]) == ("not-of-layers", 2)


@needs_packer
@pytest.mark.root
@pytest.mark.parametrize("is_parent", [False, True], ids=["of-the-source", "of-the-parent"])
def test_build_at_amazon_then_the_image_is_a_placement_of_a_recorded_version(
    cli: Cli, double: Double, server: Server, monkeypatch: pytest.MonkeyPatch, *, is_parent: bool
) -> None:
    environment = double.environment()
    monkeypatch.setenv("OF_A_TEST_ACCESS", environment["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("OF_A_TEST_SECRET", environment["AWS_SECRET_ACCESS_KEY"])
    monkeypatch.setenv("AWS_POLL_DELAY_SECONDS", "1")
    cli.write("components/page/component.yaml", COMPONENT)
    page = cli.folder / "page"
    ami = Cloud(double=double).image("debian-12")
    parent = f"ami:{REGION}/{ami}" if is_parent else "packer:debian-12"
    given = {
        "endpoint": double.endpoint,
        "parent": parent,
        "starts": "" if is_parent else f"  region: {REGION}\n  source_ami: {ami}\n",
        "port": server.port,
        "key": server.key,
        "file": page,
    }
    recipe = cli.write("web.yaml", RECIPE % given)

    assert not cli.json("build", recipe)["is_unchanged"]

    assert page.read_text() == "hello\n"
    instances = [
        each["ImageId"]
        for reservation in double.client("ec2").describe_instances()["Reservations"]
        for each in reservation["Instances"]
    ]
    (placement,) = cli.json("placement", "list", "web")
    assert sorted(instances) == sorted([ami, placement["id"]])
    account = double.client("sts").get_caller_identity()["Account"]
    assert placement["target"] == f"aws:{account}/{REGION}"
    assert cli.json("image", "whatis", placement["id"])
    images = double.client("ec2").describe_images(Owners=["self"])["Images"]
    (image,) = [each for each in images if each["ImageId"] == placement["id"]]
    assert image["Name"].startswith("web-run-")
    assert cli.json("build", recipe)["is_unchanged"]
    assert list((cli.home / "packer").iterdir()) == []
    assert double.client("ec2").describe_images(ImageIds=[placement["id"]])["Images"]
    assert cli.json("image", "show", "web")["parent"]["asked"] == parent
    for words in (["image", "show"], ["image", "lineage"], ["image", "bill"], ["image", "report"]):
        shown = cli(*words, "web")
        assert shown.exit_code == 0, (words, shown.stderr, shown.exception)
    kept = [path.read_bytes() for path in cli.home.rglob("*") if path.is_file()]
    assert not any(environment["AWS_SECRET_ACCESS_KEY"].encode() in content for content in kept)
