"""Component documents become the domain's components, as AWSTOE means them."""

from pathlib import Path

import pytest

from imagebuilder.documents.problems import InvalidDocument, Problem
from imagebuilder.documents.reader import Heading, Read, component_heading, read_component
from imagebuilder.domain.component import (
    SIZE_LIMIT_BYTES,
    Component,
    Network,
    OnFailure,
    PhaseName,
)
from imagebuilder.domain.versions import Version

GOLDEN = Path(__file__).parents[2] / "golden" / "components"
STEP = "{name: A, action: ExecuteBash, inputs: {commands: [x]}}"


def read(steps: str = STEP, head: str = "") -> Read[Component]:
    text = f"schemaVersion: 1.0\n{head}phases:\n- name: build\n  steps:\n  - {steps}\n"
    return read_component(text, "components/nginx.yaml")


def problems_of(steps: str = STEP, head: str = "") -> tuple[Problem, ...]:
    with pytest.raises(InvalidDocument) as caught:
        read(steps, head)
    return caught.value.problems


def every_action() -> Component:
    path = GOLDEN / "every-action.yaml"
    return read_component(path.read_text(encoding="utf-8"), path.name).value


def test_component_when_only_required_keys_are_written_has_the_defaults() -> None:
    component = read().value
    step = component.steps(PhaseName.BUILD)[0]
    assert (component.name, component.version) == ("nginx", Version(1, 0, 0))
    assert (component.network, component.parameters) == (Network.PACKAGES, ())
    assert (step.timeout_seconds, step.max_attempts) == (7200, 1)
    assert (step.on_failure, step.inputs) == (OnFailure.ABORT, {"commands": ["x"]})
    assert str(step.origin) == "components/nginx.yaml:5:5"


@pytest.mark.parametrize("written", ["1.0", "1", '"1.0"', '"1"', "1.00"])
def test_component_when_schema_version_is_any_form_of_one_takes_it(written: str) -> None:
    text = f"schemaVersion: {written}\nphases: [{{name: build, steps: [{STEP}]}}]\n"
    assert read_component(text, "a.yaml").value.name == "a"


def test_component_when_every_action_is_used_keeps_their_inputs_as_actions_take_them() -> None:
    steps = {s.name: s for s in every_action().steps(PhaseName.BUILD)}
    assert steps["Install"].inputs == {"packages": ["nginx", "curl=1.2*", "{{ Port }}"]}
    assert steps["Conf"].inputs == [
        {
            "path": "/etc/nginx/nginx.conf",
            "content": "worker_processes {{ worker_processes }};\nroot {{Root}};\n",
            "permissions": "0644",
            "owner": "root",
        },
        {"path": "/x", "permissions": "0755"},
    ]
    assert steps["Folder"].inputs == [
        {
            "path": "{{ Root }}/pages",
            "owner": "33",
            "group": "www-data",
            "permissions": "0750",
            "overwrite": False,
        }
    ]
    assert (steps["Up"].inputs, steps["Boot"].inputs) == (None, {"delaySeconds": 5})
    assert steps["Ask"].inputs["commands"][2] == "true"  # type: ignore[call-overload, index]


def test_component_when_step_says_how_it_may_fail_keeps_it() -> None:
    step = next(s for s in every_action().steps(PhaseName.BUILD) if s.name == "Conf")
    assert (step.timeout_seconds, step.on_failure, step.max_attempts) == (
        None,
        OnFailure.CONTINUE,
        2,
    )


def test_component_when_it_has_parameters_and_constants_keeps_them_as_text() -> None:
    component = every_action()
    assert [(p.name, p.default) for p in component.parameters] == [
        ("worker_processes", "auto"),
        ("Port", "8080"),
    ]
    assert component.constants == {"Root": "/srv/www"}
    assert component.version == Version(1, 2, 3)


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ("components/nginx.yaml", "nginx"),
        ("components/nginx/component.yaml", "nginx"),
        ("components/My Thing.yml", "my-thing"),
    ],
)
def test_component_when_it_has_no_name_takes_that_of_its_file(document: str, name: str) -> None:
    text = f"schemaVersion: 1.0\nphases: [{{name: build, steps: [{STEP}]}}]\n"
    assert read_component(text, document).value.name == name
    assert component_heading(text, document).name == name


@pytest.mark.parametrize("written", ["0644", '"0644"', "644", "0o644", '"644"'])
def test_component_when_permissions_are_written_as_people_do_means_octal(written: str) -> None:
    inputs = f"[{{path: /x, permissions: {written}}}]"
    step = read(f"{{name: A, action: CreateFile, inputs: {inputs}}}").value.phases[0].steps[0]
    assert step.inputs == [{"path": "/x", "permissions": "0644"}]


