"""Machines that have a catalogue and a store in common, each with a home of its own."""

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.databases import DATABASES, FreshLocation
from tests.roots import Workbench, left_behind
from tests.staged import StagedRun

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


class Site:
    """Some machines: one folder of recipes and components, one store, a catalogue of all."""

    def __init__(self, folder: Path, catalogue: str) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.catalogue = catalogue
        self.store.mkdir()

    def machine(self, name: str, *, catalogue: str = "") -> Workbench:
        """Give a machine, by default with the catalogue of all."""
        bench = Workbench(self.folder)
        bench.home = self.folder / name
        bench.environment["IMAGEBUILDER_SHARED_STORE"] = self.store.as_uri()
        url = catalogue or self.catalogue
        bench.environment["IMAGEBUILDER_CATALOGUE_URL"] = url
        return bench

    def alone(self, name: str) -> Workbench:
        """Give a machine that has only the store in common with others."""
        return self.machine(name, catalogue=f"sqlite:///{self.folder}/{name}.db")

    def files(self) -> list[Path]:
        """Give the files of the store, the largest first."""
        found = [path for path in (self.store / "files").rglob("*") if path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_size, reverse=True)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made(tmp_path, f"sqlite:///{tmp_path}/catalogue.db")


def made(folder: Path, catalogue: str) -> Site:
    site = Site(folder, catalogue)
    bench = site.machine("one")
    bench.component("first", "echo first > /etc/first; ln /etc/first /etc/again")
    bench.component("second", "echo second > /etc/second; rm /etc/group; rm -r /root; mkdir /root")
    return site


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.chmod(0o600)
    file.write_bytes(content)


@pytest.mark.parametrize("database", DATABASES)
def test_what_one_machine_recorded_is_unchanged_on_another_and_can_be_had_there(
    tmp_path: Path, database: str, fresh_location: FreshLocation
) -> None:
    location = fresh_location(database)
    url = f"sqlite:///{location}" if isinstance(location, Path) else location
    site = made(tmp_path, url)
    one, two = site.machine("one"), site.machine("two")
    recipe = one.recipe("first", "second")
    one.build(recipe)

    again = two.build(recipe)
    out = tmp_path / "out.tar"
    exported = two.run("image", "export", "tiny", "--format", "tar", "--output", out)

    assert (again.answer["is_unchanged"], again.answer["version"]) == (True, "tiny@1.0.0/1")
    assert exported.returncode == 0, exported.stderr
    assert out.read_bytes() == one.artifact().read_bytes()


def test_an_image_of_one_machine_is_the_parent_of_one_on_another(site: Site) -> None:
    one, two = site.machine("one"), site.machine("two")
    one.build(one.recipe("first"))
    child = two.recipe("second", name="child", parent="image:tiny@1.x")

    built = two.build(child)

    assert built.layers == ["second", "finish"]
    assert built.answer["version"] == "child@1.0.0/1"
    assert left_behind(two.home) == []


def test_a_machine_with_an_empty_home_finds_every_layer_in_the_store(site: Site) -> None:
    one, two = site.alone("one"), site.alone("two")
    recipe = one.recipe("first", "second")
    first = one.build(recipe)

    second = two.build(recipe)

    assert second.layers == []
    assert second.answer["warnings"] == []
    assert two.artifact_of(second).read_bytes() == one.artifact_of(first).read_bytes()
    assert "from file://" in second.log


@pytest.mark.filterwarnings("default")  # the double's own
def test_machines_share_a_bucket_as_they_share_a_folder(site: Site, endpoint: str) -> None:
    account = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "x"}
    one, two = site.alone("one"), site.alone("two")
    for bench in (one, two):
        bench.environment |= account | {
            "IMAGEBUILDER_SHARED_STORE": "s3://layers/of/all",
            "IMAGEBUILDER_S3_ENDPOINT": endpoint,
        }
    made = urllib.request.Request(f"{endpoint}/layers", method="PUT")
    urllib.request.urlopen(made).close()
    recipe = one.recipe("first", "second")
    one.build(recipe)

    second = two.build(recipe)

    assert (second.layers, second.answer["warnings"]) == ([], [])
    assert "from s3://layers/of/all" in second.log


def test_the_stages_of_a_run_may_each_be_done_on_another_machine(site: Site) -> None:
    one, two, three = site.machine("one"), site.machine("two"), site.machine("three")
    (site.folder / "recipes").mkdir()
    (site.folder / "recipes/test_first.py").write_text(
        "def test_first(host):\n    assert host.run('cat /etc/first').stdout == 'first\\n'\n"
    )
    recipe = one.recipe("first", "second", tests=["test_first.py"])
    run = StagedRun(site.folder, one.home, recipe, environment=one.environment).start()

    for stage, bench in (("build", one), ("validate", two), ("record", three)):
        run.home = bench.home
        run.do(stage)

    assert run.answers["record"] == "tiny@1.0.0/1"
    run.end()
    assert two.build(recipe).answer["is_unchanged"] is True


def test_damaged_files_in_the_store_are_made_again_told_and_mended(site: Site) -> None:
    one, two, three = site.alone("one"), site.alone("two"), site.alone("three")
    recipe = one.recipe("first", "second")
    one.build(recipe)
    for file in site.files():
        damage(file)

    second = two.build(recipe)
    third = three.build(recipe)

    assert second.layers[1:] == ["first", "second", "finish"]
    assert any("is damaged" in warning for warning in second.answer["warnings"])  # type: ignore[attr-defined]
    assert "is damaged" in two.logs()
    assert third.layers == []


def test_a_store_that_is_gone_costs_no_build_and_is_told_once(site: Site) -> None:
    one = site.machine("one")
    shutil.rmtree(site.store)

    built = one.build(one.recipe("first", "second"))

    assert built.answer["version"] == "tiny@1.0.0/1"
    warnings = built.answer["warnings"]
    assert isinstance(warnings, list)
    assert [w for w in warnings if "does not answer" in w] == [
        f"The shared store {site.store.as_uri()} does not answer. There is no such folder."
    ]
    assert "does not answer" in one.logs()
    assert not site.store.exists()


def test_gc_then_what_no_version_needs_stays_until_it_is_a_day_old(site: Site) -> None:
    one = site.machine("one")
    one.build(one.recipe("first"))
    kept = set(site.files())

    freed = one.run("gc", "--unused", "0d", "--json")

    assert freed.returncode == 0, freed.stderr
    assert set(site.files()) == kept
    shared = [e for e in json.loads(freed.stdout)["leftovers"] if e["what"] == "shared objects"]
    assert shared == [{"what": "shared objects", "count": 0, "size_bytes": 0}]


def test_doctor_tells_whether_the_store_answers(site: Site) -> None:
    one = site.machine("one")
    answers = json.loads(one.run("doctor", "--json").stdout)
    shutil.rmtree(site.store)
    silent = json.loads(one.run("doctor", "--json").stdout)

    def rows(found: list[dict[str, object]]) -> list[tuple[object, object]]:
        named = (row for row in found if row["name"] == "shared store")
        return [(row["is_present"], row["is_required"]) for row in named]

    assert (rows(answers), rows(silent)) == ([(True, False)], [(False, False)])
