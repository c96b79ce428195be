"""The double as a program: what a person sees, and what it can take."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.aws_double import Double
from tests.aws_double.apart import double_apart, measured_limit
from tests.aws_double.serving import HOME
from tests.listeners import free_port

ROOT = Path(__file__).parents[2]


def test_started_then_it_says_how_to_use_it_and_ends_when_told() -> None:
    argv = [sys.executable, "-m", "tests.aws_double", "--port", str(free_port()), "--calls"]
    with subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said: dict[str, str] = {}
        for line in process.stdout:
            name, is_export, value = line.strip().removeprefix("export ").partition("=")
            said |= {name: value} if is_export else {}
            if "Ctrl-C" in line:
                break
        keys = (said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"])
        client = boto3.session.Session(*keys, region_name=said["AWS_REGION"]).client(
            "sts", endpoint_url=said["AWS_ENDPOINT_URL"]
        )
        assert client.get_caller_identity()["Account"] == HOME
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"{HOME} eu-central-1 sts GetCallerIdentity: ok" in errors


def test_started_where_something_listens_then_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        argv = [sys.executable, "-m", "tests.aws_double", "--port", str(taken.getsockname()[1])]
        ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "is in use" in ended.stderr


def test_how_much_it_takes_can_be_measured() -> None:
    with double_apart() as endpoint:
        limit = measured_limit(endpoint, threads=2, blocks=20)
    assert limit.blocks == 20
    assert limit.mb_per_second > 0


def test_a_limit_is_of_blocks_that_were_all_taken(double: Double) -> None:
    double.faults.throttle("PutSnapshotBlock", percent=100)
    with pytest.raises(RuntimeError, match="RequestThrottledException"):
        measured_limit(double.endpoint, blocks=2)
