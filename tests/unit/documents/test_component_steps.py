"""Every action, condition and loop a document can write becomes the domain's value of it."""

from pathlib import Path
from typing import cast

import pytest

from imagebuilder.documents.problems import InvalidDocument
from imagebuilder.documents.reader import Read, read_component
from imagebuilder.domain.component import ActionName, Component, ComponentStep, Platform, ValueType
from imagebuilder.domain.conditions import AllOf, AnyOf, Branch, Comparison, Guard, Not, Operator
from imagebuilder.domain.loops import CountingLoop, ListLoop, SplitLoop

GOLDEN = Path(__file__).parents[2] / "golden" / "components"


def read(path: str) -> Component:
    return read_component((GOLDEN / path).read_text(encoding="utf-8"), path).value


def step_of(written: str) -> ComponentStep:
    return read_step(written).value.phases[0].steps[0]


def read_step(written: str) -> Read[Component]:
    text = f"schemaVersion: 1.0\nphases:\n- name: build\n  steps:\n  - {{name: A, {written}}}\n"
    return read_component(text, "components/a.yaml")


EVERY = read("every-input.yaml")
STEPS = {step.name: step for phase in EVERY.phases for step in phase.steps}


def test_actions_when_all_golden_documents_are_read_are_all_there() -> None:
    windows = {step.action for phase in read("windows.yaml").phases for step in phase.steps}
    assert {step.action for step in STEPS.values()} | windows == set(ActionName)


@pytest.mark.parametrize(
    ("step", "inputs"),
    [
        (
            "Binary",
            {
                "path": "/usr/bin/test",
                "arguments": ["-n", "{{ build.Bash.outputs.stdout }}", "1"],
            },
        ),
        ("Mode", [{"path": "/etc/x", "permissions": "0640"}]),
        ("ModeAll", [{"path": "/srv", "permissions": "0700", "recursive": True}]),
        ("List", [{"path": "/srv", "fileNamePattern": "*.x", "recursive": True}]),
        (
            "ToStore",
            [
                {
                    "source": "/var/log/*",
                    "destination": "s3://example-bucket/logs/",
                    "recurse": True,
                }
            ],
        ),
        (
            "Append",
            [
                {
                    "path": "{{ build.FromWeb.outputs[0].destination }}",
                    "content": "5",
                    "encoding": "UTF-16LE",
                }
            ],
        ),
        ("Restart", {"delaySeconds": "{{ Retries }}"}),
        ("Update", {"include": ["*"], "exclude": ["linux-image-*"], "security": True}),
        (
            "Play",
            {
                "playbook": "ansible/site.yml",
                "variables": {
                    "workers": 4,
                    "deep": {"on": True, "text": "{{ Version }}"},
                    "list": [1, "a"],
                },
                "tags": ["web"],
                "checkIdempotence": True,
            },
        ),
        (
            "Packages",
            {
                "packages": ["nginx", "NetworkManager", "curl=7.88.1-10+deb12u5"],
                "recommends": True,
                "update": True,
                "pins": [
                    {"package": "nginx", "version": "1.22.*", "priority": 1001},
                    {"package": "*", "release": "bookworm-backports"},
                ],
            },
        ),
    ],
)
def test_step_when_inputs_are_written_keeps_them_as_actions_take_them(
    step: str, inputs: object
) -> None:
    assert STEPS[step].inputs == inputs


def test_step_when_boolean_is_a_reference_keeps_its_text() -> None:
    (first, _) = cast("list[dict[str, object]]", STEPS["FromWeb"].inputs)
    assert (first["overwrite"], first["ignoreCertificateErrors"]) == ("{{ Verbose }}", False)


def test_step_when_it_runs_another_document_has_no_limit() -> None:
    assert STEPS["Document"].timeout_seconds is None
    assert step_of("action: ExecuteDocument, inputs: {document: /x}").timeout_seconds is None


def test_step_when_logging_is_disabled_hides_its_output() -> None:
    assert STEPS["Bash"].hides_output
    assert not STEPS["Binary"].hides_output


