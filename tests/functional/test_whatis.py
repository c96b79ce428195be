"""`imagebuilder image whatis`."""

import gzip
import os

import pytest

from tests.build import a_run
from tests.functional.conftest import DISK, Catalogue, Cli

LATEST = "debian-web@1.2.1/1"
BOTH = [LATEST, "debian-web@1.2.0/1"]


def kinds(cli: Cli, thing: str) -> dict[str, list[str]]:
    """Give what a thing may be. Shape: kind and name -> the versions."""
    return {
        f"{found['kind']} {found['name']}".strip(): [v["reference"] for v in found["versions"]]
        for found in cli.json("image", "whatis", thing)
    }


def test_whatis_of_a_version_then_says_how_it_stands_and_where_it_was_put(
    cli: Cli, catalogue: Catalogue
) -> None:
    cli("placement", "add", "debian-web", "--target", "aws:1/eu", "--id", "ami-1")

    assert cli("image", "whatis", catalogue.new.id).stdout.splitlines() == [
        f"version {LATEST}",
        f"  {LATEST} active [latest]",
        "    ami-1 at aws:1/eu",
    ]
    assert kinds(cli, "debian-web@1.2.0") == {"version debian-web@1.2.0/1": BOTH[1:]}
    assert kinds(cli, catalogue.old.id[:-2]) == {"version debian-web@1.2.0/1": BOTH[1:]}


def test_whatis_of_an_ami_then_says_of_which_version(cli: Cli, catalogue: Catalogue) -> None:
    for target in ("aws:1/eu", "aws:1/us"):
        cli("placement", "add", "debian-web", "--target", target, "--id", "ami-1")
    cli("placement", "withdraw", "aws:1/us", "ami-1")

    assert kinds(cli, "ami-1") == {"placement aws:1/eu": [LATEST], "placement aws:1/us": [LATEST]}
    assert "ami-1 withdrawn from aws:1/us" in cli("image", "whatis", "ami-1").stdout


def test_whatis_of_a_channel_then_says_what_it_means(cli: Cli, catalogue: Catalogue) -> None:
    assert kinds(cli, "debian-web@latest") == {"channel debian-web@latest": [LATEST]}


def test_whatis_of_a_run_then_says_what_it_recorded(cli: Cli, catalogue: Catalogue) -> None:
    run_id = catalogue.new.run_id
    cli.application().runs.save(a_run(run_id))
    cli.application().runs.save(a_run("run-twice"))

    assert kinds(cli, run_id) == {f"run {run_id} (running)": [LATEST]}
    assert kinds(cli, "run-t") == {"run run-twice (running)": []}
    assert "no version came of it" in cli("image", "whatis", "run-twice").stdout


def test_whatis_of_the_start_of_several_runs_then_names_them(
    cli: Cli, catalogue: Catalogue
) -> None:
    for run_id in ("run-21", "run-22"):
        cli.application().runs.save(a_run(run_id))

    error = cli.error("image", "whatis", "run-2")

    assert (error["exit"], error["code"]) == (3, "run-not-found")
    assert error["context"] == "run-21, run-22"


def test_whatis_of_a_digest_then_says_what_it_is_of(cli: Cli, catalogue: Catalogue) -> None:
    whole = {"artifact qcow2": [*BOTH, "debian-base@1.0.0/1"], "artifact raw": [LATEST]}
    for digits in (str(catalogue.disk), catalogue.disk.hex, catalogue.disk.hex[:8]):
        assert kinds(cli, digits) == whole
    assert kinds(cli, catalogue.disk.hex.upper()) == whole


def test_whatis_of_what_a_version_was_made_from_then_says_which_kind(
    cli: Cli, catalogue: Catalogue
) -> None:
    new, everywhere = catalogue.new, [*BOTH, "debian-base@1.0.0/1"]
    layer = new.layers[1]

    assert kinds(cli, layer.content.hex) == {"layer nginx": [LATEST]}
    assert kinds(cli, str(layer.component_digest)) == {"component nginx 1.0.1": [LATEST]}
    assert kinds(cli, new.layers[0].key.hex) == {"layer-key root": everywhere}
    assert kinds(cli, new.plan_digest.hex) == {"plan": everywhere}
    assert kinds(cli, new.disk_digest.hex)["disk"] == everywhere
    assert kinds(cli, new.definition_digest.hex) == {"definition": [LATEST]}
    assert kinds(cli, new.documents[0].digest.hex) == {"document recipe debian-web": [LATEST]}
    address, digest = next(iter(new.indexes.items()))
    assert kinds(cli, digest.hex) == {f"index {address}": everywhere}


def test_whatis_of_a_file_then_finds_it_by_its_bytes(cli: Cli, catalogue: Catalogue) -> None:
    file = cli.folder / "mine.qcow2"
    file.write_bytes(DISK)

    assert kinds(cli, str(file))["artifact raw"] == [LATEST]


def test_whatis_of_a_compressed_file_then_finds_what_it_holds(
    cli: Cli, catalogue: Catalogue
) -> None:
    file = cli.folder / "mine.gz"
    file.write_bytes(gzip.compress(DISK))

    assert "gzip undone" in cli("image", "whatis", str(file)).stdout


def test_whatis_of_a_foreign_file_then_says_what_was_looked_for(
    cli: Cli, catalogue: Catalogue
) -> None:
    error = cli.error("image", "whatis", str(cli.write("mine.qcow2", "not yours")))

    assert (error["exit"], error["code"]) == (3, "not-one-of-ours")
    assert "sha256:" in error["context"]


def test_whatis_of_a_pipe_then_is_refused_at_once(cli: Cli, catalogue: Catalogue) -> None:
    os.mkfifo(cli.folder / "pipe")

    error = cli.error("image", "whatis", "pipe")

    assert (error["exit"], error["code"]) == (2, "file-unreadable")


@pytest.mark.parametrize(
    "thing",
    ["ami-0", "run-9", "0" * 8, "f" * 64, "abc", "debian-wed", "web@stable", "a@b@c", "\x1b"],
)
def test_whatis_of_what_is_not_ours_then_says_so(
    cli: Cli, catalogue: Catalogue, thing: str
) -> None:
    error = cli.error("image", "whatis", thing)

    assert (error["exit"], error["code"]) == (3, "not-one-of-ours")
    assert "a placement" in error["context"]
