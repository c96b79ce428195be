"""A process that stays, as people start it: its door, its watched folder, its log."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.functional.conftest import Cli
from tests.functional.test_watched_folder import COMPONENT, PIPELINE, RECIPE
from tests.listeners import free_port
from tests.roots import wait_until

pytestmark = pytest.mark.timeout(180)


@contextmanager
def serving(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that serves until the end of the block, and then is told to leave."""
    command = [sys.executable, "-m", "imagebuilder", "serve", "--control-only", *options]
    with log.open("wb") as file, subprocess.Popen(command, stderr=file, env=os.environ) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()


def asked(port: int, path: str) -> tuple[int, str]:
    """Give what the door answers; 0 while there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_serve_then_its_door_answers_and_its_folder_is_in_force(cli: Cli, tmp_path: Path) -> None:
    cli.write("images/recipes/web.yaml", RECIPE)
    cli.write("images/components/motd/component.yaml", COMPONENT.format(greeting="hello"))
    document = cli.write("images/pipelines/web.yaml", PIPELINE.format(name="nightly"))
    port, log = free_port(), tmp_path / "log"

    with serving(log, "--listen", f"127.0.0.1:{port}", "--watch", "images", "--drain", "1"):
        wait_until(lambda: asked(port, "/healthz")[0] == 200, "the door")
        counted = "imagebuilder_pipelines 1.0\n"
        wait_until(lambda: counted in asked(port, "/metrics")[1], "the pipeline")
        document.write_text("kind: Pipeline\n")
        wait_until(lambda: "'name' is missing" in log.read_text(), "the fault")

    assert asked(port, "/healthz")[0] == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["logger"] for line in lines} >= {"imagebuilder.api.app", "imagebuilder.watch"}
    assert [applied.pipeline.name for applied in cli.application().pipelines.all()] == ["nightly"]


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "8374"])
def test_serve_when_the_address_is_none_then_says_so(cli: Cli, address: str) -> None:
    command = [sys.executable, "-m", "imagebuilder", "serve", "--listen", address]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 2
    assert "address-malformed" in ended.stderr