def test_step_when_it_has_a_guard_keeps_it_nested() -> None:
    assert STEPS["Guarded"].guard == Guard(
        condition=AllOf(
            conditions=(
                Comparison(
                    operator=Operator.STRING_EQUALS,
                    operand="linux",
                    value="{{ context:osPlatform }}",
                ),
                AnyOf(
                    conditions=(
                        Comparison(
                            operator=Operator.PATTERN_MATCHES,
                            operand="^deb",
                            value="{{ context:osName }}",
                        ),
                        Comparison(
                            operator=Operator.NUMBER_GREATER_THAN_EQUALS,
                            operand=12,
                            value="{{ context:osVersion }}",
                        ),
                    )
                ),
                Not(condition=Comparison(operator=Operator.FILE_EXISTS, operand="/etc/x")),
            )
        ),
        then=Branch.EXECUTE,
        otherwise=Branch.ABORT,
    )


def test_step_when_its_guard_hashes_a_file_keeps_the_path_as_value() -> None:
    guard = STEPS["Hashed"].guard
    assert guard is not None
    assert guard.condition == Comparison(
        operator=Operator.FILE_MD5_EQUALS,
        operand="900150983cd24fb0d6963f7d28e17f72",
        value="/etc/x",
    )
    assert (guard.then, guard.otherwise) == (Branch.EXECUTE, Branch.SKIP)


@pytest.mark.parametrize("operator", list(Operator))
def test_step_when_its_guard_has_any_operator_reads_it(operator: Operator) -> None:
    lengths = {"fileMD5Equals": 32, "fileSHA1Equals": 40, "fileSHA256Equals": 64}
    operand = "0" * lengths.get(operator, 128) if operator.value_key == "path" else "1"
    beside = f", {operator.value_key}: /x" if operator.value_key else ""
    step = step_of(f"action: Reboot, if: {{{operator}: '{operand}'{beside}}}")
    assert step.guard is not None
    assert step.guard.condition == Comparison(
        operator=operator, operand=operand, value="/x" if beside else None
    )


@pytest.mark.parametrize(
    ("step", "loop"),
    [
        ("Counted", CountingLoop(start=1, end="{{ Retries }}", update_by=1, name="count")),
        ("Listed", ListLoop(items=("a", "{{ Version }}", "{{ build.Bash.outputs.stdout }}"))),
        ("Split", SplitLoop(text="{{ build.List.outputs.files }}", delimiter="\n", name="hosts")),
    ],
)
def test_step_when_it_has_a_loop_keeps_it(step: str, loop: object) -> None:
    assert STEPS[step].loop == loop


def test_component_when_its_parameters_have_types_keeps_them_and_values_as_text() -> None:
    assert [(p.name, p.type, p.default) for p in EVERY.parameters] == [
        ("Version", ValueType.STRING, "1.2"),
        ("Retries", ValueType.INTEGER, "3"),
        ("Verbose", ValueType.BOOLEAN, "false"),
        ("Hosts", ValueType.STRING_LIST, "one.example,two.example"),
    ]


def test_component_when_it_says_more_of_itself_keeps_it() -> None:
    assert EVERY.platform is Platform.LINUX
    assert EVERY.supported_os_versions == ("Debian 12",)
    assert EVERY.tags == {"team": "web", "tier": "1"}


def test_component_when_a_phase_has_another_name_keeps_it_and_its_steps() -> None:
    assert [phase.name for phase in EVERY.phases] == ["build", "validate", "verify"]
    assert [step.name for step in EVERY.steps("verify")] == ["Anything"]


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("action: ExecutePowerShell, inputs: {commands: [dir]}", 1),
        ("action: CreateFolder, inputs: [{path: 'C:\\x'}]", 1),
        ("action: CreateFolder, inputs: [{path: /x}]", 0),
        ("action: CreateFolder, if: {fileExists: /x}, inputs: [{path: 'C:\\x'}]", 0),
    ],
)
def test_component_when_a_step_needs_windows_warns_unless_a_condition_decides(
    written: str, count: int
) -> None:
    assert len(read_step(written).warnings) == count


@pytest.mark.parametrize("written", ["UpdateOS", "Reboot"])
@pytest.mark.parametrize("inputs", ["", ", inputs: {}", ", inputs: null"])
def test_step_when_action_needs_no_inputs_may_leave_them_out(written: str, inputs: str) -> None:
    assert step_of(f"action: {written}{inputs}").action == written


def test_condition_when_it_stands_too_deep_is_refused() -> None:
    condition = "{fileExists: /x}"
    for _ in range(10):
        condition = f"{{not: {condition}}}"
    with pytest.raises(InvalidDocument) as caught:
        step_of(f"action: Reboot, if: {condition}")
    assert [p.message for p in caught.value.problems] == [
        "Conditions stand in each other 10 deep at most."
    ]


