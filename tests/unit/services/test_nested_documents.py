"""Components that run others.

Source: AWS Task Orchestrator and Executor, ExecuteDocument.
"""

from pathlib import Path
from typing import Any

import pytest

from imagebuilder.domain.actions import ActionName
from imagebuilder.domain.component import Component, ComponentStep, OnFailure, Parameter, PhaseName
from imagebuilder.domain.errors import ImageBuilderError
from imagebuilder.domain.loops import ListLoop
from imagebuilder.domain.nesting import DocumentRefused, DocumentsCircular
from imagebuilder.domain.origin import Origin
from imagebuilder.ports.machine import Script
from imagebuilder.services.authoring import Authoring
from imagebuilder.services.provisioning.failing import ComponentFailed
from imagebuilder.services.provisioning.outcomes import Status
from tests.build import a_component, a_component_step, an_upgrade
from tests.fakes.documents import FakeDocumentSource
from tests.fakes.machine import Answer, FakeMachine
from tests.house import House, a_recipe_text
from tests.means import bash, echoing, runner, texts

INNER = a_component(
    "inner",
    build=[bash("Say", "echo {{ word }}")],
    validate=[bash("Check", "check")],
    parameters=(Parameter(name="word"),),
    origin=Origin(document="/c/inner.yaml"),
)


def runs(document: str = "inner.yaml", **more: Any) -> ComponentStep:
    given: dict[str, Any] = {"document": document, **more.pop("inputs", {})}
    given.setdefault("parameters", [{"name": "word", "value": "hi"}, {"name": "x", "value": "y"}])
    return a_component_step("Run", ActionName.EXECUTE_DOCUMENT, inputs=given, **more)


def outer(*steps: ComponentStep, **documents: Component) -> Component:
    known = {"inner.yaml": INNER, **documents}
    return a_component(
        "outer", build=steps, documents=known, origin=Origin(document="/c/outer.yaml")
    )


def test_document_then_all_its_phases_run_with_the_given_parameters() -> None:
    machine = echoing()
    runner(outer(runs(), bash("Next", "next")), machine).run(PhaseName.BUILD)
    assert texts(machine) == ["echo hi", "check", "next"]


def test_document_when_phases_are_named_then_only_they_run() -> None:
    machine = echoing()
    runner(outer(runs(inputs={"phases": "validate"})), machine).run(PhaseName.BUILD)
    assert texts(machine) == ["check"]


def test_document_then_its_outputs_say_how_it_went() -> None:
    machine = echoing()
    names = ("status", "executedStepCount", "failedStepCount", "ignoredFailedStepCount")
    asked = " ".join(f"{{{{ build.Run.outputs[0].{name} }}}}" for name in names)
    runner(outer(runs(), bash("Use", f"echo {asked}")), machine).run(PhaseName.BUILD)
    assert texts(machine)[-1] == "echo Success 2 0 0"


def test_document_when_a_step_of_it_fails_then_the_step_that_runs_it_fails_with_its_words() -> None:
    failing = a_component("inner", build=[bash("Bad", "exit 3"), bash("Never", "never")])
    machine = echoing()
    with pytest.raises(ComponentFailed, match=r"Step Run \(ExecuteDocument\)") as failure:
        runner(outer(runs("f"), f=failing), machine).run(PhaseName.BUILD)
    assert "Step Bad (ExecuteBash) in phase build of component inner" in failure.value.context
    assert texts(machine) == ["exit 3"]


def test_document_when_a_failed_step_says_continue_then_its_later_phases_run_too() -> None:
    failing = a_component(
        "inner",
        build=[bash("Bad", "exit 3", on_failure=OnFailure.CONTINUE)],
        validate=[bash("Check", "check")],
    )
    machine = echoing()
    given_all = runner(outer(runs("f", on_failure=OnFailure.IGNORE), f=failing), machine)
    (outcome,) = given_all.run(PhaseName.BUILD)
    assert texts(machine) == ["exit 3", "check"]
    assert outcome.outputs[0]["status"] == Status.FAILED
    assert given_all.status is Status.SUCCESS_WITH_IGNORED_FAILURE


def test_document_in_a_loop_then_may_be_the_same_each_time() -> None:
    machine = echoing()
    given = [{"name": "word", "value": "{{ loop.value }}"}]
    step = runs(inputs={"parameters": given, "phases": "build"}, loop=ListLoop(items=("a", "b")))
    runner(outer(step), machine).run(PhaseName.BUILD)
    assert texts(machine) == ["echo a", "echo b"]


def refusal(component: Component, machine: FakeMachine | None = None) -> str:
    with pytest.raises(ComponentFailed) as failure:
        runner(component, machine or echoing()).run(PhaseName.BUILD)
    return failure.value.context


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (runs(inputs={"parameters": []}), "It needs word."),
        (runs("s3://bucket/a.yaml"), "Documents at s3:// are not read."),
        (runs("unknown.yaml"), "It was not known when the build was planned"),
    ],
)
def test_document_when_it_cannot_be_run_then_the_step_fails_and_says_why(
    step: ComponentStep, said: str
) -> None:
    assert said in refusal(outer(step))


