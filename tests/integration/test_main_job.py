"""The main job, as a person does it: a recipe becomes a booted, tested, recorded image."""

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from imagebuilder.domain.image import parse_reference
from imagebuilder.domain.recipe import Suite
from tests.examples import House, plain_qemu
from tests.roots import left_behind
from tests.staged import StagedRun
from tests.workshops import machine_sources

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.qemu, pytest.mark.timeout(1800)]


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
