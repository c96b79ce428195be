"""The double in a process of its own, and how much it takes: what uploads are measured by."""

import base64
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3

from tests.aws_double.accounts import admin_key
from tests.aws_double.block_spool import BLOCK_BYTES
from tests.aws_double.serving import HOME, REGION, SECRET

_ROOT: Final = Path(__file__).parents[2]
_ENDPOINT: Final = re.compile(r"AWS sandbox: (http://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How fast the double takes blocks from senders that do nothing else."""

    blocks: int
    seconds: float

    @property
    def mb_per_second(self) -> float:
        """Megabytes of blocks in a second."""
        return self.blocks * BLOCK_BYTES / 1e6 / self.seconds


@contextmanager
def double_apart() -> Iterator[str]:
    """Give the endpoint of a double that shares no interpreter lock with who asks it."""
    argv = [sys.executable, "-m", "tests.aws_double", "--port", "0"]
    with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = _ENDPOINT.fullmatch(process.stdout.readline().strip())
            if found is None:
                raise RuntimeError("the double did not start")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def measured_limit(endpoint: str, *, threads: int = 4, blocks: int = 400) -> Limit:
    """Give how fast a double takes blocks: over bare HTTP, signed, summed and random beforehand.

    No block is twice among them: one that the double keeps already costs it nothing.
    """
    client = boto3.client(
        "ebs",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=admin_key(HOME),
        aws_secret_access_key=SECRET,
    )
    snapshot = str(client.start_snapshot(VolumeSize=-(-blocks // 2048))["SnapshotId"])
    some = [os.urandom(BLOCK_BYTES) for _ in range(blocks)]
    sums = [base64.b64encode(hashlib.sha256(block).digest()).decode() for block in some]
    left = iter(range(blocks))
    failures: list[str] = []

    def send() -> None:
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
        for index in left:  # the iterator of a range is safe to share
            headers = _headers(sums[index])
            path = f"/snapshots/{snapshot}/blocks/{index}"
            connection.request("PUT", path, some[index], headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 201:
                failures.append(said.decode())
                break
        connection.close()

    began = time.monotonic()
    senders = [threading.Thread(target=send) for _ in range(threads)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.monotonic() - began
    if failures:
        raise RuntimeError(failures[0])
    return Limit(blocks=blocks, seconds=seconds)


def _headers(checksum: str) -> dict[str, str]:
    scope = f"{admin_key(HOME)}/20260101/{REGION}/ebs/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/octet-stream",
        "x-amz-Checksum": checksum,
        "x-amz-Checksum-Algorithm": "SHA256",
        "x-amz-Data-Length": str(BLOCK_BYTES),
    }
