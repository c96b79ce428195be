"""What the references of a component come to, and that no secret is seen anywhere.

Source: AWS Task Orchestrator and Executor, "Use variables in component documents".
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.component import OnFailure, PhaseName
from imagebuilder.domain.loops import ListLoop
from imagebuilder.ports.machine import Script
from imagebuilder.ports.values import OutsideValue
from imagebuilder.services.provisioning.failing import ComponentFailed
from imagebuilder.services.provisioning.outside import (
    OutsideValueChanged,
    identity,
    with_outside,
)
from imagebuilder.services.provisioning.secrets import MASK, MaskedLines, Secrets
from tests.build import a_component
from tests.fakes.machine import Answer, FakeMachine
from tests.fakes.values import FakeValues
from tests.means import bash, echoing, runner, some_means, texts

SECRET = "s3cret-Value"
VALUES = FakeValues(
    parameters={
        "/plain": OutsideValue(text="plain", version="1"),
        "/name": OutsideValue(text="/plain", version="1"),
        "/hidden": OutsideValue(text=SECRET, version="7", is_secret=True),
    },
    instance={"instance-id": OutsideValue(text="i-1")},
)


def resolved(written: str, **component: Any) -> str:
    """Give what a step's command comes to."""

    def answer(script: Script) -> Answer:
        if script.text.startswith("env"):
            return Answer(stdout=b"HOME=/root\0ProgramFiles(x86)=C:\\\0TWO=a=b\nc\0")
        if "os-release" in script.text:
            return Answer(stdout=b"Debian GNU/Linux\x0012")
        return Answer(stdout=b"box\n") if "hostname" in script.text else Answer()

    machine = FakeMachine(answer)
    made = a_component(build=[bash("Say", f"say {written}")], **component)
    given_all = runner(made, machine, {"name": "/plain"}, means=some_means(source=VALUES))
    given_all.run(PhaseName.BUILD)
    return texts(machine)[-1].removeprefix("say ")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{{ env:HOME }}", "/root"),
        ("{{ env:ProgramFiles(x86) }}", "C:\\"),
        ("{{ env:TWO }}", "a=b\nc"),
        ("{{ context:executionId }}", "execution-000001"),
        ("{{ context:accountId }}", "111122223333"),
        ("{{ context:region }}", "eu-central-1"),
        ("{{ context:osPlatform }}", "linux"),
        ("{{ context:osName }} {{ context:osVersion }}", "Debian GNU/Linux 12"),
        ("{{ context:date }}", "2026-01-01"),
        ("{{ context:dateTime }}", "2026-01-01T00:00:00Z"),
        ("{{ context:hostname }}", "box"),
        ("{{ context:phase }}.{{ context:step }}", "build.Say"),
        ("{{ aws:ssm:/plain }}", "plain"),
        ("{{ aws:ssm:resolve(name) }}", "plain"),
        ("{{ aws:ssm:resolve(aws:ssm:/name) }}", "plain"),
        ("{{ aws:imds:instance-id }}", "i-1"),
    ],
)
def test_reference_then_stands_for_what_awstoe_says(written: str, expected: str) -> None:
    assert resolved(written) == expected


def test_unique_id_then_is_one_and_the_same_in_a_run_and_has_the_form_of_one() -> None:
    first, second = resolved("{{ context:uuid }} {{ context:uuid }}").split()
    assert first == second
    assert [len(part) for part in first.split("-")] == [8, 4, 4, 4, 12]


@pytest.mark.parametrize("written", ["{{ env:NONE }}", "{{ aws:ssm:/none }}"])
def test_reference_when_there_is_no_such_value_then_that_is_told(written: str) -> None:
    with pytest.raises(ComponentFailed) as failure:
        resolved(written)
    assert "There is no value for" in failure.value.context


def test_account_value_when_a_loop_asks_for_it_then_it_is_asked_once() -> None:
    values = FakeValues(parameters=VALUES.parameters)
    loop = ListLoop(items=("a", "b", "c"))
    component = a_component(build=[bash("Each", "{{ aws:ssm:/plain }}", loop=loop)])
    runner(component, FakeMachine(), means=some_means(source=values)).run(PhaseName.BUILD)
    assert values.asked == ["/plain"]


def test_with_outside_then_the_key_changes_with_the_value_and_holds_no_secret() -> None:
    component = a_component(
        build=[bash("Use", "{{ aws:ssm:/plain }} {{ aws:ssm:/hidden }}")],
        test=[bash("Look", "{{ aws:ssm:/none }}")],
    )
    planned = with_outside(component, {}, VALUES)
    changed = FakeValues(
        parameters={**VALUES.parameters, "/plain": OutsideValue(text="other", version="2")}
    )
    assert planned.outside["aws:ssm:/hidden"] == "version 7"
    assert SECRET not in str(planned.outside)
    assert with_outside(component, {}, VALUES).layer_digest == planned.layer_digest
    assert with_outside(component, {}, changed).layer_digest != planned.layer_digest