@pytest.mark.parametrize("bucket", ["<yours>", "My_Bucket", "ab"])
def test_step_when_no_bucket_can_have_that_name_warns(bucket: str) -> None:
    inputs = f"[{{source: 's3://{bucket}/key', destination: /x}}]"
    warnings = read_step(f"action: S3Download, inputs: {inputs}").warnings
    assert f"No bucket can be called '{bucket}'." in {warning.message for warning in warnings}


@pytest.mark.parametrize(
    ("head", "network", "count"),
    [("", "full", 0), ("network: none\n", "none", 1), ("network: full\n", "full", 0)],
)
def test_step_when_it_needs_more_network_than_is_declared_warns(
    head: str, network: str, count: int
) -> None:
    step = "{name: A, action: S3Upload, inputs: [{source: /a, destination: 's3://bucket/b'}]}"
    text = f"schemaVersion: 1.0\n{head}phases: [{{name: build, steps: [{step}]}}]\n"
    read = read_component(text, "a.yaml")
    warnings = read.warnings
    assert read.value.network == network
    assert ["reaches nothing" in warning.message for warning in warnings] == [True] * count


@pytest.mark.parametrize(
    ("path", "count"), [("etc/x", 1), ("./x", 1), ("/etc/x", 0), ("{{ Abc }}/x", 0)]
)
def test_step_when_its_path_does_not_begin_with_a_slash_warns(path: str, count: int) -> None:
    head = "parameters: [{Abc: {type: string}}]\n"
    step = f"{{name: A, action: DeleteFile, inputs: [{{path: '{path}'}}]}}"
    text = f"schemaVersion: 1.0\n{head}phases: [{{name: build, steps: [{step}]}}]\n"
    assert len(read_component(text, "a.yaml").warnings) == count


def test_reference_when_it_is_to_a_loop_that_is_not_gone_through_warns() -> None:
    loop = "loop: {name: hosts, forEach: [a]}"
    inputs = "inputs: {commands: ['{{ host.value }} {{ loop.index }} {{ hosts.index }}']}"
    (warning,) = read_step(f"action: ExecuteBash, {loop}, {inputs}").warnings
    assert warning.hint == "Here it can be loop and hosts."
    assert len(read_step(f"action: ExecuteBash, {inputs}").warnings) == 3


def test_reference_when_it_is_in_a_list_or_condition_is_checked_there() -> None:
    loop = "loop: {forEach: ['{{ Nme }}', '{{ build.B.outputs.stdout }}']}"
    with pytest.raises(InvalidDocument) as caught:
        step_of(f"action: Reboot, {loop}, if: {{fileExists: '{{{{ Xyz }}}}'}}")
    assert [problem.message[:12] for problem in caught.value.problems] == [
        "'Nme' is nei",
        "There is no ",
        "'Xyz' is nei",
    ]


@pytest.mark.parametrize("platform", ["Windows", "macOS"])
def test_component_when_it_is_for_another_platform_warns_and_keeps_it(platform: str) -> None:
    step = "{name: A, action: Reboot}"
    text = f"schemaVersion: 1\nplatform: {platform}\nphases: [{{name: build, steps: [{step}]}}]\n"
    found = read_component(text, "a.yaml")
    assert found.value.platform == Platform(platform.lower())
    assert ["cannot run on Linux" in warning.message for warning in found.warnings] == [True]


@pytest.mark.parametrize(
    "condition", ["[1]", "[]", "x", "{not: x}", "{and: x}", "{}", "{value: 1}"]
)
def test_step_when_its_condition_is_none_is_refused_with_no_other_error(condition: str) -> None:
    with pytest.raises(InvalidDocument):
        step_of(f"action: Reboot, if: {condition}")


@pytest.mark.parametrize("loop", ["{}", "x", "{for: 1}", "{forEach: []}", "{for: {start: 1}}"])
def test_step_when_its_loop_is_none_is_refused_with_no_other_error(loop: str) -> None:
    with pytest.raises(InvalidDocument):
        step_of(f"action: Reboot, loop: {loop}")


@pytest.mark.parametrize("action", list(ActionName))
@pytest.mark.parametrize("inputs", ["x", "[]", "[1]", "[[{}]]", "{a: 1}", "[{a: {b: 1}}]"])
def test_step_when_inputs_are_of_no_form_is_refused_with_no_other_error(
    action: ActionName, inputs: str
) -> None:
    with pytest.raises(InvalidDocument):
        step_of(f"action: {action}, inputs: {inputs}")
