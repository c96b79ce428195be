"""From a recipe to a recorded version, on a root that is built in a second."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.roots import Workbench, left_behind, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path)
    bench.component("first", "echo first > /etc/first")
    bench.component("second", "echo second > /etc/second; rm /etc/group")
    return bench


def contents(archive: Path) -> dict[str, bytes]:
    """Give the files of a tar file."""
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            held = opened.extractfile(member) if member.isreg() else None
            found[member.name.removeprefix("./")] = held.read() if held else b""
    return found


class TestReuse:
    def test_build_then_the_artifact_holds_what_the_components_made(self, bench: Workbench) -> None:
        built = bench.build(bench.recipe("first", "second"))

        files = contents(bench.artifact())
        assert built.answer["version"] == "tiny@1.0.0/1"
        assert (files["etc/first"], files["etc/second"]) == (b"first\n", b"second\n")
        assert "etc/group" not in files
        assert files["etc/hostname"] == b"tiny\n"
        assert not any(name.startswith(("tmp/", "run/")) for name in files)

    def test_build_again_when_nothing_changed_then_nothing_is_built(self, bench: Workbench) -> None:
        recipe = bench.recipe("first", "second")
        bench.build(recipe)

        again = bench.build(recipe)

        assert again.answer["is_unchanged"] is True
        assert again.answer["version"] == "tiny@1.0.0/1"
        assert [run["state"] for run in bench.runs()] == ["unchanged", "succeeded"]

    def test_build_when_the_last_component_changed_then_only_that_is_made_again(
        self, bench: Workbench
    ) -> None:
        recipe = bench.recipe("first", "second")
        bench.build(recipe)
        bench.component("second", "echo other > /etc/second")

        again = bench.build(recipe)

        assert again.layers == ["second", "finish"]
        assert again.answer["version"] == "tiny@1.0.1/1"

    def test_build_when_a_component_is_put_before_others_then_those_are_made_again(
        self, bench: Workbench
    ) -> None:
        bench.build(bench.recipe("first", "second"))
        bench.component("before", "true")

        again = bench.build(bench.recipe("before", "first", "second"))

        assert again.layers == ["before", "first", "second", "finish"]

    def test_build_with_refresh_then_everything_is_made_again(self, bench: Workbench) -> None:
        recipe = bench.recipe("first", "second")
        bench.build(recipe)

        again = bench.build(recipe, "--refresh")

        assert again.layers[1:] == ["first", "second", "finish"]
        assert again.answer["version"] == "tiny@1.0.0/2"

    def test_build_with_refresh_then_the_same_bits_come_out(self, bench: Workbench) -> None:
        recipe = bench.recipe("first", "second")
        bench.build(recipe)
        before = bench.artifact()

        bench.build(recipe, "--refresh")

        assert bench.artifact() == before

    def test_build_of_two_images_then_what_they_have_in_common_is_built_once(
        self, bench: Workbench
    ) -> None:
        bench.build(bench.recipe("first", name="one"))

        other = bench.build(bench.recipe("first", "second", name="two"))

        assert other.layers == ["second", "finish"]

    def test_build_of_two_images_at_once_then_their_common_layer_is_built_once(
        self, bench: Workbench
    ) -> None:
        bench.component("slow", "echo made-by-somebody; sleep 1.5")
        recipes = [bench.recipe("slow", name=name) for name in ("one", "two")]

        processes = [bench.begin("build", recipe, "--json") for recipe in recipes]
        ended = [process.communicate(timeout=120) for process in processes]

        assert [process.returncode for process in processes] == [0, 0], ended
        built = [json.loads(out)["built_layers"] for out, _ in ended]
        assert sum("slow" in layers for layers in built) == 1
        assert bench.logs().count("made-by-somebody") == 1

    def test_build_dry_run_then_says_what_is_cached_and_makes_nothing(
        self, bench: Workbench
    ) -> None:
        recipe = bench.recipe("first", "second")
        bench.build(recipe)
        bench.component("second", "echo other > /etc/second")

        done = bench.run("build", recipe, "--dry-run", "--json")

        assert done.returncode == 0, done.stderr
        rows = {row["name"]: row for row in json.loads(done.stdout)["layers"]}
        assert rows["first"]["is_cached"] is True
        assert (rows["second"]["is_cached"], rows["second"]["why"]) == (False, "never built")
        assert len(bench.runs()) == 1

    def test_build_until_artifact_then_nothing_is_recorded(self, bench: Workbench) -> None:
        built = bench.build(bench.recipe("first"), "--until", "artifact")

        files = built.answer["files"]
        assert isinstance(files, dict)
        assert contents(Path(files["tar"]))["etc/first"] == b"first\n"
        assert built.answer["version"] is None


class TestLayersThatDoNothing:
    def test_build_when_components_change_nothing_then_the_stack_is_good(
        self, bench: Workbench
    ) -> None:
        bench.component("nothing", "true")
        bench.component("as-little", "true")

        bench.build(bench.recipe("nothing", "first", "as-little"))

        assert contents(bench.artifact())["etc/first"] == b"first\n"

    def test_build_when_a_layer_far_below_was_lost_then_what_lay_on_it_is_made_again(
        self, bench: Workbench
    ) -> None:
        # Each build of this component gives other bytes; the one between gives none at all.
        bench.component("random", "cat /proc/sys/kernel/random/uuid > /etc/random")
        bench.component("nothing", "true")
        bench.component("copies", "cp /etc/random /etc/copy")
        recipe = bench.recipe("random", "nothing", "copies")
        bench.build(recipe)
        _damage(bench, "etc/random")
        for blob in (bench.home / "blobs").rglob("*"):
            if blob.is_file() and tarfile.is_tarfile(blob):
                blob.unlink()

        again = bench.build(recipe)

        files = contents(bench.artifact())
        assert files["etc/random"] == files["etc/copy"]
        assert again.layers == ["random", "nothing", "copies", "finish"]


class TestDamage:
    def test_build_when_a_layer_was_damaged_then_it_is_rebuilt_and_the_log_says_why(
        self, bench: Workbench
    ) -> None:
        bench.build(bench.recipe("first", "second"))
        _damage(bench, "etc/first")
        bench.component("second", "echo other > /etc/second")

        again = bench.build(bench.recipe("first", "second"))

        assert again.layers == ["first", "second", "finish"]
        assert "damaged: /etc/first differs" in bench.logs()
        assert contents(bench.artifact_of(again))["etc/first"] == b"first\n"

    def test_build_when_the_artifact_was_lost_then_it_is_made_again_from_its_layers(
        self, bench: Workbench
    ) -> None:
        recipe = bench.recipe("first")
        bench.build(recipe)
        bench.artifact().unlink()

        again = bench.build(recipe)

        assert again.layers == []
        assert contents(bench.artifact())["etc/first"] == b"first\n"

    def test_build_on_an_image_whose_layer_was_damaged_then_says_how_to_have_it_again(
        self, bench: Workbench
    ) -> None:
        bench.build(bench.recipe("first", name="below"))
        child = bench.recipe("second", name="above", parent="image:below")
        _damage(bench, "etc/first")

        refusal = bench.refused(child)

        assert (refusal.status, refusal.code) == (70, "layer-damaged")
        assert "/etc/first" in refusal.context
        assert "--refresh" in refusal.hint
        bench.build(bench.recipe("first", name="below"), "--refresh")
        assert bench.build(child).layers == ["second", "finish"]


def _damage(bench: Workbench, path: str) -> None:
    """Change a byte of a file of the layer that holds it."""
    (found,) = [
        tree / path for tree in (bench.home / "layers/trees").iterdir() if (tree / path).exists()
    ]
    found.write_bytes(b"X" + found.read_bytes()[1:])


class TestParentImage:
    def test_build_when_the_parent_image_is_missing_then_it_is_built_first(
        self, bench: Workbench
    ) -> None:
        bench.recipe("first", name="below")

        built = bench.build(bench.recipe("second", name="above", parent="image:below@1.x"))

        assert built.answer["version"] == "above@1.0.0/1"
        assert built.layers == ["second", "finish"]
        done = bench.run("image", "lineage", "above", "--json")
        assert done.returncode == 0, done.stderr
        assert "below@1.0.0/1" in done.stdout

    def test_build_on_an_image_then_that_images_own_finish_is_not_inherited(
        self, bench: Workbench
    ) -> None:
        bench.recipe("first", name="below")

        built = bench.build(bench.recipe("second", name="above", parent="image:below"))

        assert contents(bench.artifact_of(built))["etc/hostname"] == b"above\n"

    def test_build_when_the_parent_image_moved_then_the_child_is_built_on_the_new_one(
        self, bench: Workbench
    ) -> None:
        below = bench.recipe("first", name="below")
        child = bench.recipe("second", name="above", parent="image:below")
        bench.build(child)
        bench.component("first", "echo newer > /etc/first")
        bench.build(below)

        again = bench.build(child)

        assert again.answer["is_unchanged"] is False
        assert contents(bench.artifact_of(again))["etc/first"] == b"newer\n"


class TestSteps:
    def test_build_then_validate_steps_see_the_layer_and_leave_nothing_in_it(
        self, bench: Workbench
    ) -> None:
        phases = [
            {"name": phase, "steps": [_bash(f"{phase}-it", *commands)]}
            for phase, commands in (
                ("build", ["echo made > /etc/made"]),
                ("validate", ["grep made /etc/made", "echo left > /etc/left"]),
            )
        ]
        bench.component("checked", phases=phases)

        bench.build(bench.recipe("checked"))

        files = contents(bench.artifact())
        assert files["etc/made"] == b"made\n"
        assert "etc/left" not in files

    def test_build_then_steps_of_a_component_share_their_temporary_files(
        self, bench: Workbench
    ) -> None:
        steps = [
            _bash("one", "echo here > /tmp/note; echo here > /run/note"),
            _bash("two", "cat /tmp/note /run/note > /etc/notes"),
        ]
        bench.component("noted", phases=[{"name": "build", "steps": steps}])

        bench.build(bench.recipe("noted"))

        assert contents(bench.artifact())["etc/notes"] == b"here\nhere\n"

    def test_build_then_no_value_of_ours_is_in_the_environment_of_a_step(
        self, bench: Workbench
    ) -> None:
        bench.environment["SECRET_OF_THE_HOST"] = "very-secret"
        bench.component("told", "env > /etc/environment-seen")

        bench.build(bench.recipe("told"))

        seen = contents(bench.artifact())["etc/environment-seen"]
        assert b"very-secret" not in seen
        assert b"IMAGEBUILDER" not in seen

    def test_build_when_it_has_ended_then_nothing_runs_and_no_working_folder_is_left(
        self, bench: Workbench
    ) -> None:
        bench.component("forks", "setsid sleep 1000 & true")

        bench.build(bench.recipe("forks"))

        wait_until(lambda: traces(str(bench.home)) == [], "a clean machine")
        assert left_behind(bench.home) == []


def _bash(name: str, *commands: str) -> dict[str, object]:
    return {"name": name, "action": "ExecuteBash", "inputs": {"commands": list(commands)}}


class TestMany:
    @pytest.mark.timeout(300)
    def test_build_of_many_components_then_all_are_in_the_image(self, bench: Workbench) -> None:
        names = [f"part-{number}" for number in range(45)]
        for name in names:
            bench.component(name, f"echo {name} > /etc/{name}")

        bench.build(bench.recipe(*names))

        files = contents(bench.artifact())
        assert all(files[f"etc/{name}"] == f"{name}\n".encode() for name in names)

    def test_build_when_the_state_folder_has_a_strange_name_then_it_works(
        self, bench: Workbench
    ) -> None:
        bench.home = bench.folder / "a, b:c\\ é"

        bench.build(bench.recipe("first", "second"))

        assert contents(bench.artifact())["etc/first"] == b"first\n"