def test_with_outside_when_nothing_is_asked_for_then_no_account_is_asked() -> None:
    values = FakeValues()
    component = a_component(build=[bash("Say", "{{ env:HOME }}")])
    assert with_outside(component, {}, values) is component
    assert values.asked == []


def test_account_value_when_it_is_not_the_planned_one_then_the_build_ends() -> None:
    component = a_component(build=[bash("Use", "{{ aws:ssm:/plain }}")])
    other = identity(OutsideValue(text="of before"))
    planned = replace(component, outside={"aws:ssm:/plain": other})
    given_all = runner(planned, FakeMachine(), means=some_means(source=VALUES))
    with pytest.raises(OutsideValueChanged):
        given_all.run(PhaseName.BUILD)


def test_secret_then_reaches_the_script_and_is_seen_nowhere_else() -> None:
    lines: list[str] = []
    details: dict[str, Any] = {}
    machine = echoing()
    component = a_component(
        build=[
            bash("Say", "echo {{ aws:ssm:/hidden }}"),
            bash("Use", "echo <{{ build.Say.outputs.stdout }}>"),
            bash("Fail", "exit 3 {{ build.Say.outputs.stdout }}", on_failure=OnFailure.IGNORE),
        ]
    )
    machine.answer = lambda script: Answer(
        exit_status=3 if script.text.startswith("exit") else 0,
        stdout=script.text.partition(" ")[2].encode(),
        stderr=script.text.encode(),
    )
    runner(
        component,
        machine,
        {"token": SECRET},
        means=some_means(source=VALUES),
        on_line=lines.append,
        on_detail=details.__setitem__,
    ).run(PhaseName.BUILD)
    assert texts(machine)[1] == f"echo <{SECRET}>"
    assert f"<{MASK}>" in lines
    assert SECRET not in "\n".join(lines)
    assert SECRET not in json.dumps(details)
    assert MASK in json.dumps(details)


def test_failure_when_a_secret_is_in_command_and_output_then_the_report_hides_it() -> None:
    machine = FakeMachine(lambda s: Answer(exit_status=1, stderr=s.text.encode()))
    component = a_component(build=[bash("Use", "curl -u {{ aws:ssm:/hidden }}")])
    given_all = runner(component, machine, {"p": SECRET}, means=some_means(source=VALUES))
    with pytest.raises(ComponentFailed) as failure:
        given_all.run(PhaseName.BUILD)
    told = f"{failure.value.message}{failure.value.context}{failure.value.hint}"
    assert SECRET not in told
    assert f"curl -u {MASK}" in told


def test_hidden_output_then_is_in_no_line_and_no_detail_but_can_be_referred_to() -> None:
    lines: list[str] = []
    details: dict[str, Any] = {}
    machine = echoing()
    component = a_component(
        build=[
            bash("Quiet", "echo hush", hides_output=True),
            bash("Use", "true {{ build.Quiet.outputs.stdout }}"),
        ]
    )
    runner(component, machine, on_line=lines.append, on_detail=details.__setitem__).run(
        PhaseName.BUILD
    )
    assert texts(machine)[1] == "true hush"
    assert lines == ["--- build: Quiet (ExecuteBash)", "--- build: Use (ExecuteBash)"]
    (step, _) = details["nginx"]["documents"][0]["phases"][0]["steps"]
    assert step["outputs"] == [{"stdout": "(hidden by disableLogging)"}]


@given(
    st.text("ab\n", min_size=1, max_size=6),
    st.lists(st.text("abc", max_size=8), max_size=8),
    st.sampled_from(["", "c" * 9000]),
)
def test_masked_lines_then_no_line_holds_a_secret(
    secret: str, words: list[str], filler: str
) -> None:
    secrets = Secrets()
    secrets.add(secret)
    told: list[str] = []
    lines = MaskedLines(secrets, told.append)
    for word in words:
        lines(filler + word)
    lines.end()
    whole = secret.strip()
    assert not whole or not any(whole in line for line in told)


def test_masked_lines_when_a_long_line_is_cut_within_a_secret_then_neither_piece_holds_it() -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    told: list[str] = []
    lines = MaskedLines(secrets, told.append)
    lines("x" * 9000 + SECRET[:5])
    lines(SECRET[5:] + " end")
    lines.end()
    assert "".join(told) == "x" * 9000 + MASK + " end"


def test_masked_when_a_secret_has_several_lines_then_each_is_hidden() -> None:
    secrets = Secrets()
    secrets.add("{\n  first-line\n  second-line\n}\n")
    assert secrets.masked("a second-line b") == f"a {MASK} b"
    assert secrets.masked("if x {") == "if x {"


def test_masked_when_one_secret_begins_with_another_then_nothing_of_it_is_left() -> None:
    secrets = Secrets()
    secrets.add("abc")
    secrets.add("abcdef")
    assert secrets.masked("abcdef abc") == f"{MASK} {MASK}"
