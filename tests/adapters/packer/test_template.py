"""Templates: what is in them, and what never is."""

import json
from pathlib import PurePath
from typing import Any

import pytest

from imagebuilder.adapters.packer.template import Composition, LocalHardware, template_of
from imagebuilder.domain.packer import PackerSource
from imagebuilder.ports.live_builds import LiveOrder, SourceRefused
from tests.packers import a_file, a_source, an_order

HERE = LocalHardware(
    accelerator="tcg",
    disk=PurePath("/store/blob"),
    public_key_credential="credential",
    key=PurePath("/keys/builder"),
)


def _template(order: LiveOrder, hardware: LocalHardware = HERE, **more: Any) -> dict[str, Any]:
    given = Composition(order=order, hook=["true"], hardware=hardware, **more)
    template: dict[str, Any] = json.loads(json.dumps(template_of(given)))
    return template


def _builder(source: PackerSource, hardware: LocalHardware = HERE) -> dict[str, Any]:
    builder: dict[str, Any] = _template(an_order(source), hardware)["builders"][0]
    return builder


def test_template_when_a_setting_is_kept_elsewhere_then_a_variable_stands_for_it() -> None:
    source = a_source("amazon-ebs", "web", secret_key="env:KEY", assume_role={"token": "file:/t"})
    variables = {("web", ("secret_key",)): "secret_0", ("web", ("assume_role", "token")): "s_1"}

    template = _template(an_order(source), variables=variables)

    builder = template["builders"][0]
    assert builder["secret_key"] == "{{user `secret_0`}}"
    assert builder["assume_role"] == {"token": "{{user `s_1`}}"}
    assert template["sensitive-variables"] == ["s_1", "secret_0"]
    assert template["variables"] == {"secret_0": "", "s_1": ""}


def test_template_of_amazon_then_all_that_is_started_names_its_run() -> None:
    builder = _builder(a_source("amazon-ebs", "web", run_tags={"Team": "web"}))

    assert builder["run_tags"] == {"Team": "web", "imagebuilder-run": "run-1"}
    assert builder["run_volume_tags"] == {"imagebuilder-run": "run-1"}
    assert builder["ami_name"] == "debian-web-run-1-web"


def test_template_of_amazon_then_all_that_is_made_names_its_run_beside_what_people_say() -> None:
    source = a_source(
        "amazon-ebs", "web", tags={"Team": "web"}, snapshot_tags={"Cost": "7"}, ami_name="mine"
    )

    builder = _builder(source)

    assert builder["tags"] == {"Team": "web", "imagebuilder-run": "run-1"}
    assert builder["snapshot_tags"] == {"Cost": "7", "imagebuilder-run": "run-1"}
    assert builder["ami_name"] == "mine"


def test_template_of_qemu_when_there_is_a_disk_then_it_starts_from_it_on_the_loopback() -> None:
    builder = _builder(a_source("qemu", "box"))

    assert (builder["iso_url"], builder["disk_image"]) == ("/store/blob", True)
    assert "hostfwd=tcp:127.0.0.1:" in json.dumps(builder["qemuargs"])
    assert builder["ssh_private_key_file"] == "/keys/builder"


def test_template_of_qemu_when_it_names_its_own_image_then_no_key_of_ours_is_let_in() -> None:
    source = a_source("qemu", "box", iso_url="https://example.org/debian.qcow2", memory=512)

    builder = _builder(source, LocalHardware(accelerator="kvm"))

    assert "smbios" not in json.dumps(builder["qemuargs"])
    assert "hostfwd=tcp:127.0.0.1:" in json.dumps(builder["qemuargs"])
    assert (builder["accelerator"], builder["memory"]) == ("kvm", 512)


@pytest.mark.parametrize("name", ["output_directory", "vm_name", "name"])
def test_template_when_a_source_sets_what_is_ours_then_it_is_refused(name: str) -> None:
    settings = {name: "mine"}
    source = PackerSource(type="qemu", name="box", settings=settings)

    with pytest.raises(SourceRefused, match="does not take"):
        _builder(source)


def test_template_when_a_source_has_no_machine_then_nobody_waits_for_one() -> None:
    template = _template(an_order(a_file("text"), a_source("null", "n", communicator="none")))

    assert template["provisioners"][0]["except"] == ["text", "n"]
