"""What `imagebuilder serve` does with pipelines of images that are built in a second."""

from datetime import timedelta
from pathlib import Path

import pytest

from imagebuilder.domain.run import RunState
from tests.nights import Nights
from tests.roots import Workbench, left_behind, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

AT_REST = "def test_it_runs(host):\n    assert host.run('true').rc == 0\n"


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    bench = Workbench(tmp_path)
    bench.component("first", "echo first > /etc/first")
    recipe = bench.recipe("first", tests=["test_first.py"])
    recipe.with_name("test_first.py").write_text(AT_REST)
    return Nights(bench)


def test_schedule_when_nobody_was_there_for_days_then_one_run_makes_up_for_them(
    nights: Nights,
) -> None:
    nights.pipeline("tiny")
    nights.miss("tiny", days=3)

    with nights.served():
        wait_until(lambda: bool(nights.runs()), "a run")
        nights.settle()

    [run] = nights.runs()
    [told] = nights.json("pipeline", "why", "tiny")
    assert run.state is RunState.SUCCEEDED
    assert told["trigger"] == "schedule"
    assert told["due_because"].endswith("; 2 earlier slots were missed")
    assert told["slot_at"] == (nights.slot(1) - timedelta(days=1)).isoformat()


def test_scheduled_runs_when_they_fail_again_and_again_then_the_pipeline_is_paused(
    nights: Nights,
) -> None:
    nights.bench.component("first", "exit 3")
    nights.pipeline("tiny", pause_after=2)

    with nights.served():
        for night in (1, 2, 3):
            nights.fall(night, "tiny")
            nights.settle()

        runs = nights.runs()
        shown = nights.json("pipeline", "show", "tiny")
        nights.bench.component("first", "true")
        nights.said("pipeline", "resume", "tiny")
        nights.fall(4, "tiny")
        nights.settle()

    assert [run.state for run in runs] == [RunState.FAILED, RunState.FAILED]
    assert shown["paused"]["why"].startswith("2 scheduled runs failed in a row, the last was ")
    assert nights.runs()[0].state is RunState.SUCCEEDED
    assert nights.json("pipeline", "show", "tiny")["failures"] == 0


def test_overlap_when_it_is_skip_then_the_second_run_is_not_done_and_says_why(
    nights: Nights,
) -> None:
    nights.bench.component("first", "echo begun; until [ -e /tmp/never ]; do sleep 0.1; done")
    nights.pipeline("tiny", overlap="skip")

    with nights.served():
        [first] = nights.fall(1, "tiny")
        wait_until(lambda: "begun" in nights.bench.logs(), "the first run's work")
        [second] = nights.fall(2, "tiny")
        told = nights.json("pipeline", "why", "tiny")[0]
        nights.said("run", "cancel", first.id)
        nights.settle()

    assert second.state is RunState.SKIPPED
    assert (told["run"], told["verdict"]) == (second.id, "skip")
    assert told["reasons"] == [f"Run {first.id} of the same pipeline is not over: it is running."]
    assert nights.application.runs.get(first.id).state is RunState.CANCELLED
    assert traces(str(nights.bench.home)) == []


def test_overlap_when_it_is_replace_then_the_first_run_is_ended_and_cleaned_up(
    nights: Nights,
) -> None:
    nights.bench.component("first", "echo begun; until [ -e /tmp/never ]; do sleep 0.1; done")
    nights.pipeline("tiny", overlap="replace")

    with nights.served():
        [first] = nights.fall(1, "tiny")
        wait_until(lambda: "begun" in nights.bench.logs(), "the first run's work")
        nights.bench.component("first", "true")
        [second] = nights.fall(2, "tiny")
        nights.settle()

    ended = nights.application.runs.get(first.id)
    assert ended.state is RunState.CANCELLED
    assert ended.cancelled_by == f"run {second.id}"
    assert nights.application.runs.get(second.id).state is RunState.SUCCEEDED
    assert traces(str(nights.bench.home)) == []
    assert left_behind(nights.bench.home) == []


