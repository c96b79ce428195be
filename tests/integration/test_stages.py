"""A run whose stages are done by three processes, one of them killed now and then."""

from dataclasses import replace
from pathlib import Path

import pytest

from imagebuilder.domain.digest import Digest
from imagebuilder.domain.ids import RunId, VersionId
from imagebuilder.domain.image import ImageVersion, parse_reference
from tests.build import SOME_DAY
from tests.roots import Workbench, left_behind, traces, wait_until
from tests.staged import StagedRun

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

STAGES = ("build", "validate", "record")
WAITING = "touch /tmp/reached; echo reached; while [ ! -e /etc/never ]; do sleep 0.05; done"
TESTS = "def test_first(host):\n    assert host.run('cat /etc/first').stdout == 'first\\n'\n"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return a_bench(tmp_path)


def a_bench(folder: Path) -> Workbench:
    bench = Workbench(folder)
    bench.component("first", "echo first > /etc/first")
    bench.component("second", "echo second > /etc/second")
    (folder / "recipes").mkdir()
    (folder / "recipes/test_first.py").write_text(TESTS)
    return bench


def staged(bench: Workbench, recipe: Path, run_id: str = "run-staged") -> StagedRun:
    return StagedRun(bench.folder, bench.home, recipe, run_id).start()


def version(run: StagedRun, reference: str) -> ImageVersion:
    application = run.application()
    return application.versions.find(parse_reference(reference), application.clock.now())


def comparable(found: ImageVersion) -> ImageVersion:
    """Give a version without what tells two records of the same apart."""
    reports = tuple(
        replace(
            report,
            seconds=0.0,
            evidence=None,
            results=tuple(replace(result, seconds=0.0) for result in report.results),
        )
        for report in found.reports
    )
    return replace(found, id=VersionId(""), run_id=RunId(""), created_at=SOME_DAY, reports=reports)


def is_clean(bench: Workbench) -> bool:
    return traces(str(bench.home)) == [] and left_behind(bench.home) == []


def test_stages_in_three_processes_then_give_the_version_that_one_build_gives(
    bench: Workbench, tmp_path: Path
) -> None:
    other = a_bench(tmp_path / "other")
    run = staged(bench, bench.recipe("first", "second", tests=["test_first.py"]))
    clean = []

    for stage in STAGES:
        run.do(stage)
        clean.append(is_clean(bench))

    built = other.build(other.recipe("first", "second", tests=["test_first.py"]))
    one = StagedRun(other.folder, other.home, run.recipe)
    assert run.answers["record"] == built.answer["version"] == "tiny@1.0.0/1"
    assert comparable(version(run, "tiny")) == comparable(version(one, "tiny"))
    assert version(run, "tiny").reports != ()
    assert clean == [True] * 3
    assert bench.build(run.recipe).answer["is_unchanged"] is True


def test_stages_when_nothing_changed_then_the_version_before_is_given(bench: Workbench) -> None:
    recipe = bench.recipe("first")
    bench.build(recipe)
    run = staged(bench, recipe)

    assert [run.do(stage) for stage in STAGES][-1] == "tiny@1.0.0/1"
    assert len(bench.runs()) == 2
    assert len(run.application().versions.summaries()) == 1


def test_kill_in_the_middle_of_building_then_its_layers_are_used_by_whoever_does_it_again(
    bench: Workbench,
) -> None:
    bench.component("waiting", WAITING)
    run = staged(bench, bench.recipe("first", "waiting"))
    keys = bench.home / "layers/keys"

    _, process = run.begin("build")
    wait_until(lambda: "reached" in bench.logs() and len(list(keys.iterdir())) >= 2, "reached")
    process.kill()
    process.join()
    wait_until(lambda: traces(str(bench.home)) == [], "a clean machine")
    bench.component("waiting", "true")
    answers = [run.do(stage) for stage in STAGES]

    made = run.application().stages.read(run.run, Digest.parse(run.answers["build"])).made
    assert answers[-1] == "tiny@1.0.0/1"
    assert made == ("waiting", "finish")
    assert left_behind(bench.home) == []
    numbers = [step.number for step in run.application().runs.steps(run.run.id)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("stage", STAGES)
def test_stage_when_done_again_after_its_answer_was_lost_then_the_run_ends_as_if_it_was_not(
    bench: Workbench, stage: str
) -> None:
    run = staged(bench, bench.recipe("first", tests=["test_first.py"]))

    for each in STAGES:
        run.do(each)
        if each == stage:
            run.do(each)

    assert run.answers["record"] == "tiny@1.0.0/1"
    assert len(run.application().versions.summaries()) == 1


def test_gc_between_stages_then_what_was_built_stays_until_it_is_recorded(
    bench: Workbench,
) -> None:
    run = staged(bench, bench.recipe("first", tests=["test_first.py"]))

    for stage in STAGES:
        run.do(stage)
        freed = bench.run("gc", "--unused", "0d", "--json")
        assert freed.returncode == 0, freed.stderr
    run.end()
    bench.run("gc", "--unused", "0d")

    assert run.answers["record"] == "tiny@1.0.0/1"
    assert run.application().claims.claims() == {}
    assert bench.build(run.recipe).answer["is_unchanged"] is True


def test_validate_when_a_component_changed_meanwhile_then_is_refused(bench: Workbench) -> None:
    run = staged(bench, bench.recipe("first"))
    run.do("build")
    bench.component("first", "echo other > /etc/first")

    assert run.do("validate").startswith("recipe-changed-meanwhile: ")


def test_validate_when_an_artifact_was_lost_then_says_so(bench: Workbench) -> None:
    run = staged(bench, bench.recipe("first"))
    run.do("build")
    bench.artifact().unlink()

    assert run.do("validate").startswith("blob-missing: ")
