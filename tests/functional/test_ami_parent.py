"""Recipes that are built on AMIs, as people meet them; AWS is a double."""

from collections.abc import Iterator

import pytest

from tests.aws_double import Double, running_double
from tests.aws_double.serving import HOME, REGION
from tests.aws_double_tests.clouds import Cloud
from tests.functional.conftest import Cli

pytestmark = pytest.mark.filterwarnings("default")  # the double's own

NOWHERE = f"ami:{REGION}/ami-0123456789abcdef0"
RECIPE = "kind: Recipe\nname: %s\nversion: 1.0.x\nparent: %s\nartifacts: [tar]\n"


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    with running_double() as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


def test_dry_run_when_the_ami_is_not_at_hand_then_tells_what_it_would_fetch_and_asks_nobody(
    cli: Cli, double: Double
) -> None:
    base = cli.write("base.yaml", RECIPE % ("base", NOWHERE))
    cli.write("web.yaml", RECIPE % ("web", "image:base"))

    plan = cli.json("build", "web.yaml", "--dry-run")

    assert (plan["fetch"], plan["image"]) == (NOWHERE, f"ami-0123456789abcdef0.{REGION}")
    assert (plan["plan"], plan["layers"], plan["then"]) == (None, [], [str(base), "web.yaml"])
    told = cli("build", "web.yaml", "--dry-run").stdout.splitlines()
    assert told[0] == f"fetch: {NOWHERE}, and record it as ami-0123456789abcdef0.{REGION}"
    assert double.log.calls() == []
    assert cli.json("run", "list") == []


def test_build_when_the_ami_is_not_seen_then_tells_who_looked_where_and_the_line(
    cli: Cli, double: Double
) -> None:
    cli.write("web.yaml", RECIPE % ("web", NOWHERE))

    error = cli.error("build", "web.yaml")

    assert (error["exit"], error["code"]) == (4, "target-refused")
    assert error["message"] == f"{NOWHERE} refused ec2:DescribeImages."
    assert f"Account {HOME} sees no" in error["context"]
    assert error["origin"] == "web.yaml:4:9"
    (run,) = cli.json("run", "list")
    assert (run["state"], run["image"]) == ("failed", f"ami-0123456789abcdef0.{REGION}")
    assert double.log.count("ListSnapshotBlocks") == 0


def test_build_when_the_disk_of_the_ami_is_none_we_read_then_tells_the_line(
    cli: Cli, double: Double
) -> None:
    image = Cloud(double=double).image()
    cli.write("web.yaml", RECIPE % ("web", f"ami:{REGION}/{image}"))

    error = cli.error("build", "web.yaml")

    assert (error["exit"], error["code"]) == (4, "foreign-image-refused")
    assert (error["origin"], f"{image}.raw" in error["message"]) == ("web.yaml:4:9", True)