def test_max_age_when_layers_are_older_then_the_image_is_built_anew(nights: Nights) -> None:
    nights.pipeline("tiny")
    nights.pipeline("young", "tiny", max_age="1s")

    with nights.served():
        nights.fall(1, "tiny")
        nights.settle()
        nights.fall(2, "tiny", "young")
        nights.settle()

    [told] = nights.json("pipeline", "why", "young")
    assert nights.runs("tiny")[0].state is RunState.UNCHANGED
    assert nights.runs("young")[0].state is RunState.SUCCEEDED
    assert told["decision"]["reasons"][0]["kind"] == "max-age"


def test_approval_when_it_is_needed_then_the_channel_moves_once_somebody_agreed(
    nights: Nights,
) -> None:
    nights.pipeline("tiny", channel="stable", approval="required")

    with nights.served():
        [run] = nights.fall(1, "tiny")
        nights.settle()
        waiting = nights.json("run", "show", run.id)
        before = nights.bench.run("image", "show", "tiny@stable")
        nights.said("run", "approve", run.id, "--why", "looks good")
        nights.settle()
        again = nights.bench.run("run", "approve", run.id)

    assert (waiting["state"], waiting["version"]) == ("awaiting-approval", "tiny@1.0.0/1")
    assert before.returncode != 0
    assert nights.json("run", "show", run.id)["state"] == "succeeded"
    assert nights.json("image", "show", "tiny@stable")["reference"] == "tiny@1.0.0/1"
    assert "looks good" in nights.said("run", "show", run.id)
    assert again.returncode == 3


def test_recipe_when_it_was_deleted_then_the_run_fails_and_says_what_to_do(
    nights: Nights,
) -> None:
    nights.pipeline("tiny")
    (nights.bench.folder / "recipes/tiny.yaml").unlink()

    with nights.served():
        [run] = nights.fall(1, "tiny")
        nights.settle()

    ended = nights.application.runs.get(run.id)
    shown = nights.said("run", "show", run.id).splitlines()
    [told] = nights.json("pipeline", "why", "tiny")
    assert (ended.state, ended.error_code) == (RunState.FAILED, "document-unreadable")
    assert "recipes/tiny.yaml" in ended.error
    assert "         There is no such file." in shown
    assert "         Check the path." in shown
    assert told["verdict"] == "undecided"
    assert told["reasons"] == [ended.error]
    assert [each["name"] for each in nights.json("pipeline", "list")] == ["tiny"]


def test_parent_when_a_channel_that_is_followed_moves_then_the_child_follows_once(
    nights: Nights,
) -> None:
    nights.bench.recipe("first", name="child", parent="image:tiny@stable")
    nights.pipeline("tiny")
    nights.pipeline("child")

    with nights.served():
        nights.fall(1, "tiny")
        nights.settle()
        before = nights.runs("child")
        nights.said("channel", "set", "tiny@1.0.0/1", "stable")
        wait_until(lambda: bool(nights.runs("child")), "the child's run")
        nights.settle()
        nights.said("channel", "set", "tiny@1.0.0/1", "stable")

    [run] = nights.runs("child")
    [told] = nights.json("pipeline", "why", "child")
    assert before == []
    assert run.state is RunState.SUCCEEDED
    assert told["due_because"] == "tiny@stable is tiny@1.0.0/1 now"


def test_parent_when_the_child_that_follows_fails_then_it_is_not_begun_again_by_itself(
    nights: Nights,
) -> None:
    nights.bench.component("broken", "exit 3")
    nights.bench.recipe("broken", name="child", parent="image:tiny@1.x")
    nights.pipeline("tiny")
    nights.pipeline("child")

    with nights.served():
        nights.fall(1, "tiny")
        nights.settle()
        nights.fall(2, "tiny")
        nights.settle()

    assert [run.state for run in nights.runs("child")] == [RunState.FAILED]