@pytest.mark.parametrize("written", ["888", "-644", "7", "1e3", '"rw-r--r--"', "true", "77777"])
def test_component_when_permissions_are_not_octal_refuses_them(written: str) -> None:
    problems = problems_of(
        f"{{name: A, action: CreateFile, inputs: [{{path: /x, permissions: {written}}}]}}"
    )
    assert len(problems) == 1


@pytest.mark.parametrize("seconds", ["0", "-2", "1.5", '"60"', "99999999999"])
def test_component_when_timeout_is_no_number_of_seconds_says_what_may_stand(seconds: str) -> None:
    (problem,) = problems_of(f"{{name: A, action: Reboot, timeoutSeconds: {seconds}}}")
    assert "above 0, or -1 for no limit" in problem.message


@pytest.mark.parametrize(
    ("action", "message", "hint"),
    [
        ("webDownload", "'action' should be one of", "Did you mean WebDownload?"),
        ("ExecuteBsh", "'action' should be one of", "Did you mean ExecuteBash?"),
        ("Xyz", "'action' should be one of", ""),
    ],
)
def test_component_when_action_is_unknown_proposes_the_nearest(
    action: str, message: str, hint: str
) -> None:
    (problem,) = problems_of(f"{{name: A, action: {action}}}")
    assert problem.message.startswith(message)
    assert problem.hint.startswith(hint)


def test_component_when_its_text_is_too_large_for_others_warns() -> None:
    filling = "x" * SIZE_LIMIT_BYTES
    (warning,) = read(head=f"description: {filling}\n").warnings
    assert "65,536" in warning.message


def test_component_when_its_name_cannot_be_asked_for_warns_of_the_one_that_can() -> None:
    found = read(head="name: My Component\n")
    assert found.value.name == "my-component"
    assert "'my-component'" in found.warnings[0].message


def test_component_when_a_declaration_repeats_a_name_refuses_it() -> None:
    head = "parameters: [{Abc: {type: string}}]\nconstants: [{Abc: {type: string, value: 1}}]\n"
    (problem,) = problems_of(head=head)
    assert str(problem.origin) == "components/nginx.yaml:3:14"


@pytest.mark.parametrize("name", ["ab", "a b c", "x" * 129, "é" * 3])
def test_component_when_a_parameter_name_is_not_awstoe_refuses_it(name: str) -> None:
    assert len(problems_of(head=f"parameters: [{{{name}: {{type: string}}}}]\n")) == 1


def test_component_when_a_go_word_is_declared_takes_it_as_a_parameter() -> None:
    steps = "{name: A, action: ExecuteBash, inputs: {commands: ['{{ range }}']}}"
    assert read(steps, "parameters: [{range: {type: string}}]\n").warnings == ()
    assert len(read(steps).warnings) == 1


def test_component_when_text_has_single_braces_or_shell_ones_says_nothing() -> None:
    steps = "{name: A, action: ExecuteBash, inputs: {commands: ['echo ${x} {{a,b},{c,d}} }}']}}"
    assert read(steps).warnings == ()


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("name: nginx\nversion: 1.2.3\n", Heading(name="nginx", version=Version(1, 2, 3))),
        ("version: '1.2.3' # new\n", Heading(name="file", version=Version(1, 2, 3))),
        ("name: Ng X\n", Heading(name="ng-x", version=Version(1, 0, 0))),
        ("version: newest\n", Heading(name="file", version=None)),
        ('"name": nginx\n\'version\': "1.2.3"\n', Heading(name="nginx", version=Version(1, 2, 3))),
        ("phases:\n  name: other\n:::", Heading(name="file", version=Version(1, 0, 0))),
    ],
)
def test_component_heading_when_glanced_at_gives_name_and_version(
    text: str, heading: Heading
) -> None:
    assert component_heading(text, "c/file.yaml") == heading


def test_component_when_a_reference_is_written_with_escapes_shows_the_whole_text() -> None:
    (problem,) = problems_of(
        '{name: A, action: ExecuteBash, inputs: {commands: ["x {{ Na\\x6De }}"]}}'
    )
    assert problem.message.startswith("'Name' is neither")
    assert str(problem.origin) == "components/nginx.yaml:5:56"


def test_component_when_steps_have_no_name_says_so_for_each() -> None:
    problems = problems_of("{action: Reboot}\n  - {action: Reboot}")
    assert [(p.origin.line, p.message) for p in problems] == [
        (5, "The key 'name' is missing."),
        (6, "The key 'name' is missing."),
    ]


@pytest.mark.parametrize(
    "rest", ["phases: 1", "phases: [1]", "phases: [{name: build, steps: [1]}]", "parameters: [1]"]
)
def test_component_when_lists_hold_something_else_gives_problems_and_no_other_error(
    rest: str,
) -> None:
    with pytest.raises(InvalidDocument):
        read_component(f"schemaVersion: 1.0\n{rest}\n", "a.yaml")
