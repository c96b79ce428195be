"""The document of all that a component did, and what a failure tells a person."""

import json
from contextlib import suppress
from typing import Any

import pytest

from imagebuilder.domain.component import OnFailure, PhaseName
from imagebuilder.domain.digest import canonical_json
from imagebuilder.domain.loops import ListLoop
from imagebuilder.domain.origin import Origin
from imagebuilder.ports.machine import MachineLost
from imagebuilder.services.provisioning.failing import ComponentFailed
from tests.build import a_component
from tests.fakes.machine import Answer, FakeMachine
from tests.means import bash, echoing, runner, saying


def details_of(component: Any, machine: FakeMachine) -> Any:
    """Give the last document that a build phase left, as JSON reads it."""
    told: list[Any] = []
    given_all = runner(component, machine, on_detail=lambda _name, document: told.append(document))
    with suppress(ComponentFailed, MachineLost):
        given_all.run(PhaseName.BUILD)
    return json.loads(canonical_json(told[-1]))


def test_details_then_say_all_of_document_phase_and_step() -> None:
    component = a_component(
        build=[bash("Say", "echo hi", timeout_seconds=None)], origin=Origin(document="/c/web.yaml")
    )
    found = details_of(component, echoing())
    (document,) = found["documents"]
    (phase,) = document["phases"]
    (step,) = phase["steps"]
    assert (found["status"], found["executionId"]) == ("Success", "execution-000001")
    assert found["startTime"] == "2026-01-01T00:00:00Z"
    assert (document["name"], document["filePath"]) == ("nginx", "/c/web.yaml")
    assert (phase["name"], phase["status"]) == ("build", "Success")
    assert (step["name"], step["action"], step["status"]) == ("Say", "ExecuteBash", "Success")
    assert (step["timeoutSeconds"], step["onFailure"], step["maxAttempts"]) == (-1, "Abort", 1)
    assert step["inputs"] == {"commands": ["echo hi"]}
    assert step["outputs"] == [{"stdout": "hi"}]


def test_details_of_a_loop_that_is_tried_again_then_have_every_turn_of_every_attempt() -> None:
    loop = ListLoop(items=("a", "b"), name="Opt")
    machine = saying(Answer(), Answer(exit_status=4, stderr=b"no"), Answer())
    component = a_component(build=[bash("Each", loop=loop, max_attempts=2)])
    (step,) = details_of(component, machine)["documents"][0]["phases"][0]["steps"]
    assert step["loop"] == {"items": ["a", "b"], "name": "Opt"}
    first, second = step["attempts"]
    assert [turn["exitCode"] for turn in first["turns"]] == [0, 4]
    assert first["turns"][1]["stderr"] == "no"
    assert [(turn["index"], turn["value"]) for turn in second["turns"]] == [(0, "a"), (1, "b")]
    assert (first["status"], second["status"]) == ("Failed", "Success")


def test_details_of_a_failure_then_have_the_steps_until_then_and_the_reason() -> None:
    component = a_component(build=[bash("Good"), bash("Bad", "exit 3"), bash("Never")])
    found = details_of(component, echoing())
    steps = found["documents"][0]["phases"][0]["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [
        ("Good", "Success"),
        ("Bad", "Failed"),
    ]
    assert found["status"] == "Failed"
    assert found["failureMessage"].startswith("Step Bad (ExecuteBash) in phase build")


def test_details_when_failures_are_ignored_then_the_document_succeeded_with_one() -> None:
    component = a_component(build=[bash("Bad", "exit 3", on_failure=OnFailure.IGNORE)])
    assert details_of(component, echoing())["status"] == "SuccessWithIgnoredFailure"


def test_details_when_the_machine_is_lost_then_are_told_all_the_same() -> None:
    assert details_of(a_component(), FakeMachine(is_lost=True))["status"] == "Failed"


def test_details_when_an_output_is_long_then_it_is_cut_and_says_so() -> None:
    machine = saying(Answer(stdout=b"x" * 20_000))
    (step,) = details_of(a_component(), machine)["documents"][0]["phases"][0]["steps"]
    assert step["outputs"][0]["stdout"].endswith("... (3,616 more characters)")


def test_failure_then_says_which_document_what_ran_and_how_to_run_it_alone() -> None:
    component = a_component(
        "web",
        build=[bash("Install")],
        validate=[bash("Check", "exit 3")],
        origin=Origin(document="/c/my web.yaml"),
    )
    with pytest.raises(ComponentFailed) as failure:
        runner(component, echoing(), {"port": "8 0"}, on="debian:bookworm").run(PhaseName.VALIDATE)
    told = failure.value
    assert told.message == (
        "Step Check (ExecuteBash) in phase validate of component web ended with exit status 3"
        " after 0.0 s."
    )
    assert told.context.splitlines() == [
        "Document: /c/my web.yaml",
        "Command:",
        "  exit 3",
        "it broke",
    ]
    assert told.hint.endswith(
        "imagebuilder component test '/c/my web.yaml' --on debian:bookworm"
        " --phases build,validate --set 'port=8 0'"
    )


def test_failure_when_the_command_is_long_then_only_its_beginning_is_shown() -> None:
    command = "\n".join(["exit 3", *(f"line {n}" for n in range(100))])
    with pytest.raises(ComponentFailed) as failure:
        runner(a_component(build=[bash("Long", command)]), saying(Answer(exit_status=3))).run(
            PhaseName.BUILD
        )
    assert "  line 18\n  ..." in failure.value.context
    assert "line 19" not in failure.value.context


def test_failure_when_the_step_hides_its_output_then_the_report_has_none_of_it() -> None:
    component = a_component(build=[bash("Quiet", "exit 3", hides_output=True)])
    with pytest.raises(ComponentFailed) as failure:
        runner(component, echoing()).run(PhaseName.BUILD)
    assert "it broke" not in failure.value.context
    assert "disableLogging" in failure.value.context