IN_IMAGE = """
name: image-made
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Hi, action: ExecuteBash, inputs: {commands: [hello]}}
      - {name: On, action: ExecuteDocument, inputs: {document: NEXT}}
"""


def image_with(**files: str) -> FakeMachine:
    """Give a machine whose image has documents below /d."""

    def answer(script: Script) -> Answer:
        if "head -c" not in script.text:
            return Answer()
        path = script.text.split()[2]
        text = files.get(path.removeprefix("/d/"))
        return Answer(exit_status=1) if text is None else Answer(stdout=text.encode())

    return FakeMachine(answer)


def test_document_in_the_image_then_is_read_there_and_what_it_names_beside_it() -> None:
    last = IN_IMAGE.rpartition("      - {name: On")[0].replace("hello", "last")
    machine = image_with(first=IN_IMAGE.replace("NEXT", "./second"), second=last)
    runner(outer(runs("/d/first")), machine).run(PhaseName.BUILD)
    assert [text for text in texts(machine) if "head" not in text] == ["hello", "last"]


def test_document_in_the_image_when_it_comes_back_to_itself_then_fails() -> None:
    machine = image_with(first=IN_IMAGE.replace("NEXT", "/d/first"))
    assert "runs itself again" in refusal(outer(runs("/d/first")), machine)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no such file in the image."),
        ("phases: 3", "phases"),
        ("x" * 2**21, "too large"),
    ],
)
def test_document_in_the_image_when_it_cannot_be_read_then_says_why(
    content: str | None, said: str
) -> None:
    files = {} if content is None else {"first": content}
    assert said in refusal(outer(runs("/d/first")), image_with(**files))


def test_upgrades_of_a_document_then_are_asked_and_applied_as_its_own() -> None:
    update = a_component_step("Up", ActionName.UPDATE_OS)
    inner = a_component("inner", build=[update])
    component = outer(runs("u"), u=inner)
    upgrade = an_upgrade("bash", new="9")
    listed = f"Inst bash [{upgrade.old_version}] (9 Debian:12/stable [amd64])\n"
    machine = FakeMachine(
        lambda script: Answer(stdout=listed.encode() if "apt-get -s" in script.text else b"")
    )
    pending = runner(component, machine).pending_upgrades()
    assert {step: update.upgrades for step, update in pending.items()} == {"Run/Up": (upgrade,)}
    applying = FakeMachine()
    runner(component, applying, upgrades=pending).run(PhaseName.BUILD)
    assert "bash:amd64=9" in applying.scripts[0].text


STEPS = "schemaVersion: 1.0\nphases: [{name: build, steps: [{name: A, action: %s}]}]\n"
PLAIN = STEPS % "ExecuteBash, inputs: {commands: [inner]}"


def running(document: str) -> str:
    return STEPS % f"ExecuteDocument, inputs: {{document: {document}}}"


def authored(**documents: str) -> Component:
    """Give /w/components/top.yaml with what it runs. Shape: `documents` maps a name to its text."""
    files = {f"/w/components/{name}.yaml": text for name, text in documents.items()}
    authoring = Authoring(FakeDocumentSource(files))
    path = "/w/components/top.yaml"
    return authoring.with_documents(authoring.component(path).value, path, {})


def test_authoring_then_finds_documents_by_path_and_by_name() -> None:
    named = authored(top=running("./other.yaml"), other=running("third@1.x"), third=PLAIN)
    (other,) = named.documents.values()
    (third,) = other.documents.values()
    assert (other.name, third.name) == ("other", "third")
    assert list(named.all_documents) == [other, third]


@pytest.mark.parametrize(
    ("documents", "error"),
    [
        ({"top": running("./other.yaml"), "other": running("./top.yaml")}, DocumentsCircular),
        ({"top": running("not/there.yaml")}, ImageBuilderError),
        ({"top": running("../../../etc/passwd.yaml")}, ImageBuilderError),
        ({"top": running("No Name")}, ImageBuilderError),
        ({"top": running("a@1.x.2")}, DocumentRefused),
    ],
)
def test_authoring_when_a_document_cannot_be_had_then_says_so_before_anything_runs(
    documents: dict[str, str], error: type[ImageBuilderError]
) -> None:
    with pytest.raises(error):
        authored(**documents)


def test_build_when_a_document_that_is_run_changed_then_its_layer_is_made_anew(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    files = house.documents.documents
    files["/w/components/top.yaml"] = "name: top\nversion: 1.0.0\n" + running("./part.yaml")
    files["/w/components/part.yaml"] = PLAIN
    files["/w/recipes/nested.yaml"] = a_recipe_text("nested", "debian:bookworm", "[top]")
    first = house.build("/w/recipes/nested.yaml")
    again = house.build("/w/recipes/nested.yaml")
    files["/w/components/part.yaml"] = PLAIN.replace("inner", "changed")
    changed = house.build("/w/recipes/nested.yaml")
    assert "top" in first.built
    assert again.is_unchanged
    assert "top" in changed.built
