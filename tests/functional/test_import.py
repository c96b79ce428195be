"""`imagebuilder image import`, as far as it goes without opening anything."""

import pytest

from tests.functional.conftest import Cli

NAMED = ("--name", "vendor", "--version", "1.0.x")


@pytest.mark.parametrize(
    "given", [(), ("--file", "f", "--oci", "host/name:tag"), ("--ami", "ami-1")]
)
def test_import_when_nothing_or_two_things_are_given_then_exits_with_2(
    cli: Cli, given: tuple[str, ...]
) -> None:
    error = cli.error("image", "import", *given, *NAMED)

    assert (error["exit"], error["code"]) == (2, "source-unclear")
    assert cli.json("run", "list") == []


def test_import_as_what_no_image_can_be_then_exits_with_2(cli: Cli) -> None:
    error = cli.error("image", "import", "--file", "f", "--name", "A B", "--version", "1.0.x")

    assert (error["exit"], error["code"]) == (2, "import-misnamed")
