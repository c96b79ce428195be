"""A folder's pipelines are in force as its documents say, through the real bootstrap."""

import os
from pathlib import Path

import pytest

from imagebuilder.services.mirroring import Mirroring
from tests.functional.conftest import Cli

RECIPE = """\
kind: Recipe
name: web
version: 1.0.x
parent: debian:bookworm
components:
  - motd@1.x
"""
COMPONENT = """\
schemaVersion: 1.0
name: motd
version: 1.0.0
description: Greets.
phases:
  - name: build
    steps:
      - name: Write
        action: ExecuteBash
        inputs:
          commands: [echo {greeting}]
"""
PIPELINE = "kind: Pipeline\nname: {name}\nrecipe: ../recipes/web.yaml\n"


@pytest.fixture
def mirroring(cli: Cli) -> Mirroring:
    cli.write("images/recipes/web.yaml", RECIPE)
    cli.write("images/components/motd/component.yaml", COMPONENT.format(greeting="hello"))
    cli.write("images/pipelines/web.yaml", PIPELINE.format(name="nightly"))
    return cli.application().mirroring(cli.folder / "images")


def look(mirroring: Mirroring) -> None:
    for _ in range(2):
        mirroring.look()


def in_force(cli: Cli) -> list[str]:
    return [applied.pipeline.name for applied in cli.application().pipelines.all()]


def test_watch_then_documents_come_into_force_change_and_go(cli: Cli, mirroring: Mirroring) -> None:
    look(mirroring)
    assert in_force(cli) == ["nightly"]
    by = cli.application().pipelines.get("nightly").applied_by
    assert by == f"watch {cli.folder / 'images'}"

    cli.write("images/pipelines/other.yaml", PIPELINE.format(name="weekly"))
    look(mirroring)
    assert in_force(cli) == ["nightly", "weekly"]
    assert cli.json("run", "list") == []

    os.unlink(cli.folder / "images/pipelines/web.yaml")  # noqa: PTH108 - as a checkout does
    look(mirroring)
    assert in_force(cli) == ["weekly"]
    actions = [entry["action"] for entry in cli.json("audit", "list")]
    assert actions == ["pipeline-removed", "pipeline-applied", "pipeline-applied"]


def test_watch_when_a_component_changes_then_its_pipelines_run(
    cli: Cli, mirroring: Mirroring
) -> None:
    look(mirroring)
    component = cli.write(
        "images/components/motd/component.yaml", COMPONENT.format(greeting="good morning")
    )

    look(mirroring)
    look(mirroring)

    (run,) = cli.json("run", "list")
    assert (run["state"], run["order"]["trigger"]) == ("queued", "document")
    assert run["order"]["why"].endswith(f"{component} changed")


def test_watch_when_a_document_is_faulty_then_the_former_stays_and_is_told(
    cli: Cli, mirroring: Mirroring, caplog: pytest.LogCaptureFixture
) -> None:
    told = "notify: [{email: ops@example.org, on: [faulty]}]\n"
    cli.write("images/pipelines/web.yaml", PIPELINE.format(name="nightly") + told)
    look(mirroring)
    cli.write("images/pipelines/web.yaml", PIPELINE.format(name="nightly") + "schedul: x\n")

    look(mirroring)
    look(mirroring)

    assert in_force(cli) == ["nightly"]
    (record,) = [each for each in caplog.records if each.name == "imagebuilder.watch"]
    assert "schedul" in record.getMessage()
    application = cli.application()
    (notice,) = application.notices.due(application.clock.now(), 9)
    assert (notice.event, notice.target.to) == ("faulty", "ops@example.org")
    assert "schedul" in str(notice.payload["why"])


def test_watch_when_the_folder_is_a_link_to_a_checkout_then_only_what_changed_counts(
    cli: Cli, mirroring: Mirroring
) -> None:
    images = cli.folder / "images"
    images.rename(cli.folder / "checkout-1")
    images.symlink_to("checkout-1")
    look(mirroring)
    second = cli.folder / "checkout-2"
    for name in ("recipes/web.yaml", "pipelines/web.yaml", "components/motd/component.yaml"):
        (second / name).parent.mkdir(parents=True)
        text = (images / name).read_text()
        (second / name).write_text(text.replace("hello", "good morning"))
    Path(cli.folder / "new").symlink_to("checkout-2")

    (cli.folder / "new").replace(images)
    look(mirroring)
    look(mirroring)

    assert in_force(cli) == ["nightly"]
    (run,) = cli.json("run", "list")
    assert run["order"]["why"].endswith("components/motd/component.yaml changed")
