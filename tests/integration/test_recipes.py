"""The other recipes of the repository, built on real input: recorded, scanned, gated, seeded."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.advisory_files import resolved, tracker, write_json
from tests.examples import ROOT, House, plain_qemu

RECIPES = sorted(
    {path.stem for path in (ROOT / "recipes").glob("*.yaml")} - {"debian-base", "debian-web"}
)
HARDENED_WAIVERS = {
    "service_timesyncd_enabled": "only a running system tells which services are active",
    "sshd_limit_user_access": "who may log in is said where the image is used",
    "root_path_no_dot": "only a running system tells the path of root",
}
"""What is left of CIS level 1 that is that bad, or of a severity nobody knows."""


pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.qemu, pytest.mark.timeout(1800)]


@pytest.fixture(name="content", scope="module")
def _content(house: House) -> Any:
    """Have what scans are made with."""
    return house.json("content", "fetch")


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_when_built_then_a_tested_version_is_recorded(house: House, recipe: str) -> None:
    built = house.json("build", f"recipes/{recipe}.yaml")
    shown = house.json("image", "show", built["version"])

    assert shown["tests"]
    assert shown["packages"] if "packages" in shown else shown["package_count"]


def test_content_when_fetched_again_then_nothing_is_new(house: House, content: Any) -> None:
    again = house.json("content", "fetch")

    assert {"ssg-debian12", "ssg-debian13"} <= {each["name"] for each in content}
    assert [each["is_new"] for each in again] == [False] * len(content)


@pytest.mark.usefixtures("content")
def test_hardened_image_when_findings_are_waived_then_passes_its_gate_until_one_is_not(
    house: House,
) -> None:
    reference = house.json("build", "recipes/debian-hardened.yaml")["version"]
    said = tracker(bash={"CVE_2026_1": {"bookworm": resolved("0")}})
    house.json(
        "advisory", "update", "--rescan", "--from", str(write_json(house.folder / "d.json", said))
    )
    gate = ("--fail-on", "high", "--profile", "cis_level1_server", "--min-coverage", "70%")
    for channel in ("stable", "next"):
        house.json("channel", "gate", f"debian-hardened@{channel}", *gate)

    refused = house.run("channel", "set", reference, "stable")
    assert refused.returncode == 4
    assert all(rule in refused.stderr for rule in HARDENED_WAIVERS)
    given = [
        house.json(
            *("waiver", "add", rule, "--benchmark", "DEBIAN-12", "--image", "debian-hardened"),
            *("--reason", reason, "--ticket", "SEC-1", "--owner", "ann", "--approver", "eva"),
            *("--expires", "30d"),
        )
        for rule, reason in HARDENED_WAIVERS.items()
    ]
    house.json("channel", "set", reference, "stable")

    later = house.run("gate", "check", reference, "--channel", "stable", "--at", "31d")
    assert later.returncode == 4
    assert "expired at" in later.stdout
    house.json("waiver", "revoke", given[0][0]["id"], "--why", "it can be mended now")
    blocked = house.run("channel", "set", reference, "next")
    assert blocked.returncode == 4
    assert next(iter(HARDENED_WAIVERS)) in blocked.stderr
    assert "revoked" in blocked.stderr


def test_machine_when_it_is_given_a_seed_then_it_is_what_the_seed_says(
    house: House, tmp_path: Path
) -> None:
    version = house.json("build", "recipes/debian-cloud.yaml")["version"]
    disk, key = tmp_path / "cloud.qcow2", tmp_path / "key"
    exported = house.run("image", "export", version, "--output", str(disk))
    assert exported.returncode == 0, exported.stderr
    _do("qemu-img", "resize", disk, "5G")
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    seed = _seed(tmp_path, key.with_suffix(".pub").read_text().strip())
    drive = ("-drive", f"file={seed},if=virtio,format=raw,readonly=on")

    with plain_qemu(disk, 22, drive) as port:
        said = _said(
            key,
            port,
            "cloud-init status --wait >/dev/null; hostname; sudo -n cat /root/greeting;"
            " df --output=size --block-size=G / | tail -n 1",
            until=time.monotonic() + 400,
        )

    assert said.split() == ["seeded", "hello", "5G"]


def _seed(folder: Path, public_key: str) -> Path:
    """Make a small disk with what a machine shall be. Source: cloud-init, NoCloud."""
    (folder / "user-data").write_text(
        f"#cloud-config\nssh_authorized_keys: ['{public_key}']\n"
        "write_files: [{path: /root/greeting, content: hello}]\n"
    )
    (folder / "meta-data").write_text("instance-id: first\nlocal-hostname: seeded\n")
    seed = folder / "seed.img"
    with seed.open("wb") as opened:
        opened.truncate(1024 * 1024)
    _do("mkfs.vfat", "-n", "CIDATA", seed)
    _do("mcopy", "-i", seed, folder / "user-data", folder / "meta-data", "::")
    return seed


def _do(*words: str | Path) -> None:
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run([str(word) for word in words], check=True, capture_output=True, env=path)


def _said(key: Path, port: int, command: str, until: float) -> str:
    """Run a command as the image's default user as soon as a login is possible."""
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    argv = ["ssh", "-i", str(key), "-p", str(port), "-o", "ConnectTimeout=10"]
    argv += [word for option in options for word in ("-o", option)]
    while True:
        done = subprocess.run(
            [*argv, "debian@127.0.0.1", command], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout
        assert time.monotonic() < until, done.stderr
