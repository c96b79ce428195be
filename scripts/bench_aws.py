"""Measures how images get to AWS, against the double of the tests in a process of its own.

Figures: upload_client_mb_per_s is an upload whose calls are answered within the client;
upload_double_ratio one through the double, by what the double takes of bare senders; fanout_*
are copies to 50 accounts in 4 regions, entered by roles, with 16 at once; changed_bytes_ratio is
what is sent of a version whose HAProxy (4 MB) is a newer one, by the bytes of the files that
changed, and changed_disk_ratio by the disk's data; small_changed_* are of a newer sudo (2 MB), and
small_added_* of a package of 1 MB that was not there. These need root and take minutes.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

# ruff: noqa: E402 - what is imported below is found by the path that is set first
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_build import SMALL, Bench, file_of
from botocore.awsrequest import AWSResponse
from memory import peak_mib

from imagebuilder.adapters.aws.accounts import Accounts
from imagebuilder.adapters.aws.calls import Calls
from imagebuilder.adapters.aws.carrier import AwsCarrier
from imagebuilder.adapters.aws.clients import Boto
from imagebuilder.adapters.aws.snapshots.blocks import RawDisk, candidates, changed
from imagebuilder.adapters.aws.snapshots.making import WORKERS, Cargo, SnapshotMaking
from imagebuilder.adapters.system.clock import SystemClock
from imagebuilder.ports.disks import BLOCK_BYTES
from tests.aws_double.apart import double_apart, measured_limit
from tests.clouds import (
    AT_HOME,
    SECRETS,
    Route,
    a_disk,
    a_role_at,
    aws_places,
    environment_at,
)

BLOCKS = 600
ACCOUNTS = [f"{200_000_000_000 + number}" for number in range(50)]
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
AT_ONCE = 16
SENDERS = 4  # more than that only hinder each other in a server of one interpreter


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def full_disk(folder: Path, name: str) -> Path:
    """Give a disk of a GiB with 315 MB of what cannot be guessed."""
    blocks = {index * 3: os.urandom(BLOCK_BYTES) for index in range(BLOCKS)}
    return a_disk(folder / name, blocks, 1 << 30)


def upload_seconds(
    calls: Calls, disk: Path, folder: Path, token: str, workers: int = WORKERS
) -> float:
    """Give how long an upload takes, from nothing until the last block was taken."""
    cargo = Cargo(disk=disk, digest=token, token=token, scratch=folder / token)
    started = time.perf_counter()
    taken_at = [started]
    making = SnapshotMaking(calls, workers=workers)
    making.made(AT_HOME, cargo, lambda _: taken_at.append(time.perf_counter()))
    return taken_at[-1] - started


def calls_at(endpoint: str) -> Calls:
    """Give calls to an endpoint."""
    return Calls(Accounts(SECRETS.__getitem__, endpoint=endpoint), SystemClock())


class AnsweredAccounts(Accounts):
    """Accounts whose clients answer themselves, in front of the network."""

    def __init__(self) -> None:
        """Begin with a snapshot that is not there."""
        super().__init__(SECRETS.__getitem__)
        self._looks = 0

    def _session(self, whose: str) -> Boto:
        is_new = whose not in self._sessions
        session = super()._session(whose)
        if is_new:
            session.register("before-send.ebs.*", self._ebs)
            session.register("before-send.ec2.*", self._ec2)
        return session

    def _ebs(self, request: Boto, **_: Boto) -> AWSResponse:
        if "/blocks/" in request.url:
            return answered(b"{}", {"x-amz-Checksum": request.headers["x-amz-Checksum"]})
        return answered(b'{"SnapshotId": "snap-0123456789abcdef0", "Status": "pending"}')

    def _ec2(self, request: Boto, **_: Boto) -> AWSResponse:
        """Tell of no snapshot, then of one that is pending, then of one that is completed."""
        del request
        state = ("", "pending", "completed")[min(self._looks, 2)]
        self._looks += 1
        told = (
            f"<item><snapshotId>snap-0123456789abcdef0</snapshotId><status>{state}</status></item>"
        )
        return answered(f"<R><snapshotSet>{told if state else ''}</snapshotSet></R>".encode())


class Body(io.BytesIO):
    """A body as the network would give it."""

    def stream(self, **_: Boto) -> Iterator[bytes]:
        """Give it whole."""
        yield self.read()


def answered(body: bytes, headers: dict[str, str] | None = None) -> AWSResponse:
    """Give an answer that is good."""
    return AWSResponse("http://stub", 200, headers or {}, Body(body))


def client_figures(folder: Path) -> dict[str, float]:
    """Measure the client alone."""
    disk = full_disk(folder, "client.raw")
    rates = []
    with environment_at("https://127.0.0.1:9"):
        for number in range(4):
            calls = Calls(AnsweredAccounts(), SystemClock())
            seconds = upload_seconds(calls, disk, folder, f"client {number}")
            rates.append(BLOCKS * BLOCK_BYTES / 1e6 / seconds)
            say(f"client alone: {rates[-1]:.0f} MB/s")
    return {"upload_client_mb_per_s": statistics.median(rates[1:])}


def double_figures(folder: Path) -> dict[str, float]:
    """Measure an upload through the double, and what the double takes at most."""
    disk = full_disk(folder, "double.raw")
    ratios = []
    for number in range(3):
        with double_apart() as endpoint, environment_at(endpoint):
            calls = calls_at(endpoint)
            warm = a_disk(folder / "warm.raw", {0: b"x"}, 1 << 30)
            upload_seconds(calls, warm, folder, f"warm {number}")
            limit = measured_limit(endpoint, threads=SENDERS, blocks=BLOCKS).mb_per_second
            seconds = upload_seconds(calls, disk, folder, f"double {number}", SENDERS)
            rate = BLOCKS * BLOCK_BYTES / 1e6 / seconds
            say(f"through the double: {rate:.0f} MB/s of at most {limit:.0f}")
            ratios.append(rate / limit)
    return {"upload_double_ratio": statistics.median(ratios)}


def fanout(endpoint: str) -> None:
    """Copy an AMI everywhere, and print how long that took and how much memory."""
    with tempfile.TemporaryDirectory() as name, environment_at(endpoint):
        folder = Path(name)
        route = Route(
            carrier=AwsCarrier(calls_at(endpoint)),
            places=aws_places(*ACCOUNTS, regions=REGIONS),
            disk=a_disk(folder / "raw", {0: b"boot"}),
            scratch=folder,
        )
        home, *copies = route.targets
        route.place(home)
        started = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(route.place, copies))
        seconds = time.perf_counter() - started
    figures = {
        "fanout_200_seconds": seconds,
        "fanout_peak_mib": peak_mib(),
        "fanout_targets": len(copies),
    }
    print(json.dumps(figures))


def fanout_figures() -> dict[str, float]:
    """Measure the copies, in a process that does nothing else."""
    with double_apart() as endpoint:
        for account in ACCOUNTS:
            a_role_at(endpoint, account)
        argv = [sys.executable, __file__, "--fanout-at", endpoint]
        done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    say(f"copies: {figures}")
    return figures


class NothingToMeasure(Exception):
    """What would be measured is not there."""


def old_and_new(package: str) -> tuple[str, str]:
    """Give what installs the oldest and the newest version of a package that mirrors have."""
    argv = ["apt-cache", "madison", package]
    told = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
    versions = [line.split("|")[1].strip() for line in told.splitlines()]
    if len(set(versions)) == 1:
        raise NothingToMeasure(f"Mirrors have one version of {package} only, so no update of it.")
    return f"{package}={versions[-1]}", f"{package}={versions[0]}"


@dataclass(frozen=True)
class Built:
    """A version and its raw disk."""

    reference: str
    disk: Path


class Versions:
    """Versions of one image, each of them with one package that is not as before."""

    def __init__(self, folder: Path) -> None:
        """Build below a folder."""
        self._bench = Bench(folder)
        self._home = self._bench.home("versions")
        self._folder = folder

    def built(self, what: str, *packages: str) -> Built:
        """Build what the packages make."""
        say(f"building a version {what} ...")
        self._bench.write_documents("first", packages)
        reference = str(self._bench.build(self._home)[1]["version"])
        file = file_of(self._bench.build(self._home, "--until", "artifact")[1])
        disk = self._folder / f"{reference.replace('/', '-')}.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(file), str(disk)], check=True)
        return Built(reference=reference, disk=disk)

    def figures(self, name: str, old: Built, new: Built) -> dict[str, float]:
        """Measure what would be sent of the newer one."""
        files_bytes = self._changed_bytes(old, new)
        with closing(RawDisk(old.disk)) as base, closing(RawDisk(new.disk)) as disk:
            sent = sum(changed(disk, base, index) is not None for index in candidates(disk, base))
            whole = sum(changed(disk, None, index) is not None for index in candidates(disk, None))
        say(f"{sent} of {whole} blocks sent, {files_bytes / 1e6:.1f} MB of files changed")
        return {
            f"{name}_bytes_ratio": sent * BLOCK_BYTES / files_bytes,
            f"{name}_disk_ratio": sent / whole,
            f"{name}_sent_mb": sent * BLOCK_BYTES / 1e6,
        }

    def _changed_bytes(self, old: Built, new: Built) -> int:
        argv = [str(ROOT / ".venv/bin/imagebuilder"), "image", "diff", "--files", "--json"]
        environment = dict(os.environ, IMAGEBUILDER_HOME=str(self._home))
        argv += [old.reference, new.reference]
        told = subprocess.run(argv, check=True, stdout=subprocess.PIPE, env=environment)
        return sum(
            int(change["new"]["size_bytes"] or 0)
            for change in json.loads(told.stdout)["files"]["listed"]
            if change["new"] is not None and "content" in (change["aspects"] or ["content"])
        )


def version_figures(folder: Path) -> dict[str, float]:
    """Build versions, and measure what is sent of each: a server, a tool, one package more."""
    versions = Versions(folder)
    old_server, server = old_and_new("haproxy")
    old_tool, tool = old_and_new("sudo")
    first = versions.built("to begin with", old_server, old_tool)
    second = versions.built("with a newer server", server, old_tool)
    third = versions.built("with a newer tool", server, tool)
    fourth = versions.built("with one package more", server, tool, SMALL[0])
    return {
        **versions.figures("changed", first, second),
        **versions.figures("small_changed", second, third),
        **versions.figures("small_added", third, fourth),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="where to work")
    parser.add_argument("--only", choices=["client", "double", "fanout", "versions"])
    parser.add_argument("--fanout-at", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.fanout_at:
        fanout(given.fanout_at)
        return
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="bench-aws-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], dict[str, float]]] = {
            "client": lambda: client_figures(folder),
            "double": lambda: double_figures(folder),
            "fanout": fanout_figures,
            "versions": lambda: version_figures(folder),
        }
        for part, measure in parts.items():
            if given.only in {None, part}:
                try:
                    figures |= measure()
                except NothingToMeasure as nothing:
                    say(f"{part}: {nothing}")
    for figure, value in figures.items():
        say(f"{figure:>26} {value:10.3f}")
    print(json.dumps({figure: round(value, 4) for figure, value in figures.items()}))


if __name__ == "__main__":
    main()
