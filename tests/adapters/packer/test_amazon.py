"""Images made by the real Packer at a double of AWS, of instances that are an SSH server here."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagebuilder.adapters.aws.packer_sources import AmazonSources
from imagebuilder.domain.ids import RunId
from imagebuilder.domain.packer import PackerSource
from imagebuilder.domain.run import RunInterrupted
from imagebuilder.ports.live_builds import (
    LiveBuildFailed,
    LiveMachine,
    LivePlace,
    PlaceNotFound,
    PlacesUnavailable,
)
from imagebuilder.settings import secret_of
from tests.aws_double import Double, running_double
from tests.aws_double.serving import REGION
from tests.aws_double_tests.clouds import Cloud
from tests.packers import Bench, a_source, an_order, no_work, packer_bench
from tests.roots import CHECKOUT, wait_until
from tests.sshd import Server, ssh_server

pytestmark = pytest.mark.root
PARENT = "debian-12"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ssh_server(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as double:
        yield double


@pytest.fixture
def bench(double: Double, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    environment = double.environment()
    monkeypatch.setenv("OF_A_TEST_ACCESS", environment["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("OF_A_TEST_SECRET", environment["AWS_SECRET_ACCESS_KEY"])
    with packer_bench() as bench:
        bench.places = AmazonSources(secret_of)
        yield bench


@pytest.fixture
def source(double: Double, server: Server) -> PackerSource:
    return a_source(
        "amazon-ebs",
        "web",
        region=REGION,
        access_key="env:OF_A_TEST_ACCESS",
        secret_key="env:OF_A_TEST_SECRET",
        custom_endpoint_ec2=double.endpoint,
        skip_region_validation=True,
        skip_metadata_api_check=True,
        skip_credential_validation=True,
        instance_type="t3.micro",
        source_ami=Cloud(double=double).image(PARENT),
        ssh_username="root",
        ssh_host="127.0.0.1",
        ssh_port=server.port,
        ssh_private_key_file=str(server.key),
        ssh_timeout="20s",
    )


def left_of(double: Double) -> dict[str, list[str]]:
    """Give all that costs, or is nobody's."""
    ec2 = double.client("ec2", region=REGION)
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopped"]}]
    reservations = ec2.describe_instances(Filters=states)["Reservations"]
    found = {
        "instances": [i["InstanceId"] for r in reservations for i in r["Instances"]],
        "groups": [
            g["GroupName"]
            for g in ec2.describe_security_groups()["SecurityGroups"]
            if g["GroupName"] != "default"
        ],
        "keys": [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        "volumes": [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
        "images": [
            i["ImageId"]
            for i in ec2.describe_images(Owners=["self"])["Images"]
            if i["Name"] != PARENT
        ],
    }
    return {what: names for what, names in found.items() if names}


def test_built_at_amazon_then_the_image_is_there_and_nothing_else(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    seen: list[LiveMachine] = []

    with bench.builder().built(an_order(source), seen.append, bench.said.append) as outcome:
        place = outcome.products[0].places[0]

    assert seen[0].id.startswith("i-")
    account = double.client("sts").get_caller_identity()["Account"]
    assert place.target == f"aws:{account}/{REGION}"
    assert left_of(double) == {"images": [place.id]}
    assert bench.left == [str(bench.traces.path_of(RunId("run-1")))]


@pytest.mark.parametrize("is_recorded", [True, False])
def test_take_away_when_the_run_is_over_then_the_image_stays_exactly_when_it_was_recorded(
    bench: Bench, double: Double, source: PackerSource, *, is_recorded: bool
) -> None:
    with bench.builder().built(an_order(source), no_work, bench.said.append) as outcome:
        place = outcome.products[0].places[0]
    assert bench.traces.take_away() == []
    assert left_of(double) == {"images": [place.id]}
    bench.recorded["run-1"] = {place.id} if is_recorded else ()

    bench.traces.take_away()

    assert left_of(double) == ({"images": [place.id]} if is_recorded else {})
    assert bench.left == []


def test_built_at_amazon_when_what_follows_fails_then_the_image_is_taken_away(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    def fail() -> None:
        raise RunInterrupted

    with (
        pytest.raises(RunInterrupted),
        bench.builder().built(an_order(source), no_work, bench.said.append),
    ):
        fail()

    assert left_of(double) == {}


def test_built_at_amazon_when_it_is_cancelled_then_nothing_is_left(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    found: list[dict[str, list[str]]] = []

    def work(_machine: LiveMachine) -> None:
        found.append(left_of(double))
        raise RunInterrupted

    with (
        pytest.raises(RunInterrupted),
        bench.builder().built(an_order(source), work, bench.said.append),
    ):
        pass

    assert set(found[0]) >= {"instances", "groups"}
    assert left_of(double) == {}
    assert bench.left == []


def test_looked_at_then_a_machine_of_the_image_was_there_and_only_the_image_is_left(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    seen: list[str] = []
    builder = bench.builder()
    with builder.built(an_order(source), no_work, bench.said.append) as outcome:
        place = outcome.products[0].places[0]
        settings = {**source.settings, "source_ami": place.id}
        look = PackerSource(type=source.type, name=source.name, settings=settings)
        order = an_order(look, run_id="run-1-look")

        builder.looked_at(order, lambda machine: seen.append(machine.id), bench.said.append)

    (instance_id,) = seen
    found = double.client("ec2", region=REGION).describe_instances(InstanceIds=[instance_id])
    assert found["Reservations"][0]["Instances"][0]["ImageId"] == place.id
    assert left_of(double) == {"images": [place.id]}
    assert bench.left == [str(bench.traces.path_of(RunId("run-1")))]


def _kill_packer(bench: Bench) -> None:
    marker = f"IMAGEBUILDER_PACKER_RUN={bench.work}/traces/run-1.json".encode()
    for entry in Path("/proc").iterdir():
        try:
            is_ours = entry.name.isdigit() and marker in (entry / "environ").read_bytes()
        except OSError:
            continue
        if is_ours:
            os.kill(int(entry.name), signal.SIGKILL)


def test_built_at_amazon_when_packer_is_killed_then_what_it_left_is_taken_away(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    with (
        pytest.raises(LiveBuildFailed, match="packer was killed"),
        bench.builder().built(
            an_order(source), lambda _machine: _kill_packer(bench), bench.said.append
        ),
    ):
        pass

    assert left_of(double) == {}
    assert bench.left == []


_BUILD = """
import json, sys, time
from pathlib import Path
from imagebuilder.adapters.aws.packer_sources import AmazonSources
from imagebuilder.domain.packer import PackerSource
from imagebuilder.settings import secret_of
from tests.packers import Bench, an_order

source, work = json.loads(sys.argv[1]), Path(sys.argv[2])

def wait(machine):
    (work / "waits").touch()
    time.sleep(100)

bench = Bench(work, places=AmazonSources(secret_of))
with bench.builder().built(an_order(PackerSource(**source)), wait, print):
    pass
"""


def test_built_at_amazon_when_all_of_us_is_killed_then_the_next_start_clears_up(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    told = json.dumps({"type": source.type, "name": source.name, "settings": source.settings})
    argv = [sys.executable, "-c", _BUILD, told, str(bench.work)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as ours:
        wait_until((bench.work / "waits").exists, "the machine to wait")
        _kill_packer(bench)
        ours.kill()
    assert set(left_of(double)) >= {"instances", "groups"}

    taken = bench.traces.take_away()

    assert [line.split()[0] for line in taken] == ["instance", "security"]
    assert left_of(double) == {}
    assert list((bench.work / "traces").iterdir()) == []


_MADE = """
import json, sys, time
from pathlib import Path
from imagebuilder.adapters.aws.packer_sources import AmazonSources
from imagebuilder.domain.packer import PackerSource
from imagebuilder.settings import secret_of
from tests.packers import Bench, an_order, no_work

source, work = json.loads(sys.argv[1]), Path(sys.argv[2])
bench = Bench(work, places=AmazonSources(secret_of))
with bench.builder().built(an_order(PackerSource(**source)), no_work, print):
    (work / "made").touch()
    time.sleep(100)
"""


def test_built_at_amazon_when_we_are_killed_before_it_is_recorded_then_the_image_is_taken_away(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    told = json.dumps({"type": source.type, "name": source.name, "settings": source.settings})
    argv = [sys.executable, "-c", _MADE, told, str(bench.work)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as ours:
        wait_until((bench.work / "made").exists, "the image to be made")
        assert bench.traces.take_away() == []
        ours.kill()
    assert set(left_of(double)) == {"images"}
    bench.recorded["run-1"] = ()

    taken = bench.traces.take_away()

    assert [line.split()[0] for line in taken] == ["image", "snapshot"]
    assert left_of(double) == {}
    assert list((bench.work / "traces").iterdir()) == []


def test_take_away_when_amazon_does_not_answer_then_it_is_told_and_tried_again(
    bench: Bench, double: Double, source: PackerSource
) -> None:
    (bench.work / "traces").mkdir()
    trace = bench.work / "traces/run-1.json"
    document = {"type": source.type, "name": source.name, "settings": source.settings}
    trace.write_text(json.dumps({"run": "run-1", "sources": [document]}) + "\n")
    double.faults.expire_credentials()

    (line,) = bench.traces.take_away()
    assert "is still there" in line

    double.faults.clear()
    assert bench.traces.take_away() == []
    assert not trace.exists()


def test_target_of_when_the_image_is_not_there_then_says_so(
    double: Double, bench: Bench, source: PackerSource
) -> None:
    with pytest.raises(PlaceNotFound):
        bench.places.target_of(source, LivePlace(region=REGION, id="ami-0123456789abcdef0"))


def test_clear_when_credentials_are_refused_then_names_the_source(
    double: Double, bench: Bench, source: PackerSource
) -> None:
    double.faults.expire_credentials()

    with pytest.raises(PlacesUnavailable, match="source web"):
        bench.places.clear(source, RunId("run-1"), [], is_recorded=False)
